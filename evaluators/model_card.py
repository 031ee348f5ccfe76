"""The model card: what a model is, what it costs and how it came about, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

Card = Mapping[str, Any]

#: the runtime that loads the artifact; on boards its small package is enough
_LOAD = """```python
import numpy as np
from ai_edge_litert.interpreter import Interpreter

model = Interpreter("model.tflite"); model.allocate_tensors()
x, y = model.get_input_details()[0], model.get_output_details()[0]
image = {example}  # height x width x channels in [-1, 1]: pixel / 127.5 - 1
model.set_tensor(x["index"], {fed})
model.invoke(); print(model.get_tensor(y["index"]).argmax())
```"""


def card_markdown(card: Card) -> str:
    """Returns the card of an exported trial.

    Args:
        card: what `search.export` puts together: `study`, `trial`, `task`, `recipe`, `seed`, `metrics`,
            `baseline`, `steps`, `artifact`, `files`, `versions`, `commands` …
    """
    parts = [
        f"# {card['recipe']}",
        _opening(card),
        "## Figures",
        _figures(card),
        "## Step by step",
        "After every step: quality on the validation split (measured), the file's size and "
        "multiply-accumulates (counted), latency and memory (predicted), passes over the training split.",
        _steps(card),
        *_remarks(card["steps"]),
        "## The file beside the network",
        _agreement(card["artifact"]),
        "## Use",
        _LOAD.format(example=_example(card), fed=_fed(card)),
        "## Provenance",
        _provenance(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _opening(card: Card) -> str:
    ratio = card["baseline"]["model_bytes"] / card["artifact"]["model_bytes"]
    drop = 100 * (card["baseline"]["quality"] - card["metrics"]["quality"])
    points = f"{abs(drop):.2f} points {'worse' if drop > 0 else 'better'}"
    worth = points if round(abs(drop), 2) else "neither better nor worse"
    return (
        f"Task `{card['task']}`, network `{card['network']}`. The file is {ratio:.1f} times smaller than the "
        f"baseline's and {worth} in {card['metrics']['quality_name']} on the validation split, measured. "
        f"Trial `{card['trial']}` of study `{card['study']}`, seed {card['seed']}."
    )


def _figures(card: Card) -> str:
    ours, base, file = card["metrics"], card["baseline"], card["artifact"]
    name = ours["quality_name"]
    rows = [
        (f"{name}, validation (measured, network)", _share(base["quality"]), _share(ours["quality"])),
        (f"{name}, validation (measured, file)", "", _share(file["quality"])),
        (f"{name}, test (measured, file)", _test(card["baseline_test"]), _test(card["test"])),
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


def _steps(card: Card) -> str:
    base = card["baseline"]
    rows = [_step_row({**base, "position": 0, "stage": "", "epochs": base["train_epochs"]}, "baseline")]
    rows += [_step_row(step, f"`{step['step']}`") for step in card["steps"]]
    return _table(
        ("", "step", "stage", "quality", "file, B", "MAC", "latency, ms", "memory, KiB", "epochs"), rows
    )


def _step_row(step: Mapping[str, Any], text: str) -> tuple[str, ...]:
    return (
        str(step["position"]),
        text,
        step["stage"],
        _share(step["quality"]),
        _count(step["model_bytes"]),
        _count(step["macs"]),
        f"{step['latency_ms']:.2f}",
        f"{step['peak_memory_bytes'] / 1024:,.0f}",
        f"{step['epochs']:.1f}",
    )


def _predicted(card: Card, title: str, metric: str, divisor: float) -> tuple[str, str, str]:
    base, ours = (_interval(card[who], metric, divisor) for who in ("baseline", "metrics"))
    return f"{title} (predicted, {card['device']})", base, ours


def _remarks(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns what became of earlier constraints, and which layers were left alone."""
    lines = []
    for step in steps:
        notes = step.get("notes") or {}
        for layer, fates in (notes.get("fates") or {}).items():
            lines += [f"- step {step['position']}, `{layer}`: {kind} {fate}" for kind, fate in fates]
        left = notes.get("left_alone") or {}
        if isinstance(left, Mapping):
            lines += [f"- step {step['position']} left `{layer}` alone: {why}" for layer, why in left.items()]
        elif left:
            lines.append(f"- step {step['position']} left alone: {', '.join(f'`{name}`' for name in left)}")
    return ["\n".join(lines)] if lines else []


def _agreement(file: Mapping[str, Any]) -> str:
    difference = f"{file['largest_difference']:.4g}"
    if file["largest_difference_lsb"] is not None:
        difference += f" ({file['largest_difference_lsb']:.1f} steps of the output's grid)"
    return (
        f"Run by LiteRT over {file['images']:,} validation images, the file chose the network's label on "
        f"{100 * file['agreement']:.2f} % of them; the largest difference of an output was {difference}."
    )


def _provenance(card: Card) -> str:
    lines = [f"- {name}: `{digest}` (SHA-256)" for name, digest in card["files"].items()]
    lines.append(f"- weights: `{card['weights_digest']}` (SHA-256 over names, types, shapes and bytes)")
    lines += [f"- {line}" for line in card["remarks"]]
    lines.append("- versions: " + ", ".join(f"{name} {number}" for name, number in card["versions"].items()))
    lines.append(f"- data: `{card['data']}`; test quality is looked at once, when a study ends")
    lines.append("- licence: that of the network and data it was made from; Atoll itself is Apache-2.0")
    lines += ["- made again, in an empty folder, by:", "", "```sh", *card["commands"], "```"]
    return "\n".join(lines)


def _example(card: Card) -> str:
    channels, height, width = card["input_shape"]
    return f"np.zeros((1, {height}, {width}, {channels}), np.float32)"


def _fed(card: Card) -> str:
    if card["artifact"]["largest_difference_lsb"] is None:
        return "image"
    return 'np.round(image / x["quantization"][0] + x["quantization"][1]).clip(-128, 127).astype(np.int8)'


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f} %"


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _interval(figures: Mapping[str, Any], name: str, divisor: float) -> str:
    value, low, high = (figures[f"{name}{end}"] / divisor for end in ("", "_low", "_high"))
    status = figures[name.removesuffix("_ms").removesuffix("_bytes") + "_status"]
    return f"{value:,.2f} ({low:,.2f} to {high:,.2f}, {status})"


def _test(found: Mapping[str, Any] | None) -> str:
    return "not looked at" if found is None else f"{_share(found['quality'])} ({found['at'][:10]})"
