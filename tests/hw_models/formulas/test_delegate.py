"""The formulas of LiteRT with its delegate: rounding to blocks by hand, monotone, known by name."""

from math import ceil

import pytest
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.hw_models.devices.device import Device
from atoll.hw_models.formulas import delegate_latency, delegate_memory
from atoll.hw_models.formulas.cost_model import cost_model
from atoll.hw_models.formulas.kernel_shape import KernelShape
from atoll.hw_models.tables.layer_table import LayerTable, TableRow
from atoll.hw_models.tables.network_table import layer_table
from atoll.hw_models.tables.planned import planned
from atoll.spaces.layers.cost import OperationCost
from atoll.spaces.recipes.recipe import Recipe
from hypothesis import given
from hypothesis import strategies as st

SHAPE = (3, 64, 64)
PRIORS = {term.name: term.prior for term in delegate_latency.TERMS}


def convolution(inputs=16, outputs=32, size=8, window=9, compute="float32", **more):
    """A convolution on size x size, stride 1."""
    bits = 8 if compute == "int8" else 32
    settings = {
        "kind": "conv" if window > 1 else "pointwise",
        "macs": size * size * window * inputs * outputs,
        "weight_elements": window * inputs * outputs,
        "weight_bits": bits,
        "input_elements": size * size * inputs,
        "output_elements": size * size * outputs,
        "activation_bits": bits,
        "compute": compute,
        "patch_elements": size * size * window * inputs * (window > 1),
    }
    shapes = (inputs, size, size), (outputs, size, size)
    return TableRow("conv", "conv", *shapes, OperationCost(**(settings | more)), live_bytes=1000)


def work_of(*rows):
    return delegate_latency.latency_work(LayerTable("net", SHAPE, rows))


def table_of(recipe, network="baseline_cnn"):
    return layer_table(planned(Recipe.parse(recipe), network, SHAPE, 35), SHAPE, network)


@pytest.mark.parametrize(
    ("inputs", "outputs", "size", "window"), [(3, 32, 8, 9), (7, 5, 4, 25), (64, 16, 2, 1)]
)
def test_the_shape_of_a_convolution(inputs, outputs, size, window):
    shape = KernelShape.of(convolution(inputs, outputs, size, window))
    assert shape == KernelShape(size * size, outputs, window * inputs, window)


def test_a_strided_window_is_counted_by_its_own_size():
    # 5x5, stride 2: 16x16 in, 8x8 out
    row = convolution(4, 8, size=8, window=25, input_elements=16 * 16 * 4)
    row = TableRow(row.name, row.path, (4, 16, 16), row.output_shape, row.cost, row.live_bytes)
    assert KernelShape.of(row).window == 25


@pytest.mark.parametrize(("outputs", "block"), [(16, 16), (17, 16), (31, 16), (32, 32), (33, 32), (64, 32)])
def test_float_channels_are_rounded_up_to_blocks(outputs, block):
    amounts = dict(work_of(convolution(10, outputs)).amounts)
    steps = 64 * 9 * 10 * ceil(outputs / block)
    assert amounts["ns_per_conv_step"] == steps
    assert amounts["ns_per_conv_mac"] == steps * block


@pytest.mark.parametrize(
    ("inputs", "outputs", "tiles"), [(16, 16, 9), (64, 64, 9), (65, 64, 18), (64, 65, 18)]
)
def test_int8_channels_are_rounded_up_to_tiles(inputs, outputs, tiles):
    amounts = dict(work_of(convolution(inputs, outputs, compute="int8")).amounts)
    assert amounts["ns_per_int8_tile"] == 64 * tiles
    assert amounts["ns_per_int8_output_tile"] == 64 * ceil(outputs / 64)


@pytest.mark.parametrize(("bits", "term"), [(8, "ns_per_plain_int8_mac"), (32, "ns_per_plain_mac")])
def test_narrow_convolutions_run_in_plain_kernels(bits, term):
    row = convolution(weight_bits=4, activation_bits=bits)
    amounts = dict(work_of(row).amounts)
    assert amounts[term] == row.cost.macs
    assert amounts["ns_per_plain_patch_element"] == row.cost.patch_elements
    assert "ns_per_conv_mac" not in amounts


def test_a_price_is_the_sum_of_amounts_and_bytes_by_cache():
    work = delegate_latency.DelegateWork((("ns_per_gemm_mac", 2e6), ("us_per_operation", 3000.0)), 8 * 2**20)
    coefficients = PRIORS | {
        "ns_per_gemm_mac": 0.5, "us_per_operation": 2.0, "ns_per_weight_byte": 1.0, "ns_per_far_byte": 2.0,
        "ns_per_memory_byte": 4.0, "near_cache_mib": 1.0, "far_cache_mib": 6.0,
    }  # fmt: skip
    ns = 0.5 * 2e6 + 2000 * 3 + 2**20 * (8 * 1 + 7 * 2 + 2 * 4)
    assert delegate_latency.latency_ms(work, coefficients, "one") == pytest.approx(ns * 1e-6)
    scaled = delegate_latency.latency_ms(work, coefficients | {"scale.other": 3.0}, "other")
    assert scaled == pytest.approx(3 * ns * 1e-6)


@given(
    st.integers(1, 200),
    st.integers(1, 200),
    st.sampled_from([1, 9, 25]),
    st.sampled_from(["float32", "int8"]),
)
def test_more_channels_never_cost_less(inputs, outputs, window, compute):
    def ms(inputs, outputs):
        row = convolution(inputs, outputs, window=window, compute=compute)
        return delegate_latency.latency_ms(work_of(row), PRIORS, "one")

    # one block of 32 costs less than two of 16: that is the kernels' own step
    rounded = outputs if compute == "int8" else -(-outputs // 32) * 32
    assert ms(inputs + 1, rounded) >= ms(inputs, rounded) * (1 - 1e-12)
    assert ms(inputs, rounded + 32) > ms(inputs, rounded)


def test_weights_are_in_memory_twice():
    table = table_of("baseline")
    file_bytes = len(artifact_bytes(planned(Recipe(), "baseline_cnn", SHAPE, 35), SHAPE))
    work = delegate_memory.memory_work(table, file_bytes)
    weights = table.total(lambda cost: 4 * cost.weight_elements)
    assert (work.file_bytes, work.packed_bytes) == (file_bytes, weights)
    assert work.arena_bytes == max(row.live_bytes for row in table.rows)  # images are not unfolded
    # 3x3 windows at 64x64, 32x32 and 16x16, scale-and-shift behind the poolings
    assert work.pointers == 9 * (64 * 64 + 32 * 32 + 16 * 16) + 32 * 32 + 2 * 16 * 16


def test_widened_weights_are_in_memory_as_float():
    table = table_of("quantize(bits=8, activations=float)")
    work = delegate_memory.memory_work(table, 1)
    narrow = [row for row in table.rows if row.cost.weight_bits < 32]
    assert work.widened_bytes == sum(4 * row.cost.weight_elements for row in narrow) > 0
    assert delegate_memory.memory_work(table_of("quantize(bits=8)"), 1).widened_bytes == 0


def test_the_device_prices_every_kind_of_network():
    host = Device.load("host")
    for recipe in ("baseline", "quantize(bits=8)", "tensor_train(rank=4)", "quantize(bits=4)", "binarize"):
        for prediction in host.predict(table_of(recipe)).values():
            assert 0 < prediction.low < prediction.value < prediction.high


def test_what_was_measured_here_is_no_unknown_kernel(processor_of_the_fit):
    host = Device.load("host")
    assert host.predict(table_of("quantize(bits=4)"))["latency_ms"].status == "interpolated"
    sign = TableRow("odd", "", (4, 8, 8), (4, 8, 8), OperationCost("elementwise", calibrated=False), 1)
    table = table_of("baseline")
    odd = LayerTable("odd", SHAPE, (*table.rows, sign))
    assert host.predict(odd)["latency_ms"].status == "extrapolated"


@pytest.mark.parametrize("quantity", ["latency_ms", "peak_memory_bytes"])
def test_formulas_are_known_by_name(quantity):
    model = cost_model(quantity, "delegate")
    assert model.price(model.work(table_of("baseline"), None), _coefficients(model), "one") > 0


def _coefficients(model):
    from atoll.hw_models.formulas.setup import Setup

    return {term.name: term.prior for term in model.terms((Setup("one", "one", {}),))}


@pytest.mark.parametrize(
    ("operation", "bits", "term"),
    [
        ("hard_swish", 8, "ns_per_plain_int8_element"),
        ("HARD_SWISH", 8, "ns_per_plain_int8_element"),
        ("hard_swish", 32, "ns_per_float_element"),
        ("add", 8, "ns_per_int8_element"),
    ],
)
def test_functions_that_the_delegate_does_not_take(operation, bits, term):
    cost = OperationCost(
        "elementwise", input_elements=30, output_elements=12, activation_bits=bits, operation=operation
    )
    amounts = dict(work_of(TableRow("f", "", (3, 2, 2), (3, 2, 2), cost, 1)).amounts)
    assert amounts == {"us_per_operation": 1000.0, "ns_per_moved_element": 0, term: 42}
