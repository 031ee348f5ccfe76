"""`atoll verify`: computes an export's figures again, from its files."""

from pathlib import Path
from typing import Annotated

import typer

from ...spaces.errors import AtollError
from ..terminal.said import say, tell
from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import Column, Format, FormatOption, print_json, print_table

DIFFERENT = 1  # exit status where a figure differs or an operator does not map; 2 is wrong input

SHA256_DIGITS = 64

OPERATOR_COLUMNS = [Column(name) for name in ("operator", "version", "layer", "runs_on", "reason")]
COLUMNS = [Column("figure"), Column("card"), Column("recomputed", kind="measured"), Column("verdict")]
RUNTIME_COLUMNS = [
    Column("kernels"),
    Column("outcome"),
    *(
        Column(name, kind="measured")
        for name in ("agreement", "largest_difference", "quality", "network_quality")
    ),
]
# In a table every sentence would stand beside many figures: there it is said once, below.
WHY = Column("why")


def verify(
    folder: Annotated[Path, typer.Argument(help="What `atoll export` wrote.")],
    test: Annotated[
        bool, typer.Option("--test", help="Look at the test split again and write that into the card.")
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Say instead what of the file would run there: coral-edge-tpu, litert-micro or ethos-u….",
        ),
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Run the file instead in this release of the runtime, such as tflite-2.14 or litert-1.4.",
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Run also what may be code: files that others wrote, in any form."),
    ] = False,
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
) -> None:
    """Recompute the figures of an export from its files and say which differ (exit status 1).

    Nothing is run that somebody else may have written, without --trust: forms whose files can run code are
    not compared, nor is a model.tflite of which Atoll would not write the same bytes.

    With --device, say which operators the device runs, the first that it does not and its layer, whether the
    parameters find room on its chip, and what to change in the recipe (exit status 1 if anything does not run
    there). The file is compiled where the device's compiler is installed and Atoll would write the same
    bytes, or with --trust; else it is pre-checked. For litert-micro its interpreter is such a compiler (the
    extra `micro`): it accepts the file in the arena that is claimed, or says why not. For ethos-u… that is
    Vela (the extra `ethos`), whose times are estimates.

    With --runtime, install that release from the package index, where it was not before, into the cache and
    run the file there over the validation images beside its network (exit status 1 if it is refused or gives
    something else).
    """
    if runtime is not None:
        if device is not None or test:
            raise AtollError("got --runtime with --device or --test, allowed is one of them")
        _run_in(folder, runtime, trust, format)
        return
    if device is not None:
        _pre_check(folder, device, trust, format)
        return
    from ..api.exports import verify as verify_folder

    found = verify_folder(folder, trust, test=test, store=store)
    shown = [row.to_json() for row in found.rows]
    if format == "table":
        shown = [{name: _text(value) for name, value in row.items()} for row in shown]
    columns = COLUMNS if format == "table" else [*COLUMNS, WHY]
    print_table(shown, columns, format, f"{folder} against its card")
    for note in found.notes:
        say(note)
    if not found.passed:
        unseen = "; the test split was not looked at" if test and not found.looked_at_test else ""
        say(f"{folder} is not what its card says: {', '.join(found.differing)} differ{unseen}")
        raise typer.Exit(DIFFERENT)


def _pre_check(folder: Path, device: str, trust: bool, format: Format) -> None:
    from ...hw_models.devices.device import npu_of
    from ...hw_models.runtimes.micro import MICRO
    from ..export.ethos_check import EthosCheck, ethos_check
    from ..export.micro_check import MicroCheck, micro_check
    from ..export.pre_check import PreCheck, pre_check

    found: PreCheck | MicroCheck | EthosCheck
    if device == MICRO:
        found = micro_check(folder, trust)
    elif npu_of(device) is not None:
        found = ethos_check(folder, device, trust)
    else:
        found = pre_check(folder, device, trust)
    if format == "json":
        print_json(found.to_json())
    else:
        rows = found.rows()
        columns = [one for one in OPERATOR_COLUMNS if not rows or one.name in rows[0]]
        print_table(rows, columns, format, f"{folder} on {device}")
    if format == "table":
        tell("\n".join(found.sentences()))
    if not found.passed:
        raise typer.Exit(DIFFERENT)


def _run_in(folder: Path, name: str, trust: bool, format: Format) -> None:
    from ..export.runtime_check import runtime_check

    found = runtime_check(folder, name, trust, say)
    if format == "json":
        print_json(found.to_json())
    else:
        columns = RUNTIME_COLUMNS if format == "table" else [*RUNTIME_COLUMNS, Column("reason")]
        print_table(found.rows(), columns, format, f"{folder} in {name}")
    if format == "table":
        tell("\n".join(found.sentences()))
    if not found.passed:
        raise typer.Exit(DIFFERENT)


def _text(value: object) -> str:
    """Returns a value as a table shows it: enough of a digest to know it by, a number's six digits."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = "" if value is None else str(value)
    return f"{text[:12]}…" if len(text) == SHA256_DIGITS else text
