"""`atoll predict`: what a recipe, a stored trial or a file would cost on a device, without training."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ...evaluators.ranking.figures import FIGURE
from ...spaces.errors import AtollError
from ..terminal.said import say, tell
from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import Column, FormatOption, print_json, print_table

#: what `search/api/predictions.py` takes where nothing is said; here for the help text, which imports nothing
NETWORK, INPUT, CLASSES = "baseline_cnn", "64x64x3", 35
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
        typer.Option(
            metavar="HEIGHTxWIDTHxCHANNELS",
            help=f"Size of one input, LENGTHxCHANNELS of a series; {INPUT} if not given.",
        ),
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
        str | None,
        typer.Option(
            metavar="STUDY",
            help="Study of --trial, the newest if not given; with a RECIPE a study file or a study of the "
            "store, whose network is priced.",
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:SETUP]", help="See `atoll devices`; the study's, else coral-dev-board, if none."
        ),
    ] = None,
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
    if sum(given is not None for given in (recipe, artifact, trial)) != 1:
        raise AtollError("predict: give one of RECIPE, --artifact FILE.tflite and --trial TRIAL")
    if recipe is None and any(given is not None for given in (network, input, classes)):
        raise AtollError(
            "predict: --network, --input and --classes go with a RECIPE; a file or trial has its own"
        )
    if artifact is not None and study is not None:
        raise AtollError("predict: --study goes with a RECIPE or --trial; a file has its own network")
    from ...hw_models.fitting.measurements import parse_size
    from ...spaces.recipes.recipe import Recipe
    from ..api.predictions import predict as predict_one
    from ..api.predictions import predict_trial

    if trial is not None:
        found = predict_trial(trial, store, study=study, device=device, setup=setup)
    else:
        found = predict_one(
            artifact or Recipe.parse(recipe or ""),
            network=network,
            input_shape=None if input is None else parse_size(input, "--input", of_images=False),
            classes=classes,
            study=study,
            store=store,
            device=device,
            setup=setup,
        )
    for note in found.notes:
        say(note)
    shown = found.to_json()
    if format == "json":
        print_json(shown)
        return
    print_table(
        [{"quantity": quantity, **_rounded(quantity, value)} for quantity, value in shown.items()],
        COLUMNS,
        format,
        title=f"{found.title} on {found.device}, set-up {found.setup}",
    )
    if format == "table":
        tell(f"{found.macs:,} multiply-accumulates; {found.flops}")


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
