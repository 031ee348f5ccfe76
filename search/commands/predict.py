"""`atoll predict`: what a recipe, a stored trial or a file would cost on a device, without training."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ...evaluators.ranking.figures import FIGURE, METRICS
from ...spaces.errors import AtollError
from ..terminal.said import say, tell
from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import Column, FormatOption, print_json, print_table

#: the papers' network and images, with the classes of PUB-III
NETWORK, INPUT, CLASSES = "baseline_cnn", "64x64x3", 35
PREDICTED = tuple(figure for figure in METRICS if figure.kind == "predicted")
COLUMNS = (
    Column("quantity"),
    Column("value", kind="predicted", spec=","),
    Column("low", kind="predicted", spec=","),
    Column("high", kind="predicted", spec=","),
    Column("status"),
    Column("setup"),
)


def predict(
    recipe: Annotated[
        str | None, typer.Argument(metavar="[RECIPE]", help='Such as "quantize(bits=8)", or baseline.')
    ] = None,
    network: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Network of the zoo; {NETWORK} if not given.")
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(metavar="HEIGHTxWIDTHxCHANNELS", help=f"Size of one image; {INPUT} if not given."),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(metavar="N", help=f"Number of classes; {CLASSES} if not given.")
    ] = None,
    artifact: Annotated[
        Path | None, typer.Option(metavar="FILE.tflite", help="Price this file instead of a recipe.")
    ] = None,
    trial: Annotated[
        str | None, typer.Option(metavar="TRIAL", help="Price a stored trial: its name, recipe, or `best`.")
    ] = None,
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="Study of --trial; the newest if not given.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    device: Annotated[
        str, typer.Option(metavar="NAME[:SETUP]", help="See `atoll devices`.")
    ] = "coral-dev-board",
    setup: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Measurement set-up. If none is chosen the figure is the device's first, "
            "and the interval holds those of all set-ups.",
        ),
    ] = None,
    format: FormatOption = "table",
) -> None:
    """Predict latency, peak memory and file size on a device, with 90 % intervals.

    Nothing is trained: the structure alone is priced. Where a step's structure depends on data, the figures
    are a lower bound.
    """
    from ...hw_models.devices.device import Device
    from .pricing import priced_file, priced_recipe, priced_trial

    if sum(given is not None for given in (recipe, artifact, trial)) != 1:
        raise AtollError("predict: give one of RECIPE, --artifact FILE.tflite and --trial TRIAL")
    if recipe is None and any(given is not None for given in (network, input, classes)):
        raise AtollError(
            "predict: --network, --input and --classes go with a RECIPE; a file or trial has its own"
        )
    board = Device.load(device)
    if setup is not None and board.setup not in (None, setup):
        raise AtollError(f"predict: got the set-ups {board.setup} and {setup}, allowed is one of them")
    if artifact is not None:
        priced = priced_file(artifact)
    elif trial is not None:
        priced = priced_trial(store, study, trial)
    else:
        priced = priced_recipe(
            recipe or "", network or NETWORK, input or INPUT, CLASSES if classes is None else classes
        )
    predictions = board.predict(priced.table, setup, priced.model_bytes)
    shown: dict[str, dict[str, Any]] = {
        figure.name: predictions[figure.name].to_json() for figure in PREDICTED if figure.name in predictions
    }
    # the file is lowered from the structure byte by byte: no interval; a lower bound has no upper end
    exact = priced.size_status == "interpolated"
    shown["model_bytes"] = {
        "value": priced.model_bytes,
        "low": priced.model_bytes,
        "high": priced.model_bytes if exact else None,
        "status": priced.size_status,
        "setup": "",
    }
    chosen = board.about.setup(setup or board.setup).name
    lacking = [f"{name} was never measured in set-up {chosen}" for name in board.lacking(setup)]
    for note in (*lacking, *board.gaps(priced.table, setup), *priced.notes):
        say(note)
    if format == "json":
        print_json(shown)
        return
    if setup is None and board.setup is None and len(board.about.comparable("latency_ms")) > 1:
        chosen = f"{chosen}, intervals with the spread between set-ups"
    print_table(
        [{"quantity": quantity, **_rounded(quantity, value)} for quantity, value in shown.items()],
        COLUMNS,
        format,
        title=f"{priced.title} on {board.name}, set-up {chosen}",
    )
    if format == "table":
        tell(f"{priced.table.macs:,} multiply-accumulates; {priced.flops}")


def _rounded(quantity: str, shown: dict[str, Any]) -> dict[str, Any]:
    """Returns the figures as a reader wants them: whole bytes, four digits of anything else."""
    return {
        key: value
        if isinstance(value, str) or value is None
        else round(value)
        if FIGURE[quantity].exact.digits == 0
        else float(f"{value:.4g}")
        for key, value in shown.items()
    }
