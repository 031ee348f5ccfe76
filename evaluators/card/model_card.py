"""The model card: what a model is, what it costs and how it came about, as Markdown.

The card itself is JSON (`card.json`); the Markdown is written from it and holds nothing else.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ...spaces.outside.shown import markdown, markdown_code, shown
from .quality_difference import difference, noise

Card = Mapping[str, Any]

#: quantity -> (name, unit, how many of the quantity's unit make one)
_QUANTITIES = {"latency_ms": ("latency", "ms", 1), "peak_memory_bytes": ("peak memory", "KiB", 1024)}

#: the file of the waterfall's picture
WATERFALL = "waterfall.svg"

#: five lines for a board, where the runtime's small package is enough
_LOAD = """```python
import numpy as np; from ai_edge_litert.interpreter import Interpreter
image = {example}  # yours: height x width x channels, pixel / 127.5 - 1
model = Interpreter("model.tflite"); model.allocate_tensors(); x = model.get_input_details()[0]
model.set_tensor(x["index"], {fed}); model.invoke()
print(model.get_tensor(model.get_output_details()[0]["index"]).argmax())
```"""


def card_markdown(card: Card) -> str:
    """Returns the card of an exported trial.

    Args:
        card: what `search.card` puts together: `study`, `trial`, `task`, `recipe`, `seed`, `metrics`,
            `baseline`, `waterfall`, `predictions`, `artifact`, `test_looks`, `files`, `versions` …
    """
    parts = [
        f"# {markdown(card['recipe'])}",
        _opening(card),
        "## Figures",
        _figures(card),
        "## Step by step",
        "After every step. Quality and packed bytes are measured (validation split; the file after zstd-19), "
        f"bytes, MAC and epochs counted, latency and memory predicted for {markdown(card['device'])}.",
        _waterfall(card["waterfall"]),
        f"![What every step took away]({WATERFALL})",
        *_remarks(card["waterfall"]),
        "## On devices",
        "Predicted before the model ran there; the interval is meant to hold nine networks of ten.",
        _predictions(card["predictions"]),
        "## The file beside the network",
        _agreement(card["artifact"]),
        _structure(card),
        *_deliveries(card),
        "## Use",
        _LOAD.format(example=_example(card), fed=_fed(card)),
        "## Provenance",
        _provenance(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _opening(card: Card) -> str:
    ratio = card["baseline"]["model_bytes"] / card["artifact"]["model_bytes"]
    name = card["metrics"]["quality_name"]
    validation = card["baseline"]["quality"], card["metrics"]["quality"]
    worth, test = difference(*validation), ""
    if card["test_looks"] and card["baseline_test_looks"]:
        looked = card["baseline_test_looks"][0]["quality"], card["test_looks"][0]["quality"]
        test = f"On the test split it is {difference(*looked)}{noise(*looked, card.get('test_images'))}. "
    if worth == difference(0, 0) and (not test or worth in test):
        worth = "neither better nor worse"
    return (
        f"Task {markdown_code(card['task'])}, network {markdown_code(card['network'])}. "
        f"The file is {ratio:.1f} times smaller than the baseline's and {worth} in "
        f"{markdown(name)} on the validation split, measured"
        f"{noise(*validation, card['artifact']['images'])}. {test}"
        f"Trial {markdown_code(card['trial'])} of study {markdown_code(card['study'])}, seed {card['seed']}."
    )


def _figures(card: Card) -> str:
    ours, base, file = card["metrics"], card["baseline"], card["artifact"]
    name = markdown(ours["quality_name"])
    rows = [
        (f"{name}, validation (measured, network)", _share(base["quality"]), _share(ours["quality"])),
        (f"{name}, validation (measured, file)", "", _share(file["quality"])),
        (f"{name}, test (measured, file)", _test(card["baseline_test_looks"]), _test(card["test_looks"])),
        ("file, B (measured)", _count(base["model_bytes"]), _count(file["model_bytes"])),
        ("file after zstd-19, B (measured)", _count(base["packed_bytes"]), _count(file["packed_bytes"])),
        ("payload, B (measured)", _count(base["payload_bytes"]), _count(ours["payload_bytes"])),
        ("parameters (counted)", _count(base["parameters"]), _count(ours["parameters"])),
        ("multiply-accumulates, MAC (counted)", _count(base["macs"]), _count(ours["macs"])),
        _predicted(card, "latency, ms", "latency_ms", 1),
        _predicted(card, "peak memory, KiB", "peak_memory_bytes", 1024),
        ("latency, ms (measured, host, 1 thread)", "", f"{file['latency_host_ms']:.3f}"),
        ("tensors alive at once, KiB (measured, file)", "", f"{file['peak_tensor_bytes'] / 1024:.1f}"),
        ("label loyalty to the baseline (measured)", "", _share(ours["label_loyalty"])),
    ]
    return _table(("figure", "baseline", "this model"), rows)


def _waterfall(rows: Sequence[Mapping[str, Any]]) -> str:
    names = ("", "step", "stage", "quality", "file, B", "payload, B", "packed, B", "MAC", "latency, ms",
             "memory, KiB", "epochs")  # fmt: skip
    return _table(names, [_waterfall_row(row) for row in rows])


def _waterfall_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        str(row["position"]),
        markdown_code(row["step"]) if row["position"] else markdown(row["step"]),
        markdown(row["stage"]),
        _share(row["quality"]),
        _count(row["model_bytes"]),
        _count(row["payload_bytes"]),
        _count(row["packed_bytes"]),
        _count(row["macs"]),
        _range(row["latency_ms"], row["latency_ms_low"], row["latency_ms_high"]),
        _range(*(row[f"peak_memory_bytes{end}"] / 1024 for end in ("", "_low", "_high"))),
        f"{row['epochs']:.1f}",
    )


def _predictions(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns what the model is predicted to cost, a line a device and quantity."""
    lines = []
    for row in rows:
        name, unit, divisor = _QUANTITIES.get(row["quantity"], (row["quantity"], "", 1))
        value = _range(*(row[end] / divisor for end in ("value", "low", "high")))
        said = (row["device"], row["setup"] or "default", name, f"{value} {unit}".strip(), row["status"])
        lines.append(tuple(markdown(text) for text in said))
    return _table(("device", "set-up", "figure", "predicted", "status"), lines)


def _predicted(card: Card, title: str, metric: str, divisor: float) -> tuple[str, str, str]:
    base, ours = (_interval(card[who], metric, divisor) for who in ("baseline", "metrics"))
    return f"{title} (predicted, {markdown(card['device'])})", base, ours


def _remarks(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns what became of earlier constraints, and which layers were left alone."""
    lines = []
    for step in steps[1:]:
        notes = step.get("notes") or {}
        for layer, fates in (notes.get("fates") or {}).items():
            lines += [
                f"- step {step['position']}, {markdown_code(layer)}: {markdown(kind)} {markdown(fate)}"
                for kind, fate in fates
            ]
        left = notes.get("left_alone") or {}
        if isinstance(left, Mapping):
            lines += [
                f"- step {step['position']} left {markdown_code(layer)} alone: {markdown(why)}"
                for layer, why in left.items()
            ]
        elif left:
            names = ", ".join(markdown_code(name) for name in left)
            lines.append(f"- step {step['position']} left alone: {names}")
    return ["\n".join(lines)] if lines else []


def _agreement(file: Mapping[str, Any]) -> str:
    difference = f"{file['largest_difference']:.4g}"
    if file["largest_difference_lsb"] is not None:
        difference += f" ({file['largest_difference_lsb']:.1f} steps of the output's grid)"
    return (
        f"Run by LiteRT over {file['images']:,} validation images, the file chose the network's label on "
        f"{100 * file['agreement']:.2f} % of them; the largest difference of an output was {difference}."
    )


def _structure(card: Card) -> str:
    return (
        f"Of the file, {card['artifact']['structure_bytes']:,} bytes are structure: all but weights, biases, "
        f"scales and zero points. Dropped: {markdown(', '.join(card['dropped']))}."
    )


def _deliveries(card: Card) -> list[str]:
    """Returns the forms that lie beside the file, each with its size and the proof that it is the network."""
    if not card["deliveries"]:
        return []
    sizes = _count(card["artifact"]["model_bytes"]), _count(card["metrics"]["payload_bytes"])
    rows = [
        (
            markdown_code(form["file"]),
            sizes[0],
            _count(form["bytes"]),
            sizes[1],
            markdown(form["holds"]),
            _run_beside(form),
        )
        for form in card["deliveries"]
    ]
    names = ("form", "model.tflite, B", "this form, B", "payload, B", "what it holds", "beside the network")
    return ["## Other forms", _table(names, rows)]


def _run_beside(form: Mapping[str, Any]) -> str:
    """Returns how a form compares: with the network, or byte by byte with the file."""
    figures = form["figures"]
    if "agreement" not in figures:
        return "holds the bytes of model.tflite"
    return (
        f"the same label on {100 * figures['agreement']:.2f} % of {figures['images']:,} images, largest "
        f"difference {figures['largest_difference']:.4g}"
    )


def _provenance(card: Card) -> str:
    lines = [
        f"- {markdown(name)}: {markdown_code(digest)} (SHA-256)" for name, digest in card["files"].items()
    ]
    weights = markdown_code(card["weights_digest"])
    lines.append(f"- weights: {weights} (SHA-256 over names, types, shapes and bytes)")
    lines += [f"- {markdown(line)}" for line in card["remarks"]]
    numbers = ", ".join(f"{name} {number}" for name, number in card["versions"].items())
    lines.append(f"- versions: {markdown(numbers)}")
    budget = f"{card['epochs_per_step']:g} epochs after every step, {card['threads']} thread(s)"
    lines.append(f"- data: {markdown_code(card['data'])}; seed {card['seed']}, {budget}")
    lines.append(f"- test split: {_looks(card['test_looks'])}")
    lines.append("- licence: that of the network and data it was made from; Atoll itself is Apache-2.0")
    lines += [
        "- made again, in an empty folder, by:",
        "",
        "```sh",
        *map(_line_of_code, card["commands"]),
        "```",
    ]
    return "\n".join(lines)


def _looks(looks: Sequence[Mapping[str, Any]]) -> str:
    """Returns how often the test split was looked at, for only the first look tells the truth."""
    if not looks:
        return "not looked at"
    commands = (markdown_code(f"atoll {look['command']}") for look in looks)
    said = ", ".join(f"{_test([look])} by {how}" for look, how in zip(looks, commands, strict=True))
    times = "once" if len(looks) == 1 else f"{len(looks)} times"
    return f"looked at {times} with this model: {said}"


def _example(card: Card) -> str:
    channels, height, width = (int(size) for size in card["input_shape"])
    return f"np.zeros((1, {height}, {width}, {channels}), np.float32)"


def _fed(card: Card) -> str:
    if card["artifact"]["largest_difference_lsb"] is None:
        return "image"
    return 'np.round(image / x["quantization"][0] + x["quantization"][1]).clip(-128, 127).astype(np.int8)'


def _line_of_code(line: str) -> str:
    """Returns a line of a block of code, which it cannot end."""
    return shown(line).replace("`", "\\x60")


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f} %"


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _range(value: float, low: float, high: float) -> str:
    return f"{value:,.2f} ({low:,.2f} to {high:,.2f})"


def _interval(figures: Mapping[str, Any], name: str, divisor: float) -> str:
    status = figures[name.removesuffix("_ms").removesuffix("_bytes") + "_status"]
    ends = _range(*(figures[f"{name}{end}"] / divisor for end in ("", "_low", "_high")))
    return f"{ends.removesuffix(')')}, {markdown(status)})"


def _test(looks: Sequence[Mapping[str, Any]]) -> str:
    """Returns the first look at the test split; later ones chose nothing, but they knew it."""
    return f"{_share(looks[0]['quality'])} ({markdown(looks[0]['at'][:10])})" if looks else "not looked at"
