"""`atoll calibrate`: fits a device's cost models to measurements and says how well they predict."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ...spaces.errors import AtollError
from ..tables import Column, FormatOption, print_json, print_table

DEFAULT_DEVICE = "coral-dev-board"
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


def calibrate(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="CSV file of measurements; the device's own if not given."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Whose structures and set-ups; {DEFAULT_DEVICE}.")
    ] = None,
    exclude: Annotated[str, typer.Option(metavar="ID,…", help="Rows that the fit must not see.")] = "",
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="Predict each row by a fit without it.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Write the fit of the device's own measurements into its folder.")
    ] = False,
    format: FormatOption = "table",
) -> None:
    """Fit latency and peak memory to measurements and print every row beside its prediction.

    Rows that the fit does not use are listed too, with the reason, and priced where that is possible.
    """
    from ...hw_models.calibration_report import report_rows, summary
    from ...hw_models.device import device_folder, fit_all, fitted_text, samples

    if file is None and device is None:
        raise AtollError("calibrate: got neither FILE nor --device, allowed is either or both")
    ids = tuple(filter(None, (part.strip() for part in exclude.split(","))))
    if write and (file is not None or device is None or ids):
        raise AtollError("--write fits all of a device's own measurements: give --device NAME alone with it")
    name = device or DEFAULT_DEVICE
    found = samples(name, file, ids)
    fits = fit_all(found)
    if write:
        target = device_folder(name) / "fitted.json"
        target.write_text(fitted_text(fits), encoding="utf-8")
        print(f"atoll: wrote {target}", file=sys.stderr)

    rows: list[dict[str, Any]] = []
    summaries: dict[str, dict[str, Any]] = {}
    for sample in found:
        lines = report_rows(sample, fits[sample.model.quantity], leave_one_out)
        rows += [asdict(line) for line in lines]
        summaries[sample.model.column] = summary(lines)
    if format == "json":
        how = "leave-one-out" if leave_one_out else "fit"
        print_json({"rows": rows, "summary": {"errors": how, **summaries}})
        return
    print_table(rows, COLUMNS, format)
    if format == "table":
        for column, figures in summaries.items():
            print(_sentence(column, figures, leave_one_out))


def _sentence(column: str, figures: dict[str, Any], leave_one_out: bool) -> str:
    how = "leave-one-out error" if leave_one_out else "error of the fit on its own rows"
    return (
        f"{column}: {figures['used']} of {figures['rows']} rows used; {how}: "
        f"mean {figures['mape_pct']:.1f} %, "
        f"mean over families {figures['family_mean_pct']:.1f} %, worst {figures['worst_pct']:.1f} %, "
        f"{figures['within_10_pct']:.0f} % of rows within 10 %"
    )
