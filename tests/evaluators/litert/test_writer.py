import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from atoll.evaluators.litert import operators
from atoll.evaluators.litert import operators_moving as moving
from atoll.evaluators.litert import operators_pooling as pooling
from atoll.evaluators.litert.inspect import operator_names, overhead_bytes, peak_tensor_bytes, tensor_rows
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.writer import TfliteModel
from atoll.spaces.errors import AtollError


def small_model(rng: np.random.Generator | None, channels: int = 8) -> TfliteModel:
    """Convolution, pooling, dense in int8; without a generator all values are zeros and ones."""
    model = TfliteModel()

    def grid() -> TensorGrid:
        return (
            TensorGrid(1.0)
            if rng is None
            else TensorGrid(float(rng.uniform(0.01, 0.1)), int(rng.integers(-128, 128)))
        )

    def layer(shape: tuple[int, ...], x: int) -> tuple[int, int]:
        integers = np.zeros(shape, int) if rng is None else rng.integers(-127, 128, shape)
        scales = np.ones(shape[0]) if rng is None else rng.uniform(0.01, 0.02, shape[0])
        bias = np.zeros(shape[0], int) if rng is None else rng.integers(-9, 9, shape[0])
        step = np.float32(model.tensors[x].grid.scale) * scales
        return model.add_constant(integers, "int8", scales), model.add_constant(bias, "int32", step)

    x = model.add_input((1, 8, 8, 3), grid())
    for size in (3, channels):
        x = operators.conv_2d(model, x, *layer((channels, 3, 3, size), x), grid(), activation="relu")
        x = pooling.pool_2d(model, x, "max", (2, 2))
    x = moving.reshape(model, x, (1, 4 * channels))
    model.outputs = [operators.fully_connected(model, x, *layer((5, 4 * channels), x), grid())]
    return model


def test_same_model_same_bytes() -> None:
    assert (
        small_model(np.random.default_rng(0)).to_bytes() == small_model(np.random.default_rng(0)).to_bytes()
    )


def test_size_does_not_depend_on_values() -> None:
    sizes = {len(small_model(rng).to_bytes()) for rng in (None, *map(np.random.default_rng, range(4)))}
    assert len(sizes) == 1


def test_the_schema_reads_back_what_was_written() -> None:
    model = small_model(np.random.default_rng(1))
    content = model.to_bytes()
    assert content[4:8] == b"TFL3"
    read = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph = read.subgraphs[0]
    for entry, tensor in zip(model.tensors, graph.tensors, strict=True):
        assert tuple(tensor.shape) == entry.shape
        assert tensor.name is None
        if entry.data:
            assert bytes(read.buffers[tensor.buffer].data) == entry.data
        if entry.scales is not None:
            assert np.array_equal(tensor.quantization.scale, entry.scales)
            assert not np.any(tensor.quantization.zeroPoint)
            assert len(tensor.quantization.zeroPoint) == len(entry.scales)
        if entry.grid is not None:
            assert tensor.quantization.scale[0] == np.float32(entry.grid.scale)
            assert tensor.quantization.zeroPoint[0] == entry.grid.zero_point
    assert read.metadata is None
    assert read.signatureDefs is None
    names = "CONV_2D MAX_POOL_2D CONV_2D MAX_POOL_2D RESHAPE FULLY_CONNECTED"
    assert operator_names(content) == names.split()


def test_buffers_are_aligned_to_16_bytes() -> None:
    content = small_model(np.random.default_rng(2)).to_bytes()
    base = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
    model = schema.Model.GetRootAs(content)
    addresses = [
        model.Buffers(i).DataAsNumpy().__array_interface__["data"][0] - base
        for i in range(model.BuffersLength())
        if model.Buffers(i).DataLength()
    ]
    assert len(addresses) == 6
    assert all(address % 16 == 0 for address in addresses)


def test_overhead_is_the_file_less_weights_biases_scales_and_zero_points() -> None:
    channels = 8
    content = small_model(np.random.default_rng(3), channels).to_bytes()
    weights = 9 * channels * (3 + channels) + 5 * 4 * channels
    biases = 4 * (channels + channels + 5)
    weight_and_bias_scales = 2 * 4 * (channels + channels + 5)
    zero_points = 8 * (channels + 5)  # zeros of equal length are stored once
    grids = 4 * (4 + 8)  # input, two convolutions, dense
    payload = weights + biases + weight_and_bias_scales + zero_points + grids
    assert overhead_bytes(content) == len(content) - payload
    assert overhead_bytes(content) < 1600


def test_peak_memory_by_liveness() -> None:
    content = small_model(np.random.default_rng(4)).to_bytes()
    # the first convolution: 8 x 8 x 3 in, 8 x 8 x 8 out, one byte each
    assert peak_tensor_bytes(content) == 8 * 8 * 3 + 8 * 8 * 8


def test_peak_memory_keeps_a_tensor_until_its_last_reader() -> None:
    model = TfliteModel()
    x = model.add_input((1, 10))
    y = operators.relu(model, x)
    z = operators.relu(model, y)
    z = operators.relu(model, z)
    model.outputs = [operators.add(model, y, z)]
    # y waits for the addition: y, z and the relu before z are alive at once
    assert peak_tensor_bytes(model.to_bytes()) == 3 * 40


def test_dequantized_constants_stay() -> None:
    model = TfliteModel()
    x = model.add_input((1, 4))
    for _ in range(2):
        weight = operators.dequantize(model, model.add_constant(np.eye(4, dtype=int), "int4", 0.5))
        x = operators.fully_connected(model, x, weight)
    model.outputs = [x]
    content = model.to_bytes()
    assert peak_tensor_bytes(content) == 2 * 64 + 2 * 16
    assert [row.dtype for row in tensor_rows(content) if row.constant] == ["int4", "int4"]
    np.testing.assert_allclose(LiteRtRunner(content).run(np.ones((1, 4))), np.full((1, 4), 0.25))


def test_index_constants_are_shared_and_weights_never() -> None:
    model = TfliteModel()
    assert model.add_index((1, 2)) == model.add_index((1, 2)) != model.add_index((2, 1))
    assert model.add_constant(np.zeros(3), "float32") != model.add_constant(np.zeros(3), "float32")
    biases = [model.add_constant(np.zeros(3), dtype, structural=True) for dtype in ("int32", "float32") * 2]
    assert biases[:2] == biases[2:]
    steps = [model.add_constant(np.zeros(3), "int32", np.ones(3), structural=True) for _ in range(2)]
    assert len({*biases, *steps}) == 4  # the steps are trained


@pytest.mark.parametrize("scales", [[0.0], [-1.0], [np.nan], [np.inf]])
def test_impossible_scales_are_refused(scales: list[float]) -> None:
    with pytest.raises(AtollError, match="finite and greater than 0"):
        TfliteModel().add_constant(np.zeros((2, 2), int), "int8", scales)


def test_wrong_number_of_scales_is_refused() -> None:
    with pytest.raises(AtollError, match=r"3 scales for axis 0 .* allowed are 1 or 2"):
        TfliteModel().add_constant(np.zeros((2, 2), int), "int8", [1.0, 1.0, 1.0])


def test_a_broken_file_gives_the_runtime_s_reason() -> None:
    with pytest.raises(AtollError, match="LiteRT does not load the model"):
        LiteRtRunner(b"TFL3 this is no flatbuffer at all")


def test_time_is_measured() -> None:
    assert 0 < LiteRtRunner(small_model(np.random.default_rng(5)).to_bytes()).time_ms(3) < 1000
