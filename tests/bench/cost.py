"""How far the Coral predictors are off on rows that they have not seen, and how long a price takes."""

import random
from dataclasses import replace
from statistics import mean, median

from atoll.evaluators.steps.evaluate import price_recipe
from atoll.hw_models.devices.device import Device
from atoll.hw_models.devices.samples import samples
from atoll.hw_models.fitting.calibration import Sample, fit
from atoll.hw_models.fitting.calibration_report import leave_one_out_errors as leave_one_out_errors_of
from atoll.hw_models.fitting.calibration_report import report_rows, summary
from atoll.hw_models.fitting.estimate import Estimate, log_error
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.networks import build_network
from atoll.spaces.recipes.recipe import Recipe
from figures import median_seconds, report
from regressors import REGRESSORS, leave_one_out_errors

DEVICE = "coral-dev-board"
#: what the predictors were built to reach: quantity -> figure -> target, per cent
TARGETS = {
    "latency_ms": {
        "mape": 2.7, "family_mean": 3.6, "worst": 13.0, "family_out": 4.1, "hold_out": 3.2, "half_width": 8.0,
    },
    "peak_memory_mib": {
        "mape": 3.0, "family_mean": 4.5, "worst": 16.0, "family_out": 6.1, "hold_out": 4.1, "half_width": 9.6,
    },
}  # fmt: skip
#: random hold-outs: draws, and what each holds: (beginning of the id, how many)
DRAWS, HELD_OUT = 50, (("p2_tt", 4), ("p1_mobilenet", 1), ("int8", 1), ("p2_quantt", 1))
INT8 = ("p1_quantized", "p3_text_det_int8", "p3_text_rec_int8")
SHAPE = (3, 64, 64)


def hold_out_errors(sample: Sample) -> list[float]:
    """Returns the mean |error| in per cent over seven held-out rows of each draw."""
    errors, draw = [], random.Random(0)
    for _ in range(DRAWS):
        held = set()
        for start, count in HELD_OUT:
            ids = [point.measurement.id for point in sample.points]
            among = [name for name in ids if (name in INT8 if start == "int8" else name.startswith(start))]
            held.update(draw.sample(among, count))
        rest = [point for point in sample.points if point.measurement.id not in held]
        found = Estimate.of(sample.model, sample.setups, rest).coefficients
        missed = [point for point in sample.points if point.measurement.id in held]
        errors.append(100 * sum(abs(log_error(sample.model, point, found)) for point in missed) / len(missed))
    return errors


def report_sample(sample: Sample) -> None:
    """Reports every target of one quantity, and other ways to predict it on the same rows."""
    quantity = sample.model.column
    targets, fitted = TARGETS[quantity], fit(sample)
    rows = report_rows(sample, fitted, "row")
    figures = summary([row for row in rows if row.used])
    families = [row for row in report_rows(sample, fitted, "family") if row.used]

    def show(name: str, value: float, target: float | None, better: str = "lower") -> None:
        report(f"cost/{quantity}_{name}", value, "%", target, better)

    show("leave_one_out_mape", figures["mape_pct"], targets["mape"])
    show("leave_one_out_family_mean", figures["family_mean_pct"], targets["family_mean"])
    show("leave_one_out_worst", figures["worst_pct"], targets["worst"])
    show("leave_family_out_mape", summary(families)["mape_pct"], targets["family_out"])
    show("hold_out_of_seven_median", median(hold_out_errors(sample)), targets["hold_out"])
    show("interval_coverage_least", figures["interval_coverage_pct"], 85.0, "higher")
    show("interval_coverage_most", figures["interval_coverage_pct"], 98.0)
    show("interval_half_width", figures["interval_half_width_pct"], targets["half_width"])
    # no row is dropped silently: the same over every row that can be priced
    show("all_rows_mape", summary(rows)["mape_pct"], None)
    for name, make in REGRESSORS.items():
        show(f"leave_one_out_mape_of_{name}", leave_one_out_errors(sample, make), None)


def report_coral_page() -> None:
    """Reports the rows of Coral's page: with and without the one whose identity was doubted beforehand."""
    for sample in samples("coral-edge-tpu"):
        formula = sample.model.formula
        targets = {"edge_tpu": (15.0, 8.0), "multicore_cpu": (8.0, None)}[formula]
        known = replace(sample, points=tuple(point for point in sample.points if not point.table.surrogate))
        for name, part, target in (("", sample, targets[0]), ("_without_densenet", known, targets[1])):
            errors = [100 * abs(error) for error in leave_one_out_errors_of(part).values()]
            report(f"cost/{formula}_leave_one_out_mape{name}", mean(errors), "%", target, "lower")
        rows = report_rows(sample, fit(sample), "row")
        report(f"cost/{formula}_all_rows_mape", summary(rows)["mape_pct"], "%", None, "lower")
        for row in rows:
            if row.error_pct is not None:
                report(f"cost/{formula}_{row.id}", row.error_pct, "%", None, "lower")


def main() -> None:
    for sample in samples(DEVICE):
        report_sample(sample)
    report_coral_page()

    network = adopt(build_network("baseline_cnn", 11, SHAPE), SHAPE).eval()
    device = Device.load(f"{DEVICE}:pub1")
    table = layer_table(network, SHAPE)
    report("cost/predict", median_seconds(lambda: device.predict(table), 21) * 1e3, "ms", 5.0, "lower")
    anywhere = Device.load(DEVICE)
    seconds = median_seconds(lambda: anywhere.predict(table), 21)
    report("cost/predict_over_all_set_ups", seconds * 1e3, "ms", 5.0, "lower")

    steps = Recipe.parse("prune_channels(ratio=0.5) -> tensor_train(rank=4) -> quantize(bits=8)")

    def price() -> None:
        price_recipe.cache_clear()
        price_recipe(steps, "digits", DEVICE)

    # before any trial: a thousand rejections in a row must not take minutes
    report("cost/price_recipe", median_seconds(price, 11) * 1e3, "ms", 100.0, "lower")


if __name__ == "__main__":
    main()
