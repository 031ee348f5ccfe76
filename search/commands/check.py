"""`atoll check`: a study looked at before it is searched."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..terminal.amounts import duration, size
from ..terminal.said import say
from ..terminal.tables import Column, FormatOption, print_json, print_table

if TYPE_CHECKING:
    from ...evaluators.measuring.measure import Price
    from ..first_steps.checked import Checked
    from ..first_steps.reach import Reach

#: layers that the table shows, those that take the most; JSON has all
_LAYERS = 12
_FACTS = (Column("what"), Column("found"))
_LAYER_COLUMNS = (
    Column("layer"),
    Column("kind"),
    Column("bytes_share", "%", "counted", ".1%", "bytes"),
    Column("macs_share", "%", "counted", ".1%", "MACs"),
    Column("latency_share", "%", "predicted", ".1%", "time"),
    Column("latency_ms", "ms", "predicted", ".3g", "alone"),
)
_REACH_COLUMNS = (
    Column("technique"),
    Column("weights_share", "%", "counted", ".0%", "weights"),
    Column("left", title="left alone"),
)


def check(
    study: Annotated[str, typer.Argument(metavar="STUDY.yaml", help="Study file.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.png", help="Contact sheet; beside the study if none."),
    ] = None,
    images: Annotated[int, typer.Option(metavar="N", min=20, help="Images that are decoded at most.")] = 500,
    format: FormatOption = "table",
) -> None:
    """Look at a study before it is searched: network, data, training, layers, techniques, costs.

    Takes less than a minute; what is wrong is said with what mends it. Of large data a sample is decoded.
    """
    from ..first_steps.checked import check_study
    from ..study.study_file import STUDIES_FOLDER, find_study_file

    file = find_study_file(study)
    folder = Path() if file.parent == STUDIES_FOLDER else file.parent
    found = check_study(file, output or folder / f"{file.stem}_images.png", say, images)
    if format == "json":
        print_json(found.to_json())
        return
    facts = [{"what": what, "found": said} for what, said in _facts(found)]
    print_table(facts, _FACTS, format, title=f"{file}: nothing was searched")
    if format == "table":
        print_table(_layers(found), _LAYER_COLUMNS, title="\nlayers, those that take the longest first")
        print_table(_reach(found), _REACH_COLUMNS, title="\nwhat techniques reach")
    for problem in found.problems:
        say(f"to mend: {problem}")
    if not found.problems:
        say("nothing to mend was found")


def _facts(found: "Checked") -> Iterator[tuple[str, str]]:
    """Yields what was found, in a line each."""
    from ..first_steps.costs import finalists_said
    from ..first_steps.space import legal_said

    price = found.price
    shape = "x".join(map(str, found.input_shape))
    gives = f"{found.classes} classes" if found.classes else "numbers out"
    yield "network", f"{found.network}: {shape} in, {gives}"
    yield "size", f"{price.parameters:,} parameters, {price.macs:,} MACs, {size(price.model_bytes)}"
    yield found.study.device, _latency(price, with_ends=True)
    for gap in found.gaps:
        yield "", gap
    needs = f"needs {price.need.release or f'more than is known ({price.need.reason})'}"
    if found.study.runs_on is not None and found.study.runs_on.is_micro:
        needs = f"{price.need.micro}, with an arena of {size(price.arena.bytes)}"
    yield "runtime", f"{found.study.runs_on or 'none named'}; the network as it is {needs}"
    if found.eight_bits is not None:
        eight = found.eight_bits.price
        figures = f"{_latency(eight)}, {size(eight.model_bytes)}"
        chip, mapped = found.eight_bits.edge_tpu, eight.ethos_u_mappable
        mapped = chip.mappable if chip else mapped
        yield "in 8 bits", figures + ("" if mapped is None else f", {mapped:.0%} of operators on the chip")
    judged = found.judged
    unit = "" if judged.unit == "%" else f" {judged.unit}"
    yield "quality", f"{judged.quality:.4g}{unit} on {judged.images:,} validation images, as it was given"
    if judged.by_scaling:
        yield "by scaling", ", ".join(f"{name} {value:.4g}" for name, value in judged.by_scaling.items())
    seen = sum(found.looked_at.values())
    splits = ", ".join(f"{count:,} {name}" for name, count in found.looked_at.items())
    yield "images", f"{found.images:,}, looked at {seen:,}: {splits}"
    for line in found.data[1:]:
        yield "", line
    if found.decode_s is not None:
        yield "decoding", f"about {duration(found.decode_s)} for all, once"
    if found.sheet is not None:
        yield "contact sheet", str(found.sheet[0])
    if found.pace is not None and found.costs is not None:
        pace, costs = found.pace, found.costs
        yield "a batch", f"{1e3 * pace.step_s:.4g} ms of {pace.batch_size} images, mean of {pace.timed}"
        yield "one epoch", f"about {duration(costs.epoch_s)}"
        yield "baseline", f"about {duration(costs.baseline_s)}; everything else waits for it"
        yield "reference set", f"about {duration(costs.fixed_s)}"
        ensemble = duration(costs.ensemble_s)
        yield "an ensemble", f"about {ensemble} of training on average, by {costs.workers} worker(s)"
        yield "", "what techniques compute before it, such as fits of layers, comes on top"
        yield "finalists", finalists_said(found.study, costs)
        search_s = costs.search_s
        yield "the search", "no limit" if search_s is None else f"at least {duration(search_s)}"
        yield "memory", f"about {size(costs.memory_bytes)}; {size(costs.free_memory_bytes)} are free"
        yield (
            "disk",
            f"at most {size(costs.disk_bytes)} of step cache; {size(costs.free_disk_bytes)} are free",
        )
    yield "legal recipes", legal_said(found.study, found.legal)
    yield "ruled out", str(found.ruled)


def _latency(price: "Price", with_ends: bool = False) -> str:
    value, low, high, status = price.latency_ms
    if value is None:
        return status
    return f"{value:.3g} ms predicted" + f" ({low:.3g} to {high:.3g}); {status}" * with_ends


def _layers(found: "Checked") -> list[dict[str, Any]]:
    """Returns the layers that take the longest, and the others together."""
    layers = sorted(
        found.layers, key=lambda layer: (layer.latency_share or 0, layer.macs_share), reverse=True
    )
    rows: list[dict[str, Any]] = [vars(layer) for layer in layers[:_LAYERS]]
    rest = layers[_LAYERS:]
    if rest:
        names = ("bytes_share", "macs_share", "latency_share", "latency_ms")
        sums = {name: sum(getattr(layer, name) or 0.0 for layer in rest) for name in names}
        rows.append({"layer": f"{len(rest)} others", "kind": "", **sums})
    return rows


def _reach(found: "Checked") -> list[dict[str, Any]]:
    return [{**vars(reach), "left": reach.remark or _left(reach)} for reach in found.reach]


def _left(reach: "Reach") -> str:
    """Returns which layers are left alone and why, the most frequent reasons."""
    if not reach.left_alone:
        return "nothing"
    said = []
    for why in list(reach.reasons)[:2]:
        first, *others = [name for name, told in reach.left_alone.items() if told == why]
        said.append(f"{first}{f' and {len(others)} more' if others else ''}: {why}")
    layers = f"{len(reach.left_alone)} layer{'s' * (len(reach.left_alone) != 1)}"
    return layers + (f", {'; '.join(said)}" if said else "")
