"""`atoll calibrate`: fits a device's cost models to measurements and says how well they predict."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ...spaces.errors import AtollError
from ..terminal.said import say, tell
from ..terminal.tables import Column, FormatOption, print_json, print_table

#: the device of this machine
HOST = "host"
COLUMNS = (
    Column("id"),
    Column("quantity"),
    Column("measured", "ms or MiB", "measured", ".5g"),
    Column("predicted", "ms or MiB", "predicted", ".5g"),
    Column("low", "ms or MiB", "predicted", ".5g"),
    Column("high", "ms or MiB", "predicted", ".5g"),
    Column("status"),
    Column("error_pct", "%", spec="+.1f"),
    Column("used"),
    Column("reason"),
)
HOW = {
    "none": "error of the fit on its own rows",
    "row": "leave-one-out error",
    "family": "error with the row's whole family left out",
}


def calibrate(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="CSV file of measurements; the device's own if not given."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With FILE: the device to write, yours if it is a new name."),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Device whose measurements a new one builds on; coral-dev-board."),
    ] = None,
    exclude: Annotated[str, typer.Option(metavar="ID,…", help="Rows that the fit must not see.")] = "",
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="Predict each row by a fit without it.")
    ] = False,
    leave_family_out: Annotated[
        bool, typer.Option("--leave-family-out", help="Predict each row by a fit without its family.")
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="With --device host: time LiteRT files here first, minutes.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Write the fit of the device's own measurements into its folder.")
    ] = False,
    format: FormatOption = "table",
) -> None:
    """Fit latency and peak memory to measurements and print every row beside its prediction.

    Rows that the fit does not use are listed too, with the reason, and priced where that is possible. With
    FILE and --device the fit is kept: a new name is a device of yours, which builds on the measurements of
    another, so that a single row of a new set-up is enough to shift it; the name of a built-in device puts
    your fit in its place (delete the folder that is printed to have the built-in one back). Columns of FILE:
    id, setup, network, recipe, input_shape (HEIGHTxWIDTHxCHANNELS), num_classes, latency_ms, peak_memory_mib,
    latency_credible, memory_credible (yes or no); family, model_size and model_size_unit, notes if you like.
    """
    from ...hw_models.devices.device import fit_all
    from ...hw_models.devices.own_device import Calibration
    from ...hw_models.fitting.calibration_report import report_rows, summary
    from ...spaces.machine.processor import this_processor

    if file is None and device is None and not measure:
        raise AtollError("calibrate: got neither FILE nor --device, allowed is either or both")
    if leave_one_out and leave_family_out:
        raise AtollError("calibrate: got --leave-one-out and --leave-family-out, allowed is one of them")
    ids = tuple(filter(None, (part.strip() for part in exclude.split(","))))
    if measure and (device not in (None, HOST) or write or base is not None):
        raise AtollError(f"--measure times this machine: allowed beside it are FILE and --device {HOST}")
    if write and (file is not None or ids):
        raise AtollError("--write fits all of a device's own measurements: give --device NAME alone with it")
    if measure:
        file, device = _measured(file), device or HOST
    work = Calibration.of(file, device, base)
    if measure:
        work = replace(work, about=replace(work.about, processor=this_processor()))
    found = work.samples(ids)
    fits = fit_all(found)
    for note in work.notes(found, fits):
        say(note)
    if write or (file is not None and device is not None):
        say(f"wrote {work.write(fits)}")

    how: Literal["none", "row", "family"] = "none"
    if leave_one_out or leave_family_out:
        how = "row" if leave_one_out else "family"
    rows: list[dict[str, Any]] = []
    summaries: dict[str, dict[str, Any]] = {}
    for sample, fitted in zip(found, fits, strict=True):
        watched = partial(_watched, title=f"{sample.model.column}: fitting without each")
        lines = report_rows(sample, fitted, how, watched)
        rows += [asdict(line) for line in lines]
        name = sample.model.column
        if name in summaries:  # another formula of the same quantity
            name = f"{name} ({sample.model.formula})"
        # what the fit used, and what the user held back to see whether it is met
        summaries[name] = {
            "used": sum(line.used for line in lines),
            **summary([line for line in lines if line.used]),
            "rows": len(lines),
            "all_rows": summary(lines),
            "excluded": summary([line for line in lines if line.id in ids]),
        }
    if format == "json":
        print_json({"rows": rows, "summary": {"errors": HOW[how], **summaries}})
        return
    print_table(rows, COLUMNS, format)
    if format == "table":
        for column, figures in summaries.items():
            tell(
                _sentence(f"{column}: {figures['used']} of {figures['rows']} rows used; {HOW[how]}", figures)
            )
            tell(_sentence(f"{column}: all rows that can be priced", figures["all_rows"]))
            if ids:
                tell(_sentence(f"{column}: excluded rows", figures["excluded"]))


def _measured(file: Path | None) -> Path:
    """Times this machine and returns the file with its rows: FILE, or the one of the user's own device."""
    import csv

    from ...hw_models.devices.device_folder import new_device_folder
    from .host_measuring import measure_this_machine

    path = file or new_device_folder(HOST) / "measurements.csv"
    if file is not None and file.exists():
        raise AtollError(f"{file} is there already: --measure writes a new file")
    if not path.parent.is_dir():  # before minutes of measuring
        raise AtollError(f"{path.parent} is no folder: --measure writes {path.name} into one that is there")
    rows = measure_this_machine()
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    say(f"wrote {path}")
    return path


def _watched(points: Sequence[Any], title: str) -> Iterable[Any]:
    """Goes through rows with a progress bar, shown only where there is someone to see it."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(points, title, console=console, transient=True, disable=not console.is_terminal)


def _sentence(what: str, figures: dict[str, Any]) -> str:
    if figures["mape_pct"] is None:
        return f"{what}: none"
    return (
        f"{what}: mean {figures['mape_pct']:.1f} %, "
        f"mean over families {figures['family_mean_pct']:.1f} %, worst {figures['worst_pct']:.1f} %, "
        f"{figures['within_10_pct']:.0f} % of rows within 10 %; 90 % intervals hold "
        f"{figures['interval_coverage_pct']:.0f} %, half-width {figures['interval_half_width_pct']:.1f} %"
    )
