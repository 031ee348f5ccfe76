"""Every weight type that support.py lets ship, against an integer simulation in float64."""

import numpy as np
import pytest
import torch
from atoll.evaluators.litert import operators
from atoll.evaluators.litert import operators_moving as moving
from atoll.evaluators.litert.inspect import tensor_rows
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.litert.support import RIGHT_WIDTHS, reads_bias_scales, weight_type
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.writer import TfliteModel
from atoll.spaces.errors import AtollError
from atoll.spaces.kernels.affine import quantize_as_it_runs

INPUT = TensorGrid(0.03125, -7)
CHANNELS, OUTPUTS, SIZE = 6, 5, 7
BUILD = {
    "conv": operators.conv_2d,
    "depthwise": operators.depthwise_conv_2d,
    "dense": operators.fully_connected,
    "transposed": lambda model, x, weight, bias, **settings: operators.transpose_conv(
        model, x, weight, bias, (2 * SIZE + 1, 2 * SIZE + 1), strides=(2, 2), **settings
    ),
}
SHAPES = {
    "conv": ((1, SIZE, SIZE, CHANNELS), (OUTPUTS, 3, 3, CHANNELS), 0),
    "depthwise": ((1, SIZE, SIZE, CHANNELS), (1, 3, 3, CHANNELS), 3),
    "dense": ((SIZE, CHANNELS), (OUTPUTS, CHANNELS), 0),
    "transposed": ((1, SIZE, SIZE, CHANNELS), (OUTPUTS, 3, 3, CHANNELS), 0),
}


def reference(operator: str, x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The operator in float64 on a batch of channels-last inputs."""
    if operator == "dense":
        return x @ weight.T + bias
    order, groups = ((3, 0, 1, 2), x.shape[-1]) if operator == "depthwise" else ((0, 3, 1, 2), 1)
    features = torch.from_numpy(x).permute(0, 3, 1, 2)
    kernel = torch.from_numpy(weight.transpose(order).copy())
    if operator == "transposed":
        y = torch.nn.functional.conv_transpose2d(features, kernel.transpose(0, 1), torch.from_numpy(bias), 2)
        return y.permute(0, 2, 3, 1).numpy()
    y = torch.nn.functional.conv2d(features, kernel, torch.from_numpy(bias), padding="same", groups=groups)
    return y.permute(0, 2, 3, 1).numpy()


CASES = [
    (operator, int8, width, per_channel, delegate)
    for (operator, int8), widths in RIGHT_WIDTHS.items()
    for width in widths
    for per_channel in (True, False)
    for delegate in (True, False)
]


@pytest.mark.parametrize(("operator", "int8", "width", "per_channel", "delegate"), CASES)
def test_weight_type_is_computed_right(
    operator: str, int8: bool, width: int, per_channel: bool, delegate: bool
) -> None:
    rng = np.random.default_rng(width + per_channel)
    input_shape, weight_shape, axis = SHAPES[operator]
    count = weight_shape[axis]
    levels = (1 << width - 1) - 1
    integers = rng.integers(-levels, levels + 1, weight_shape)
    scales = rng.uniform(0.5, 2, count if per_channel else 1).astype(np.float32) / levels
    spread = [1] * len(weight_shape)
    spread[axis] = len(scales)
    weight = integers * scales.astype(np.float64).reshape(spread)

    model = TfliteModel()
    x = model.add_input(input_shape, INPUT if int8 else None)
    constant = model.add_constant(integers, f"int{width}", scales, axis)
    if int8:
        raw = rng.integers(-128, 128, (3, *input_shape)).astype(np.int8)
        values = (raw.astype(np.float64) - INPUT.zero_point) * INPUT.scale
        steps = INPUT.scale * scales
        bias_integers = rng.integers(-50, 50, count)
        bias = bias_integers * steps.astype(np.float64)
        read = steps if reads_bias_scales(operator, f"int{width}") else None  # type: ignore[arg-type]
        bias_index = model.add_constant(bias_integers, "int32", read)
    else:
        raw = values = rng.normal(size=(3, *input_shape)).astype(np.float32)
        bias = rng.normal(size=count).astype(np.float32).astype(np.float64)
        bias_index = model.add_constant(bias, "float32")
        constant = operators.dequantize(model, constant)
    batch = values.astype(np.float64).reshape(-1, *input_shape[1:]) if len(input_shape) == 4 else values
    exact = np.maximum(reference(operator, np.asarray(batch, np.float64), weight, bias), 0).reshape(3, -1)
    grid = (
        TensorGrid(float(np.float32(exact.max() / 230)), -128) if int8 else None
    )  # a tenth of a range is clipped
    model.outputs = [BUILD[operator](model, x, constant, bias_index, grid=grid, activation="relu")]

    got = LiteRtRunner(model.to_bytes(), delegate=delegate).run_raw(raw).reshape(3, -1)
    if grid is None:
        assert np.abs(got - exact).max() <= 1e-5 * np.abs(exact).max()
    else:
        expected = np.clip(np.rint(exact / grid.scale) + grid.zero_point, -128, 127)
        assert len(np.unique(expected)) > 20  # the comparison means something
        assert np.abs(got - expected).max() <= 1


@pytest.mark.parametrize("operator", ["conv", "depthwise", "transposed"])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("delegate", [True, False])
def test_zeros_of_a_bias_have_any_scale(operator: str, per_channel: bool, delegate: bool) -> None:
    """The same integers with the scales that a bias has as with those of the weights, which are there."""
    rng = np.random.default_rng(11)
    input_shape, weight_shape, axis = SHAPES[operator]
    integers = rng.integers(-127, 128, weight_shape)
    scales = rng.uniform(0.001, 0.01, weight_shape[axis] if per_channel else 1).astype(np.float32)
    raw = rng.integers(-128, 128, (3, *input_shape)).astype(np.int8)
    found, sizes = [], []
    for bias_scales in (scales * np.float32(INPUT.scale), scales):
        model = TfliteModel()
        x = model.add_input(input_shape, INPUT)
        weight = model.add_constant(integers, "int8", scales, axis)
        bias = model.add_constant(np.zeros(weight_shape[axis]), "int32", bias_scales)
        model.outputs = [BUILD[operator](model, x, weight, bias, grid=TensorGrid(0.05, 3))]
        content = model.to_bytes()
        sizes.append(len(content))
        found.append(LiteRtRunner(content, delegate=delegate).run_raw(raw))
    assert len(np.unique(found[0])) > 20  # the comparison means something
    np.testing.assert_array_equal(*found)
    assert sizes[1] < sizes[0] or not per_channel  # stored once


def test_int2_convolutions_are_still_refused_by_the_runtime() -> None:
    """Guards the table: when LiteRT learns int2 convolutions, RIGHT_WIDTHS should say so."""
    assert weight_type("conv", 2, True) == "int4"
    model = TfliteModel()
    x = model.add_input((1, 3, 3, 4), INPUT)
    weight = model.add_constant(np.ones((2, 1, 1, 4), int), "int2", np.ones(2))
    bias = model.add_constant(np.zeros(2, int), "int32", np.full(2, INPUT.scale))
    model.outputs = [operators.conv_2d(model, x, weight, bias, TensorGrid(1.0))]
    with pytest.raises(Exception, match="not load"):
        LiteRtRunner(model.to_bytes())


@pytest.mark.parametrize("operator", ["conv", "depthwise", "dense"])
def test_float_weights(operator: str) -> None:
    rng = np.random.default_rng(3)
    input_shape, weight_shape, axis = SHAPES[operator]
    weight = rng.normal(size=weight_shape).astype(np.float32)
    bias = rng.normal(size=weight_shape[axis]).astype(np.float32)
    model = TfliteModel()
    x = model.add_input(input_shape)
    constants = [model.add_constant(values, "float32") for values in (weight, bias)]
    model.outputs = [BUILD[operator](model, x, *constants)]
    image = rng.normal(size=(1, *input_shape)).astype(np.float32)
    got = LiteRtRunner(model.to_bytes()).run(image)
    exact = reference(
        operator, image[0].astype(np.float64), weight.astype(np.float64), bias.astype(np.float64)
    )
    np.testing.assert_allclose(got.reshape(exact.shape), exact, atol=1e-5)


def test_narrowest_types() -> None:
    assert [weight_type("dense", bits, True) for bits in (1, 2, 3, 4, 5, 8)] == [
        "int2", "int2", "int4", "int4", "int8", "int8",
    ]  # fmt: skip
    assert [weight_type("conv", bits, True) for bits in (1, 2, 4, 6)] == ["int4", "int4", "int4", "int8"]


def test_batch_normalisation_as_depthwise() -> None:
    """g x + b as weights +-127 with scale |g| / 127: at most 1 LSB from the real-valued result."""
    rng = np.random.default_rng(5)
    gain, shift = rng.normal(size=8), rng.normal(size=8)
    scales = (np.abs(gain) / 127).astype(np.float32)
    grid = TensorGrid(0.05, 4)
    model = TfliteModel()
    x = model.add_input((1, 4, 4, 8), INPUT)
    weight = model.add_constant(127 * np.sign(gain).reshape(1, 1, 1, 8), "int8", scales, 3)
    steps = INPUT.scale * scales
    bias = model.add_constant(np.rint(shift / steps), "int32", steps)
    model.outputs = [operators.depthwise_conv_2d(model, x, weight, bias, grid)]
    raw = rng.integers(-128, 128, (4, 4, 4, 8)).astype(np.int8)
    want = grid.quantize(INPUT.dequantize(raw) * gain + shift)
    got = LiteRtRunner(model.to_bytes()).run_raw(raw)
    assert np.abs(got.astype(int) - want).max() <= 1
    assert (got != want).mean() < 0.02


@pytest.mark.parametrize("dtype", ["int8", "int4", "int2"])
def test_tensor_train_chain(dtype: str) -> None:
    """Three contractions with a grid behind each, as reshapes, dense layers and a transposition."""
    rng = np.random.default_rng(7)
    levels, rank, step = (1 << int(dtype[3:]) - 1) - 1, 3, 0.0613
    shapes = ((4 * rank, 8), (4 * rank, 8 * rank), (3, 32 * rank))
    cores = [rng.integers(-levels, levels + 1, shape) for shape in shapes]
    raw = rng.integers(-128, 128, (5, 256)).astype(np.int8)
    grids: list[TensorGrid] = []

    def simulate(value: np.ndarray, core: np.ndarray) -> np.ndarray:
        exact = value @ (core.T * step)
        grids.append(TensorGrid(float(np.float32(np.abs(exact).max() / 119.7)), len(grids) - 1))
        return grids[-1].dequantize(grids[-1].quantize(exact))

    h = simulate(INPUT.dequantize(raw).reshape(5, 32, 8), cores[0])
    h = h.reshape(5, 4, 8, 4, rank).transpose(0, 1, 3, 2, 4).reshape(5, 16, 8 * rank)
    h = simulate(simulate(h, cores[1]).reshape(5, 2, 32 * rank), cores[2]).reshape(5, 6)

    model = TfliteModel()

    def contract(value: int, core: int) -> int:
        weight = model.add_constant(cores[core], dtype, step)
        return operators.fully_connected(model, value, weight, grid=grids[core])

    y = contract(moving.reshape(model, model.add_input((1, 256), INPUT), (32, 8)), 0)
    y = moving.transpose(model, moving.reshape(model, y, (4, 8, 4, rank)), (0, 2, 1, 3))
    y = contract(moving.reshape(model, y, (16, 8 * rank)), 1)
    y = contract(moving.reshape(model, y, (2, 32 * rank)), 2)
    model.outputs = [moving.reshape(model, y, (1, 6))]
    data = model.to_bytes()
    got = LiteRtRunner(data).run_raw(raw)
    # int2 with one scale runs on the plain kernel, whose double rounding adds up over the stages
    assert np.abs(got.astype(int) - grids[2].quantize(h)).max() <= (2 if dtype == "int2" else 0)
    assert {row.dtype for row in tensor_rows(data) if row.constant} == {dtype, "int32"}


@pytest.mark.parametrize("operator", list(SHAPES))
@pytest.mark.parametrize("dtype", ["int8", "int4", "int2", "float16"])
@pytest.mark.parametrize("delegate", [True, False])
def test_zero_points_and_half_precision_are_right_through_dequantize(
    operator: str, dtype: str, delegate: bool
) -> None:
    rng = np.random.default_rng(11)
    input_shape, weight_shape, axis = SHAPES[operator]
    count = weight_shape[axis]
    model = TfliteModel()
    x = model.add_input(input_shape)
    if dtype == "float16":
        weight = rng.normal(size=weight_shape).astype(np.float16).astype(np.float64)
        stored = model.add_constant(weight, dtype)
    else:
        least, most = -(1 << int(dtype[3:]) - 1), (1 << int(dtype[3:]) - 1) - 1
        integers = rng.integers(least, most + 1, weight_shape)
        points = rng.integers(least, most + 1, count)
        scales = rng.uniform(0.5, 2, count).astype(np.float32) / most
        spread = [1] * len(weight_shape)
        spread[axis] = count
        weight = (integers - points.reshape(spread)) * scales.astype(np.float64).reshape(spread)
        stored = model.add_constant(integers, dtype, scales, axis, zero_points=points)
    bias = rng.normal(size=count).astype(np.float32)
    constants = operators.dequantize(model, stored), model.add_constant(bias, "float32")
    model.outputs = [BUILD[operator](model, x, *constants)]
    image = rng.normal(size=(1, *input_shape)).astype(np.float32)
    got = LiteRtRunner(model.to_bytes(), delegate=delegate).run(image)
    exact = reference(operator, image[0].astype(np.float64), weight, bias.astype(np.float64))
    np.testing.assert_allclose(got.reshape(exact.shape), exact, atol=1e-5)


DYNAMIC = [("conv", 8), ("conv", 4), ("dense", 8), ("dense", 4), ("dense", 2)]


@pytest.mark.parametrize(("operator", "width"), DYNAMIC)
@pytest.mark.parametrize("delegate", [True, False])
def test_kernels_round_float_activations_as_simulated(operator: str, width: int, delegate: bool) -> None:
    """With scales that differ, of few inputs: the plain int4 dense kernel rounds otherwise from 32 on."""
    rng = np.random.default_rng(13)
    input_shape, weight_shape, axis = SHAPES[operator]
    count, levels = weight_shape[axis], (1 << width - 1) - 1
    integers = rng.integers(-levels, levels + 1, weight_shape)
    scales = rng.uniform(0.5, 2, count).astype(np.float32) / levels
    weight = integers * scales.astype(np.float64).reshape(-1, *[1] * (len(weight_shape) - 1))
    bias = rng.normal(size=count).astype(np.float32)
    model = TfliteModel()
    x = model.add_input(input_shape)
    constants = model.add_constant(integers, f"int{width}", scales), model.add_constant(bias, "float32")
    model.outputs = [BUILD[operator](model, x, *constants)]
    image = (rng.normal(size=input_shape) + 0.4).astype(np.float32)
    got = LiteRtRunner(model.to_bytes(), delegate=delegate).run(image[None])
    dims = (-1,) if operator == "dense" else (1, 2, 3)
    rounded = quantize_as_it_runs(torch.from_numpy(image), dims).numpy().astype(np.float64)
    exact = reference(operator, rounded, weight, bias.astype(np.float64))
    np.testing.assert_allclose(got.reshape(exact.shape), exact, atol=1e-4)
    unrounded = reference(operator, image.astype(np.float64), weight, bias.astype(np.float64))
    assert np.abs(got.reshape(exact.shape) - unrounded).max() > 1e-3  # it does round


def test_as_many_zero_points_as_scales() -> None:
    with pytest.raises(AtollError, match="2 zero points: allowed is one for every scale"):
        TfliteModel().add_constant(np.ones((3, 4), int), "int8", np.ones(3), zero_points=np.zeros(2))
