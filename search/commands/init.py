"""`atoll init`: a study file from a network, its weights and data."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...spaces.errors import AtollError
from ..terminal.said import say, tell

if TYPE_CHECKING:
    from ..first_steps.found_data import FoundData

#: as `search/study/study.py` has it; here for the help text, which imports nothing
DEVICE = "coral-dev-board"


def init(
    network: Annotated[
        str | None,
        typer.Option(metavar="nets.py:build", help="What builds it; also a name of the zoo, a .pt2 file."),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="State dict: .safetensors, .pt or .pth.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Folder of pictures by class, Parquet, .npz, CIFAR.")
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(metavar="HEIGHTxWIDTH", help="Size that images are brought to; theirs if none."),
    ] = None,
    normalize: Annotated[
        str | None, typer.Option(metavar="NAME", help="Scaling of pixels: imagenet, half, unit, none.")
    ] = None,
    expected_quality: Annotated[
        float | None, typer.Option(metavar="X", help="Of the given network, such as 0.975.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the study.")] = None,
    device: Annotated[str, typer.Option(metavar="NAME[:SETUP]", help="See `atoll devices`.")] = DEVICE,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.yaml", help="The study file.")
    ] = Path("study.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write a study file from a network, its weights and data; asks on a terminal for what is missing.

    Weights and some of the data are looked at, no code is run. `atoll check` then looks at the whole.
    """
    if output.exists() and not force:
        raise AtollError(
            f"init: {output} exists; name another file with --output, or overwrite it with --force"
        )
    from ..first_steps.draft import Answers, draft
    from ..first_steps.found_data import look_at_data
    from ..first_steps.found_weights import look_at_weights
    from ..study.study_checks import check_device
    from ..study.study_file import check_text

    asks = sys.stdin.isatty()
    check_device(device)
    chosen = network or _asked(asks, "--network", "what builds the network, such as nets.py:build")
    if weights is None and network is None and asks:
        weights = _path(_ask("file of its weights, a state dict (Enter for none)", ""))
    found_weights = None if weights is None else look_at_weights(weights)
    place = data or Path(_asked(asks, "--data", "where the data are, such as a folder of pictures by class"))
    found = look_at_data(place)
    _say_found(found)
    if found.are_pictures and found.size is None and input is None:
        input = _asked(asks, "--input", f"HEIGHTxWIDTH for the network; pictures come as {_sizes(found)}")
    if found.are_pictures and normalize is None and asks:
        said = "how pixels were scaled in its training: imagenet, half (to -1..1), unit (to 0..1), none"
        normalize = _ask(f"{said} (Enter if unknown)", "") or None
    answers = Answers(chosen, place, weights, input, normalize, device, name, expected_quality)
    text = draft(answers, found, found_weights, output)
    check_text(text, output)
    try:
        with output.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise AtollError(f"init: {output} exists; --force overwrites it") from error
    except OSError as error:
        raise AtollError(f"init: cannot write {output}: {error.strerror or error}") from error
    tell(f"{output}: look at it with `atoll check {output}`")


def _asked(asks: bool, flag: str, what: str) -> str:
    """Returns an answer; where nobody can be asked, says which flag is missing."""
    if not asks:
        raise AtollError(f"init: {flag} is missing: {what}")
    return _ask(what)


def _ask(what: str, default: str | None = None) -> str:
    ask: Callable[..., str] = typer.prompt
    return ask(what, default=default, show_default=False, err=True)


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _say_found(found: "FoundData") -> None:
    classes = f", {len(found.classes)} classes" if found.per_class else ", targets are numbers"
    say(f"data: {found.total:,} items{classes}; sizes {_sizes(found)}")
    if found.unreadable:
        say(f"data: {found.unreadable} of {found.looked_at} cannot be read: {found.first_unreadable}")


def _sizes(found: "FoundData") -> str:
    shown = ["x".join(map(str, shape[1:] or shape)) for shape in found.shapes]
    sizes = list(dict.fromkeys(shown))
    return ", ".join(sizes[:3]) + (", …" if len(sizes) > 3 else "")
