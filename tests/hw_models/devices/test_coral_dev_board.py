"""The Coral predictors: their error, their rows, what must never happen to a price."""

import csv
import json
import statistics
from dataclasses import replace

import pytest
import torch
from atoll.hw_models.devices.device import Device, fit_all, fitted_text
from atoll.hw_models.devices.device_folder import device_folder
from atoll.hw_models.devices.samples import measurements_path
from atoll.hw_models.fitting.calibration_report import leave_one_out_errors, report_rows, summary
from atoll.hw_models.fitting.estimate import Estimate
from atoll.hw_models.formulas.latency import latency_ms, latency_work
from atoll.hw_models.tables.network_table import layer_table
from atoll.hw_models.tables.planned import planned
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from hypothesis import given
from hypothesis import strategies as st

NAME = "coral-dev-board"
SHAPE = (3, 64, 64)
_OTHERS = dict.fromkeys(
    (
        "pointwise_factor",
        "depthwise_factor",
        "int8_factor",
        "ns_per_weight_byte",
        "ns_per_moved_element",
        "ns_per_rank_element",
        "scale.pub2",
    ),
    1.0,
)


def table_of(recipe, network="baseline_cnn"):
    return layer_table(planned(Recipe.parse(recipe), network, SHAPE, 11), SHAPE, network)


# The bounds leave a third of room above what was reached (2.4 and 2.9 %), so that they fail on a defect.
@pytest.mark.parametrize(
    ("quantity", "mape", "worst"), [("latency_ms", 3.3, 11), ("peak_memory_bytes", 3.9, 28)]
)
def test_leave_one_out_error(coral_samples, quantity, mape, worst):
    errors = [100 * abs(error) for error in leave_one_out_errors(coral_samples[quantity]).values()]
    assert statistics.mean(errors) < mape
    assert max(errors) < worst


def test_every_row_is_listed_once(coral_samples, coral_fits):
    with open(measurements_path(NAME), encoding="utf-8") as stream:
        ids = sorted(row["id"] for row in csv.DictReader(stream))
    assert len(ids) == 28
    for quantity, used in (("latency_ms", 24), ("peak_memory_bytes", 23)):
        rows = report_rows(coral_samples[quantity], coral_fits[quantity])
        assert sorted(row.id for row in rows) == ids
        assert sum(row.used for row in rows) == used
        assert all(row.reason for row in rows if not row.used)
        assert summary(rows)["rows"] == 28


def test_the_fitted_file_is_a_refit(coral_samples):
    """To three digits: another processor rounds differently on the way (on one, the bytes are the same)."""
    stored = json.loads((device_folder(NAME) / "fitted.json").read_text(encoding="utf-8"))
    again = json.loads(fitted_text(fit_all(list(coral_samples.values()))))
    assert _leaves(again) == {
        place: pytest.approx(value, rel=1e-3, abs=1e-5) if isinstance(value, float) else value
        for place, value in _leaves(stored).items()
    }


def _leaves(value, place=""):
    """Returns place -> value of everything in a JSON value that is neither list nor object."""
    if not isinstance(value, dict | list):
        return {place: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {p: leaf for key, item in items for p, leaf in _leaves(item, f"{place}/{key}").items()}


def test_fit_finds_planted_coefficients(coral_samples):
    """Measurements made by the formula itself give its coefficients back, as far as the priors let them."""
    sample = coral_samples["latency_ms"]
    planted = {term.name: 1.3 * term.prior for term in sample.model.terms(sample.setups)}
    points = [
        replace(p, measured=sample.model.price(p.work, planted, p.measurement.setup)) for p in sample.points
    ]
    found = Estimate.of(sample.model, sample.setups, points).coefficients
    for point in sample.points:
        price = sample.model.price(point.work, found, point.measurement.setup)
        truth = sample.model.price(point.work, planted, point.measurement.setup)
        assert price == pytest.approx(truth, rel=0.01)


@pytest.mark.parametrize("network", ["baseline_cnn", "compact_cnn"])
@pytest.mark.parametrize(
    ("fewer", "int8"),
    [
        ("quantize(bits=4)", "quantize(bits=8)"),
        ("quantize(bits=2)", "quantize(bits=8)"),
        ("quantize(bits=2, first_last=same)", "quantize(bits=8)"),
        ("binarize", "quantize(bits=8)"),
        ("quantize(bits=4, activations=float)", "quantize(bits=8, activations=float)"),
        ("quantize(bits=2, activations=float)", "quantize(bits=8, activations=float)"),
        ("tensor_train(rank=4) -> quantize(bits=4)", "tensor_train(rank=4) -> quantize(bits=8)"),
        ("tensor_train(rank=4) -> binarize", "tensor_train(rank=4) -> quantize(bits=8)"),
    ],
)
def test_fewer_bits_alone_are_never_faster_than_int8(coral, network, fewer, int8):
    slower = coral.predict(table_of(fewer, network))["latency_ms"]
    assert slower.value >= coral.predict(table_of(int8, network))["latency_ms"].value
    assert slower.status == "extrapolated"


@pytest.mark.parametrize("kind", ["conv", "dense"])
@pytest.mark.parametrize("activation_bits", [8, 32])
@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_a_kernel_is_no_faster_for_narrower_weights(coral_fits, kind, activation_bits, bits):
    from atoll.spaces.layers.binary import Binary
    from atoll.spaces.layers.conv import Conv
    from atoll.spaces.layers.dense import Dense
    from atoll.spaces.layers.flatten import ChannelsLastFlatten
    from atoll.spaces.layers.weight_grid import WeightGrid

    def milliseconds(bits):
        layer = Conv(3, 16, (3, 3)) if kind == "conv" else Dense(768, 64)
        weight = layer.weight.effective()
        layer.weight.impose(Binary.fit(weight) if bits == 1 else WeightGrid.fit(weight, bits))
        layer.activation_bits = activation_bits
        network = torch.nn.Sequential(*([] if kind == "conv" else [ChannelsLastFlatten()]), layer)
        work = latency_work(layer_table(network, (3, 16, 16)))
        return latency_ms(work, coral_fits["latency_ms"].estimate.coefficients, "pub1")

    assert milliseconds(bits) >= milliseconds(8)


def test_zeros_and_clusters_alone_change_nothing(coral):
    baseline = coral.predict(table_of("baseline"))["latency_ms"]
    for recipe in ("prune_weights", "cluster"):
        assert coral.predict(table_of(recipe))["latency_ms"] == baseline


def test_coefficients_are_positive(coral):
    for fitted in coral.fits:
        for coefficients in (fitted.estimate.coefficients, *(fit.coefficients for fit in fitted.left_out)):
            assert all(value > 0 for value in coefficients.values())


@given(
    term=st.sampled_from(["macs", "weight_elements", "moved_elements", "rank_elements"]),
    more=st.integers(1, 10**6),
)
def test_more_work_is_never_faster(coral_table, coral, term, more):
    row, *rest = coral_table.rows
    heavier = replace(row, cost=replace(row.cost, **{term: getattr(row.cost, term) + more}))
    table = replace(coral_table, rows=(heavier, *rest))
    assert coral.predict(table)["latency_ms"].value > coral.predict(coral_table)["latency_ms"].value


@pytest.fixture(scope="module")
def coral_table():
    return table_of("baseline")


def test_published_figures_lie_in_their_intervals(coral_fits, coral_samples):
    """The nominal 90 % intervals hold at least 85 % of the rows of their fit."""
    for quantity, sample in coral_samples.items():
        inside = []
        for point in sample.points:
            prediction = coral_fits[quantity].predict(point.table, point.measurement.setup, point.work)
            assert prediction.low <= prediction.value <= prediction.high
            assert prediction.status == "interpolated"
            inside.append(prediction.low <= point.measured <= prediction.high)
        assert statistics.mean(inside) >= 0.85


def test_extrapolation_is_said_and_wider(coral):
    def width(prediction):
        return prediction.high / prediction.low

    int8 = coral.predict(table_of("quantize(bits=8)"), "pub1")
    int4 = coral.predict(table_of("quantize(bits=4)"), "pub1")
    small = coral.predict(table_of("prune_channels(ratio=0.75)", "compact_cnn"), "pub1")
    for quantity in ("latency_ms", "peak_memory_bytes"):
        assert int8[quantity].status == "interpolated"
        for other in (int4, small):
            assert other[quantity].status == "extrapolated"
    assert width(int4["latency_ms"]) > 1.2 * width(int8["latency_ms"])
    # the fewer bytes, the more of them are the runtime's own, which is what was fitted
    assert width(small["peak_memory_bytes"]) > width(int8["peak_memory_bytes"])


def test_without_a_set_up_the_interval_holds_those_of_all(coral, coral_table):
    free = coral.predict(coral_table)
    chosen = [coral.predict(coral_table, setup.name) for setup in coral.about.setups]
    for quantity, found in free.items():
        assert (found.value, found.setup) == (chosen[0][quantity].value, "pub1")
        assert found.low == min(one[quantity].low for one in chosen)
        assert found.high == max(one[quantity].high for one in chosen)
    assert Device.load(f"{NAME}:pub2").predict(coral_table) == chosen[1]


def test_what_nothing_prices_is_named(coral, coral_table):
    row, *rest = coral_table.rows
    strange = replace(row, cost=replace(row.cost, kind="unknown", operation="GroupNorm"))
    for found in coral.predict(replace(coral_table, rows=(strange, *rest))).values():
        assert found.status == "unknown operation: GroupNorm"


def test_noise_alone_is_the_spread_where_coefficients_are_certain(coral_samples):
    """The closed form of a spread: noise and coefficients add in squares, a scale's slope being 1."""
    sample = coral_samples["latency_ms"]
    work = sample.points[0].work
    certain = Estimate({"ns_per_mac": 1.0, **_OTHERS}, _diagonal(0.0))
    assert certain.spread(sample.model, work, "pub1") == pytest.approx(0.03)
    # a set-up's scale is a factor on all: its variance is the prediction's
    uncertain = Estimate(certain.coefficients | {"scale.pub2": 1.0}, _diagonal(0.04))
    assert uncertain.spread(sample.model, work, "pub2") == pytest.approx((0.03**2 + 0.04**2) ** 0.5)


def _diagonal(last):
    size = 1 + len(_OTHERS)
    return tuple(
        tuple(last**2 if row == column == size - 1 else 0.0 for column in range(size)) for row in range(size)
    )


def test_a_known_file_size_moves_memory_by_as_much(coral, coral_table):
    one = coral.predict(coral_table, model_bytes=5_000_000)["peak_memory_bytes"].value
    other = coral.predict(coral_table, model_bytes=6_000_000)["peak_memory_bytes"].value
    assert other - one == pytest.approx(1_000_000)


def test_unknown_names_raise_with_the_nearest(coral, coral_table):
    with pytest.raises(AtollError, match="did you mean 'coral-dev-board'"):
        Device.load("coral-devboard")
    with pytest.raises(AtollError, match=r"unknown set-up 'pub9'.*pub1"):
        coral.predict(coral_table, setup="pub9")
