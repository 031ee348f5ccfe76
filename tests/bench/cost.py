"""How far the Coral predictors are off on rows that they have not seen, and how long a price takes."""

from atoll.evaluators.evaluate import price_recipe
from atoll.hw_models.calibration_report import report_rows, summary
from atoll.hw_models.device import Device, fit_all, samples
from atoll.hw_models.layer_table import layer_table
from atoll.spaces.layers.structure import adopt
from atoll.spaces.networks import build_network
from atoll.spaces.recipe import Recipe
from figures import median_seconds, report

DEVICE = "coral-dev-board"
# (quantity, mean, mean over families, worst), per cent: the mean as wanted of a first version
TARGETS = (("latency_ms", 5.0, 3.6, 13.0), ("peak_memory_mib", 8.0, 4.5, 16.0))
SHAPE = (3, 64, 64)


def main() -> None:
    found = samples(DEVICE)
    fits = fit_all(found)
    for sample, (quantity, mean, family, worst) in zip(found, TARGETS, strict=True):
        rows = report_rows(sample, fits[sample.model.quantity], leave_one_out=True)
        errors = summary(rows)
        report(f"cost/{quantity}_leave_one_out_mape", errors["mape_pct"], "%", mean, "lower")
        report(f"cost/{quantity}_leave_one_out_family_mean", errors["family_mean_pct"], "%", family, "lower")
        report(f"cost/{quantity}_leave_one_out_worst", errors["worst_pct"], "%", worst, "lower")

    network = adopt(build_network("baseline_cnn", 11, SHAPE), SHAPE).eval()
    device = Device.load(DEVICE)
    table = layer_table(network, SHAPE)
    report("cost/predict", median_seconds(lambda: device.predict(table), 21) * 1e3, "ms", 5.0, "lower")

    steps = Recipe.parse("prune_channels(ratio=0.5) -> tensor_train(rank=4) -> quantize(bits=8)")

    def price() -> None:
        price_recipe.cache_clear()
        price_recipe(steps, "digits", DEVICE)

    # before any trial: a thousand rejections in a row must not take minutes
    report("cost/price_recipe", median_seconds(price, 11) * 1e3, "ms", 100.0, "lower")


if __name__ == "__main__":
    main()
