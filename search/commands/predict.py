"""`atoll predict`: what a recipe would cost on a device, without training anything."""

import sys
from typing import Annotated, Any

import typer

from ..tables import Column, FormatOption, print_json, print_table

COLUMNS = (
    Column("quantity"),
    Column("value", kind="predicted", spec=",.6g"),
    Column("low", kind="predicted", spec=",.6g"),
    Column("high", kind="predicted", spec=",.6g"),
    Column("status"),
)


def predict(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help='Such as "quantize(bits=8)", or baseline.')],
    network: Annotated[str, typer.Option(metavar="NAME", help="Network of the zoo.")] = "baseline_cnn",
    input: Annotated[
        str, typer.Option(metavar="HEIGHTxWIDTHxCHANNELS", help="Size of one image.")
    ] = "64x64x3",
    classes: Annotated[int, typer.Option(metavar="N", help="Number of classes.")] = 35,
    device: Annotated[str, typer.Option(metavar="NAME", help="See `atoll devices`.")] = "coral-dev-board",
    setup: Annotated[
        str | None, typer.Option(metavar="NAME", help="Measurement set-up; the device's first if not given.")
    ] = None,
    format: FormatOption = "table",
) -> None:
    """Predict latency, peak memory and file size of a recipe on a device, with 90 % intervals.

    Nothing is trained: the structure alone is priced. Where a step's structure depends on data, the figures
    are a lower bound.
    """
    from ...evaluators.artifact import model_bytes
    from ...hw_models.device import Device
    from ...hw_models.layer_table import layer_table
    from ...hw_models.measurements import parse_size
    from ...hw_models.planned import planned
    from ...hw_models.prediction import Prediction
    from ...spaces.layers.structure import structure as describe
    from ...spaces.order import check_order
    from ...spaces.recipe import Recipe

    board = Device.load(device)
    steps = check_order(Recipe.parse(recipe))
    shape = parse_size(input, "--input")
    structure = planned(steps, network, shape, classes)
    table = layer_table(structure, shape, network)
    size = model_bytes(structure, shape)
    predictions = board.predict(table, setup, size)
    # the file is lowered from the structure byte by byte: no interval
    predictions["model_bytes"] = Prediction(size, size, size, "interpolated")

    notes = [f"{step} is a lower bound" for step in steps if not step.plan_is_exact]
    structures = [describe(planned(prefix, network, shape, classes)) for prefix in steps.prefixes()]
    for step, before, after in zip(steps, structures, structures[1:], strict=False):
        if step.stage != "training" and before == after:
            notes.append(f"{step} changes nothing in this network")
    for note in (*board.gaps(table), *notes):
        print(f"atoll: {note}", file=sys.stderr)
    shown: dict[str, Any] = {quantity: value.to_json() for quantity, value in predictions.items()}
    if format == "json":
        print_json(shown)
        return
    rows = [{"quantity": quantity, **value} for quantity, value in shown.items()]
    title = f"{steps} of {network} on {device}, set-up {setup or next(iter(board.setups))}"
    print_table(rows, COLUMNS, format, title=title)
