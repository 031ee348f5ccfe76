"""How far the device `host` is off on networks that its calibration has not seen, timed now.

With --write the calibration networks and the held-out ones are timed together, and the device's folder gets
measurements, fit and table of residuals; with --refit the fit and the table alone. Run it where nothing else
runs: it takes two to three minutes.
"""

import argparse
from dataclasses import replace
from math import exp
from pathlib import Path
from statistics import mean

from atoll.evaluators.host.networks import CALIBRATION, HELD_OUT
from atoll.evaluators.host.timing import ROUNDS, measure_host
from atoll.hw_models.board import bench
from atoll.hw_models.devices.device import Device, fit_all, fitted_text
from atoll.hw_models.devices.device_folder import About, device_folder
from atoll.hw_models.devices.samples import samples
from atoll.hw_models.fitting.calibration import Sample
from atoll.hw_models.fitting.estimate import Estimate, log_error
from atoll.hw_models.fitting.measured_table import measured_table
from atoll.hw_models.fitting.measurements import Measurement, read_measurements
from atoll.spaces.machine.processor import this_processor
from figures import report

DEVICE = "host"
#: what predictions for this machine were built to reach, mean error
TARGET_PCT = 15.0
QUANTITIES = {"latency_ms": 1.0, "peak_memory_mib": 2**20}
HEADING = "## Residuals"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--write", action="store_true", help="measure anew and write the device's folder")
    parser.add_argument(
        "--refit", action="store_true", help="fit the stored measurements anew, measure nothing"
    )
    options, folder = parser.parse_args(), device_folder(DEVICE)
    if options.write:
        rows = measure_host(show, (*CALIBRATION, *HELD_OUT), ROUNDS)
        write_rows(folder / "measurements.csv", rows[: len(CALIBRATION)])
        about = replace(About.read(folder), processor=this_processor())
        (folder / "device.toml").write_text(about.to_toml(), encoding="utf-8")
        write_rows(folder / "held_out.csv", rows[len(CALIBRATION) :])
    if options.write or options.refit:
        (folder / "fitted.json").write_text(fitted_text(fit_all(samples(DEVICE))), encoding="utf-8")
        held_out = read_measurements(folder / "held_out.csv")
        write_residuals(folder / "README.md", held_out)
    else:
        write_rows(Path("held_out_now.csv"), measure_host(show, HELD_OUT, ROUNDS))
        held_out = read_measurements(Path("held_out_now.csv"))
        Path("held_out_now.csv").unlink()
    for quantity in QUANTITIES:
        errors = [abs(error) for _, _, error in residuals(held_out, quantity)]
        name = quantity.rsplit("_", 1)[0]
        report(f"host/{name}_held_out_mape", mean(errors), "%", TARGET_PCT, "lower")
        report(f"host/{name}_held_out_worst", max(errors), "%", None, "lower")
        within = 100 * mean(error <= TARGET_PCT for error in errors)
        report(f"host/{name}_held_out_within_{TARGET_PCT:g}", within, "%", None, "higher")


def show(done: int, total: int, what: str) -> None:
    """Says now and then how far it is."""
    if done % 50 == 0:
        bench.say(f"{done}/{total} {what}")


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    """Writes rows in place of what was there."""
    path.unlink(missing_ok=True)
    bench.append_rows(path, rows)


def residuals(rows: tuple[Measurement, ...], quantity: str) -> list[tuple[Measurement, float, float]]:
    """Returns measurement, predicted figure in the column's unit, and error in %."""
    device, found = Device.load(DEVICE), []
    for row in rows:
        prediction = device.predict(measured_table(row), row.setup, row.file_bytes)
        value = prediction[quantity.replace("_mib", "_bytes")].value / QUANTITIES[quantity]
        measured = row.measured[quantity]
        if measured is not None:
            found.append((row, value, 100 * (value / measured - 1)))
    return found


def write_residuals(readme: Path, held_out: tuple[Measurement, ...]) -> None:
    """Writes the table of residuals at the end of the README, in place of the one that was there."""
    lines = [
        HEADING,
        "",
        "Calibration networks, each predicted by a fit without it; then the held-out ones.",
        "",
    ]
    lines += ["| network | ms | predicted | error | MiB | predicted | error |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
    left_out = {sample.model.column: left_out_figures(sample) for sample in samples(DEVICE)}
    lines += [_line(name, *(left_out[q][name] for q in QUANTITIES)) for name in left_out["latency_ms"]]
    held = {quantity: residuals(held_out, quantity) for quantity in QUANTITIES}
    for one, other in zip(*held.values(), strict=True):
        figures = [
            (row.measured[q], value) for q, (row, value, _) in zip(QUANTITIES, (one, other), strict=True)
        ]
        lines.append(_line(f"*{one[0].id}*", *figures))
    text = readme.read_text(encoding="utf-8").split(HEADING)[0]
    readme.write_text(text + "\n".join(lines) + "\n", encoding="utf-8")


def left_out_figures(sample: Sample) -> dict[str, tuple[float, float]]:
    """Returns measured and predicted figure of every row by id, in the column's unit, by a fit without it."""
    found, model = {}, sample.model
    for point in sample.points:
        rest = [other for other in sample.points if other is not point]
        coefficients = Estimate.of(model, sample.setups, rest).coefficients
        predicted = point.measured * exp(log_error(model, point, coefficients))
        found[point.measurement.id] = (point.measured / model.column_unit, predicted / model.column_unit)
    return found


def _line(name: str, *figures: tuple[float | None, float | None]) -> str:
    cells = []
    for measured, predicted in figures:
        if measured is None or predicted is None:
            cells += ["", "", ""]
        else:
            cells += [f"{measured:.3g}", f"{predicted:.3g}", f"{100 * (predicted / measured - 1):+.1f} %"]
    return f"| {name} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
