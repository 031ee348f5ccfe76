"""The model card: what a model is, what it costs and how it came about, as Markdown.

The Markdown is written from the card (`card.json`) alone and holds nothing else.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ...spaces.outside.shown import markdown, markdown_code
from ..delivery.delivery import Delivery
from ..ranking.against_baseline import compression_ratio
from ..ranking.figure import PERCENT, Figure, Form
from ..ranking.figures import FIGURE, PACKED_ALONE
from ..ranking.quality_terms import QualityTerms
from .card import Card, PredictedFigure, TestLook
from .card_beside import agreement, confusions, disagreements
from .card_interface import interface
from .card_micro import in_micro, micro_rows
from .card_noise import in_noise
from .card_use import chosen, inputs_said, line_of_code, outputs, table, use
from .pictures import CONFUSION, THUMBNAILS, WATERFALL
from .quality_difference import noise

#: memory as a card writes it, where every model is small
_KIB, _SHORT_KIB = Form("KiB", 2), Form("KiB", 1)

#: what the compiler of an Ethos-U says, in cards of such a device alone
_OF_NPU = ("ethos_u_mappable", "ethos_u_flash_bytes")
#: what the waterfall's table shows beside quality and epochs
_AFTER_A_STEP: tuple[tuple[Figure, Form], ...] = (
    *(
        (FIGURE[name], FIGURE[name].exact)
        for name in ("model_bytes", "payload_bytes", "packed_bytes", "macs")
    ),
    (FIGURE["latency_ms"], FIGURE["latency_ms"].brief),
    (FIGURE["peak_memory_bytes"], _KIB),
)

#: what stands in place of a figure that a device was never measured for
_UNKNOWN = "unknown"


def card_markdown(card: Card | Mapping[str, Any]) -> str:
    """Returns the card of an exported trial.

    Args:
        card: or what `card.json` holds.

    Raises:
        AtollError: the JSON is no card; other errors where figures are missing.
    """
    if not isinstance(card, Card):
        card = Card.from_json(card)
    parts = [
        f"# {markdown(card.recipe)}",
        _opening(card),
        "## Figures",
        _figures(card),
        f"{PACKED_ALONE[0].upper()}{PACKED_ALONE[1:]}.",
        "## Step by step",
        "After every step. Quality and packed bytes are measured (validation split; the file after zstd-19), "
        f"bytes, MAC and epochs counted, latency and memory predicted for {markdown(card.device)}.",
        _waterfall(card),
        f"![What every step took away]({WATERFALL})",
        *_remarks(card.waterfall),
        "## On devices",
        "Predicted before the model ran there; the interval is meant to hold nine networks of ten.",
        _predictions(card.predictions),
        "## The file beside the network",
        agreement(card),
        *disagreements(card, THUMBNAILS),
        outputs(card),
        _structure(card),
        *in_noise(card),
        *confusions(card, CONFUSION),
        *_deliveries(card),
        *interface(card),
        *in_micro(card),
        "## Use",
        use(card),
        "## Provenance",
        _provenance(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _opening(card: Card) -> str:
    ratio = compression_ratio(card.baseline["model_bytes"], card.artifact.model_bytes)
    terms = QualityTerms.of(card.metrics)
    validation = card.baseline["quality"], card.metrics["quality"]
    worth, test = markdown(terms.difference(*validation)), ""
    if card.test_looks and card.baseline_test_looks:
        looked = card.baseline_test_looks[0].quality, card.test_looks[0].quality
        how = markdown(terms.difference(*looked))
        test = f"On the test split it is {how}{noise(terms, *looked, card.test_images)}. "
    if worth == markdown(terms.difference(0, 0)) and (not test or worth in test):
        worth = "neither better nor worse"
    return (
        f"Task {markdown_code(card.task)}, network {markdown_code(card.network)}. "
        f"The file is {ratio:.1f} times smaller than the baseline's and {worth} in "
        f"{markdown(terms.name)} on the validation split, measured"
        f"{noise(terms, *validation, card.artifact.images)}. {test}"
        f"{chosen(card)}"
    )


def _figures(card: Card) -> str:
    ours, base, file = card.metrics, card.baseline, card.artifact
    terms = QualityTerms.of(ours)
    name = markdown(terms.name)
    on_host, alive = FIGURE["latency_host_ms_measured"], FIGURE["peak_memory_bytes_measured"]
    rows = [
        (
            f"{name}, validation (measured, network)",
            *(_worth(terms, one["quality"]) for one in (base, ours)),
        ),
        (f"{name}, validation (measured, file)", "", _worth(terms, file.quality)),
        (
            f"{name}, test (measured, file)",
            *(_test(terms, looks) for looks in (card.baseline_test_looks, card.test_looks)),
        ),
        _exact(FIGURE["model_bytes"].measured, base, file.to_json()),
        _exact(FIGURE["packed_bytes"].measured, base, file.to_json()),
        *(_exact(FIGURE[name], base, ours) for name in ("payload_bytes", "parameters", "macs")),
        _predicted(card, FIGURE["latency_ms"]),
        _predicted(card, FIGURE["peak_memory_bytes"]),
        (on_host.label(about="host, 1 thread"), "", on_host.exact.text(file.latency_host_ms)),
        (alive.label(_SHORT_KIB, "file"), "", _SHORT_KIB.text(file.peak_tensor_bytes)),
        (_loyalty(card), "", _share(ours["label_loyalty"])),
        *_runtime(base, ours),
        *micro_rows(base, ours),
        *(_exact(FIGURE[name], base, ours) for name in _OF_NPU if ours.get(name) is not None),
    ]
    return table(("figure", "baseline", "this model"), rows)


def _runtime(base: Mapping[str, Any], ours: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Returns the oldest runtimes that load the files; nothing in cards of older versions."""
    first, second = (markdown(one.get("minimum_runtime") or "") for one in (base, ours))
    return [("oldest TensorFlow Lite that loads it (counted)", first, second)] if first or second else []


def _waterfall(card: Card) -> str:
    terms = QualityTerms.of(card.metrics)
    figures = [figure.heading(form) for figure, form in _AFTER_A_STEP]
    names = ("", "step", "stage", FIGURE["quality"].title, *figures, FIGURE["train_epochs"].title)
    return table(names, [_waterfall_row(row, terms) for row in card.waterfall])


def _waterfall_row(row: Mapping[str, Any], terms: QualityTerms) -> tuple[str, ...]:
    return (
        str(row["position"]),
        markdown_code(row["step"]) if row["position"] else markdown(row["step"]),
        markdown(row["stage"]),
        _worth(terms, row["quality"]),
        *(
            _range(form, *(row[name] for name in (figure.name, *figure.ends)))
            if figure.of_device
            else form.text(row[figure.name])
            for figure, form in _AFTER_A_STEP
        ),
        FIGURE["train_epochs"].exact.text(row["epochs"]),
    )


def _predictions(rows: Sequence[PredictedFigure]) -> str:
    """Returns what the model is predicted to cost, a line a device and quantity."""
    lines = []
    for row in rows:
        name, form = _named(row.quantity)
        value = f"{_range(form, row.value, row.low, row.high)} {form.unit}".strip()
        said = (row.device, row.setup or "default", name, value, row.status)
        lines.append(tuple(markdown(text) for text in said))
    return table(("device", "set-up", "figure", "predicted", "status"), lines)


def _named(quantity: str) -> tuple[str, Form]:
    """Returns what a device's quantity is called and how it is written; as it is, where nobody knows it."""
    if quantity not in FIGURE or not FIGURE[quantity].of_device:
        return quantity, Form("", 2)
    figure = FIGURE[quantity]
    return figure.long_title or figure.title, _card_form(figure)


def _card_form(figure: Figure) -> Form:
    return _KIB if figure.exact.unit == "B" else figure.brief


def _exact(figure: Figure, base: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[str, str, str]:
    text, name = figure.exact.text, figure.name
    return figure.label(), text(base[name]), text(ours[name])


def _predicted(card: Card, figure: Figure) -> tuple[str, str, str]:
    form = _card_form(figure)
    base, ours = (_interval(figures, figure, form) for figures in (card.baseline, card.metrics))
    return figure.label(form, markdown(card.device)), base, ours


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
        if "equalized" in notes:
            lines.append(f"- step {step['position']} equalized {markdown(notes['equalized'])}")
        lines += [
            f"- step {step['position']} did not correct the mean of {markdown_code(layer)}: {markdown(why)}"
            for layer, why in (notes.get("not_corrected") or {}).items()
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


def _structure(card: Card) -> str:
    return (
        f"Of the file, {card.artifact.structure_bytes:,} bytes are structure: all but weights, biases, "
        f"scales and zero points. Dropped: {markdown(', '.join(card.dropped))}."
    )


def _deliveries(card: Card) -> list[str]:
    """Returns the forms that lie beside the file, each with its size and the proof that it is the network."""
    if not card.deliveries:
        return []
    sizes = _bytes(card.artifact.model_bytes), _bytes(card.metrics["payload_bytes"])
    rows = [
        (
            markdown_code(form.file),
            sizes[0],
            _bytes(form.bytes),
            sizes[1],
            markdown(form.holds),
            _run_beside(card, form),
        )
        for form in card.deliveries
    ]
    names = ("form", "model.tflite, B", "this form, B", "payload, B", "what it holds", "beside the network")
    return ["## Other forms", table(names, rows)]


def _run_beside(card: Card, form: Delivery) -> str:
    """Returns how a form compares: with the network, or byte by byte with the file."""
    figures = form.figures
    if "npu_operators" in figures:
        return "compiled from model.tflite, not run: there is no Ethos-U here, its figures are estimates"
    if "agreement" not in figures:
        return "holds the bytes of model.tflite"
    share, images = f"{100 * figures['agreement']:.2f} %", f"{figures['images']:,} {inputs_said(card)}"
    agreed = (
        f"{share} of the numbers alike on {images}"
        if card.numbers
        else f"the same label on {share} of {images}"
    )
    ran = f", run by {markdown(str(figures['runtime']))}" if "runtime" in figures else ""
    return f"{agreed}, largest difference {figures['largest_difference']:.4g}{ran}"


def _provenance(card: Card) -> str:
    lines = [f"- {markdown(name)}: {markdown_code(digest)} (SHA-256)" for name, digest in card.files.items()]
    weights = markdown_code(card.weights_digest)
    lines.append(f"- weights: {weights} (SHA-256 over names, types, shapes and bytes)")
    lines += [f"- {markdown(line)}" for line in card.remarks]
    numbers = ", ".join(f"{name} {number}" for name, number in card.versions.items())
    lines.append(f"- versions: {markdown(numbers)}")
    budget = f"{card.epochs_per_step:g} epochs after every step, {card.threads} thread(s)"
    lines.append(f"- data: {markdown_code(card.data)}; seed {card.seed}, {budget}")
    lines.append(f"- test split: {_looks(QualityTerms.of(card.metrics), card.test_looks)}")
    lines.append("- licence: that of the network and data it was made from; Atoll itself is Apache-2.0")
    where = "in an empty folder" if card.study else "beside its files"
    if card.commands:
        code = map(line_of_code, card.commands)
        lines += [f"- made again, {where}, by:", "", "```sh", *code, "```"]
    return "\n".join(lines)


def _looks(terms: QualityTerms, looks: Sequence[TestLook]) -> str:
    """Returns how often the test split was looked at, for only the first look tells the truth."""
    if not looks:
        return "not looked at"
    commands = (markdown_code(f"atoll {look.command}") for look in looks)
    said = ", ".join(f"{_test(terms, [look])} by {how}" for look, how in zip(looks, commands, strict=True))
    times = "once" if len(looks) == 1 else f"{len(looks)} times"
    return f"looked at {times} with this model: {said}"


def _loyalty(card: Card) -> str:
    label = FIGURE["label_loyalty"].label()
    return label.replace("label loyalty to", "the same numbers as") if card.numbers else label


def _share(value: float | None) -> str:
    return "" if value is None else f"{PERCENT.text(value)} {PERCENT.unit}"


def _bytes(value: int) -> str:
    return FIGURE["model_bytes"].exact.text(value)


def _range(form: Form, value: float | None, low: float, high: float) -> str:
    if value is None:
        return _UNKNOWN
    if low == value == high:  # counted, or a compiler's estimate: nobody knows how far it is off
        return form.text(value)
    return f"{form.text(value)} ({form.text(low)} to {form.text(high)})"


def _interval(figures: Mapping[str, Any], figure: Figure, form: Form) -> str:
    ends = _range(form, *(figures[name] for name in (figure.name, *figure.ends)))
    if ends == _UNKNOWN:
        return markdown(figures[figure.status])
    joint = ", " if ends.endswith(")") else " ("
    return f"{ends.removesuffix(')')}{joint}{markdown(figures[figure.status])})"


def _worth(terms: QualityTerms, quality: float | None) -> str:
    return markdown(terms.said(quality))


def _test(terms: QualityTerms, looks: Sequence[TestLook]) -> str:
    """Returns the first look at the test split; later ones chose nothing, but they knew it."""
    return f"{_worth(terms, looks[0].quality)} ({markdown(looks[0].at[:10])})" if looks else "not looked at"
