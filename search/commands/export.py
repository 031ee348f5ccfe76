"""`atoll export`: from a trial to the folder that ships."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...evaluators.ranking.figures import FIGURE
from ...spaces.errors import AtollError
from ..terminal.said import say
from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import Column, Format, FormatOption, print_record
from .network_words import BEST, Words, export_alone
from .search import TrustOption

if TYPE_CHECKING:
    from ..api.exports import Exported


def export(
    trial: Annotated[
        str, typer.Argument(help="Name of a trial, its recipe, or `best`; of a network a recipe.")
    ] = BEST,
    study: Annotated[
        str | None,
        typer.Option(metavar="STUDY", help="Which study, by its name or file; the newest if none."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Where to; exports/STUDY-TRIAL if none."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which `best`; the study's profile if none.")
    ] = None,
    any_agreement: Annotated[
        bool,
        typer.Option(
            "--any-agreement", help="Write also a file that disagrees with its network and is worse."
        ),
    ] = False,
    any_float: Annotated[
        bool, typer.Option("--any-float", help="Write also a file with float where integers were asked for.")
    ] = False,
    pack: Annotated[
        bool, typer.Option("--pack", help="Write also a compressed container, with readers in Python and C.")
    ] = False,
    c_array: Annotated[
        bool,
        typer.Option("--c-array", help="Write also a C header with the file's bytes and its arena size."),
    ] = False,
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="FORM", help="Write also onnx, executorch, torch_export or vela; repeatable."),
    ] = None,
    no_thumbnails: Annotated[
        bool, typer.Option("--no-thumbnails", help="Show no validation images beside the card.")
    ] = False,
    network: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Export no trial: a network as it is, or by a recipe that trains nothing."
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="Of the network: .safetensors, .pt or .pth.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="PLACE", help="What a recipe measures on: data, or pictures without labels."),
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Of the network: HEIGHTxWIDTHxCHANNELS, such as 224x224x3."),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(metavar="N", help="Of the network, where the data do not tell them.")
    ] = None,
    normalize: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="How the network's pixels are scaled: imagenet, half, unit, none."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the network: whose latency its card predicts.")
    ] = None,
    trust: TrustOption = False,
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
) -> None:
    """Export a trial as a verified LiteRT file with its weights, recipe and model card.

    With --network, a network without a study: NAME is one of the zoo, file.py:NAME, package.module:NAME, or a
    .pt2 file, as `task: network:` of a study has it.
    """
    from ..api.exports import export as export_one

    forms = [*(also or ()), *["pack"] * pack, *["c_array"] * c_array]
    own = Words(weights, data, input, classes, normalize, device)
    if network is not None:
        if study is not None or profile is not None:
            raise AtollError("got --network with --study or --profile, allowed is one of them")
        exported = export_alone(
            network, trial, output, own, any_agreement, any_float, not no_thumbnails, forms
        )
    elif own != Words():
        raise AtollError(f"got {own.options()} without --network, whose they are; a trial has its own")
    else:
        exported = export_one(
            trial,
            store,
            output,
            study=study,
            profile=profile,
            any_agreement=any_agreement,
            any_float=any_float,
            thumbnails=not no_thumbnails,
            trust=trust,
            also=forms,
        )
    _show(exported, format)


def _show(exported: "Exported", format: Format) -> None:
    """Prints what was written."""
    from ...evaluators.ranking.quality_terms import QualityTerms

    card, folder = exported.card, exported.folder
    report, terms = card["artifact"], QualityTerms.of(card["metrics"])
    figures = {
        "folder": str(folder),
        "recipe": card["recipe"],
        "model_bytes": report["model_bytes"],
        "packed_bytes": report["packed_bytes"],
        "payload_bytes": card["metrics"]["payload_bytes"],
        "structure_bytes": report["structure_bytes"],
        **{f"{form['form']}_bytes": form["bytes"] for form in card["deliveries"]},
        "compression_ratio": exported.compression_ratio,
        "quality": report["quality"],
        "quality_of_network": card["metrics"]["quality"],
        "quality_of_baseline": card["baseline"]["quality"],
        "agreement": report["agreement"],
        "largest_difference": report["largest_difference"],
        "largest_difference_lsb": report["largest_difference_lsb"],
        "images": report["images"],
        "latency_host_ms": report["latency_host_ms"],
    }
    file = FIGURE["model_bytes"].measured
    columns = [
        Column("folder"),
        Column("recipe"),
        Column.exact(file),
        Column.exact(FIGURE["packed_bytes"]),
        Column.exact(FIGURE["payload_bytes"]),
        Column.exact(file, "structure_bytes"),
        *(Column.exact(file, f"{form['form']}_bytes") for form in card["deliveries"]),
        Column.exact(FIGURE["compression_ratio"].measured),
        *(
            Column.exact(terms.figure(FIGURE["quality"]), name, terms.stored_heading)
            for name in ("quality", "quality_of_network", "quality_of_baseline")
        ),
        Column.exact(FIGURE["agreement"]),
        Column("largest_difference", "", "measured", ".4g"),
        Column("largest_difference_lsb", "LSB", "measured", ".2f"),
        Column("images", "", "measured"),
        Column.exact(FIGURE["latency_host_ms"].measured),
    ]
    print_record(figures, columns, format, f"exported and verified: {folder}")
    for form in card["deliveries"]:
        say(f"{form['file']} holds {form['holds']}")
    say(f"dropped from model.tflite: {', '.join(card['dropped'])}")
    for remark in card["remarks"]:
        say(remark)
