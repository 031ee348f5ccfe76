"""Versions of operators against a table written from op_version.cc by hand, read back from files."""

from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from atoll.evaluators.litert import operators as op
from atoll.evaluators.litert import operators_loop as looping
from atoll.evaluators.litert import operators_moving as moving
from atoll.evaluators.litert import operators_pooling as pooling
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.versions import LINES
from atoll.evaluators.litert.writer import TfliteModel
from atoll.spaces.errors import AtollError

GRID = TensorGrid(0.5, 3)
SCALE_A_CHANNEL = np.array([0.5, 0.25, 0.5, 0.25])


def versions(content: bytes) -> dict[str, list[int]]:
    """Every operator code of a file with its versions."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    found: dict[str, list[int]] = {}
    for code in model.operatorCodes:
        found.setdefault(names[max(code.builtinCode, code.deprecatedBuiltinCode)], []).append(code.version)
    return {name: sorted(one) for name, one in found.items()}


def weighted(kind: str, activations: str, weights: str, scales: object = 0.5, **settings: object) -> bytes:
    """A file of one operator with weights: 4 channels in, 4 out (2 in a group of 2)."""
    model = TfliteModel()
    grid = None if activations == "float32" else GRID
    x = model.add_input((1, 6, 6, 4) if kind != "dense" else (1, 4), grid)
    groups, bias = settings.pop("groups", 1), settings.pop("bias", True)
    shape = {"conv": (4, 3, 3, 4 // groups), "depthwise": (1, 3, 3, 4), "dense": (4, 4)}[kind]
    steps = None if weights == "float32" else scales
    weight = model.add_constant(np.zeros(shape, int), weights, steps, 3 if kind == "depthwise" else 0)
    type_of_bias = ("float32", None) if grid is None else ("int32", scales)
    constants = [weight, model.add_constant(np.zeros(4, int), *type_of_bias)] if bias else [weight]
    build = {"conv": op.conv_2d, "depthwise": op.depthwise_conv_2d, "dense": op.fully_connected}[kind]
    model.outputs = [build(model, x, *constants, grid=grid, **settings)]
    return model.to_bytes()


# operator, activations, weights, scales, settings -> version
WEIGHTED = [
    ("conv", "float32", "float32", 0.5, {}, 1),
    ("conv", "float32", "float32", 0.5, {"dilation": (2, 2)}, 1),
    ("conv", "float32", "float32", 0.5, {"groups": 2}, 6),
    ("conv", "int8", "int8", 0.5, {}, 3),
    ("conv", "int8", "int8", SCALE_A_CHANNEL, {}, 3),
    ("conv", "int8", "int8", 0.5, {"groups": 2}, 6),
    ("conv", "int8", "int4", SCALE_A_CHANNEL, {}, 7),
    ("conv", "float32", "int8", 0.5, {}, 2),
    ("conv", "float32", "int8", SCALE_A_CHANNEL, {}, 5),
    ("conv", "float32", "int8", SCALE_A_CHANNEL, {"groups": 2}, 6),
    ("conv", "float32", "int4", SCALE_A_CHANNEL, {}, 7),
    ("depthwise", "float32", "float32", 0.5, {}, 1),
    ("depthwise", "float32", "float32", 0.5, {"dilation": (2, 2)}, 2),
    ("depthwise", "int8", "int8", SCALE_A_CHANNEL, {}, 3),
    ("depthwise", "int8", "int8", SCALE_A_CHANNEL, {"dilation": (2, 2)}, 3),
    ("depthwise", "float32", "int8", 0.5, {}, 4),
    ("depthwise", "float32", "int8", SCALE_A_CHANNEL, {}, 6),
    ("depthwise", "int8", "int4", SCALE_A_CHANNEL, {}, 7),
    ("dense", "float32", "float32", 0.5, {}, 1),
    ("dense", "float32", "float32", 0.5, {"bias": False}, 6),
    ("dense", "float32", "float32", 0.5, {"keep_num_dims": True}, 5),
    ("dense", "int8", "int8", 0.5, {}, 4),
    ("dense", "int8", "int8", SCALE_A_CHANNEL, {}, 4),
    ("dense", "int8", "int8", 0.5, {"keep_num_dims": True}, 5),
    ("dense", "int8", "int8", 0.5, {"bias": False}, 6),
    ("dense", "int8", "int4", SCALE_A_CHANNEL, {}, 10),
    ("dense", "int8", "int2", SCALE_A_CHANNEL, {}, 14),
    ("dense", "float32", "int8", 0.5, {}, 9),  # this writer always asks for asymmetric inputs
    ("dense", "float32", "int8", SCALE_A_CHANNEL, {}, 12),
    ("dense", "float32", "int8", SCALE_A_CHANNEL, {"bias": False}, 12),
    (
        "dense",
        "float32",
        "int4",
        SCALE_A_CHANNEL,
        {},
        12,
    ),  # op_version.cc is silent: scales a channel need 12
    ("dense", "float32", "int2", SCALE_A_CHANNEL, {}, 14),
]
NAMES = {"conv": "CONV_2D", "depthwise": "DEPTHWISE_CONV_2D", "dense": "FULLY_CONNECTED"}


@pytest.mark.parametrize(("kind", "activations", "weights", "scales", "settings", "version"), WEIGHTED)
def test_operators_with_weights(kind, activations, weights, scales, settings, version) -> None:
    found = versions(weighted(kind, activations, weights, scales, **settings))
    assert found[NAMES[kind]] == [version]


def transposed(model: TfliteModel, x: int, grid: TensorGrid | None, activation: str | None) -> int:
    types = ("float32", "float32") if grid is None else ("int8", "int32")
    shapes = ((3, 2, 2, 2), (3,))
    weight, bias = (
        model.add_constant(np.zeros(shape, int), dtype, None if grid is None else 0.5)
        for shape, dtype in zip(shapes, types, strict=True)
    )
    return op.transpose_conv(model, x, weight, bias, (8, 8), grid, (2, 2), activation=activation)


def counted(model: TfliteModel, x: int) -> int:
    """A loop that counts up to four beside a value, which it hands on."""
    condition, body = TfliteModel(), TfliteModel()
    carried = [x, model.add_index([0])]
    for graph in (condition, body):
        graph.inputs = [looping.copy_of(graph, model, one) for one in carried]
    condition.outputs = [looping.below(condition, condition.inputs[1], 4)]
    body.outputs = [body.inputs[0], looping.counted_on(body, body.inputs[1])]
    return looping.loop(model, condition, body, carried)[0]


def row(model: TfliteModel, x: int) -> int:
    return looping.row(model, moving.reshape(model, x, (1, 4, 8)), model.add_index([2]))


#: operator, how it is built -> version of float32, of int8
OTHERS: list[tuple[str, Callable[[TfliteModel, int, TensorGrid | None], int], int, int]] = [
    ("MAX_POOL_2D", lambda m, x, g: pooling.pool_2d(m, x, "max", (2, 2)), 1, 2),
    ("AVERAGE_POOL_2D", lambda m, x, g: pooling.pool_2d(m, x, "average", (2, 2)), 1, 2),
    ("MEAN", lambda m, x, g: pooling.mean(m, x, (1, 2)), 1, 2),
    ("RESIZE_BILINEAR", lambda m, x, g: pooling.resize(m, x, (8, 8), "bilinear"), 1, 2),
    ("RESIZE_BILINEAR", lambda m, x, g: pooling.resize(m, x, (8, 8), "bilinear", align_corners=True), 1, 2),
    ("RESIZE_BILINEAR",
     lambda m, x, g: pooling.resize(m, x, (8, 8), "bilinear", half_pixel_centers=True), 3, 3),
    ("RESIZE_NEAREST_NEIGHBOR", lambda m, x, g: pooling.resize(m, x, (8, 8), "nearest_neighbor"), 1, 2),
    ("RESIZE_NEAREST_NEIGHBOR",
     lambda m, x, g: pooling.resize(m, x, (8, 8), "nearest_neighbor", align_corners=True), 3, 3),
    ("RESHAPE", lambda m, x, g: moving.reshape(m, x, (1, 32)), 1, 1),
    ("TRANSPOSE", lambda m, x, g: moving.transpose(m, x, (0, 3, 1, 2)), 1, 2),
    ("PAD", lambda m, x, g: moving.pad(m, x, [(0, 0), (1, 1), (1, 1), (0, 0)]), 1, 2),
    ("PADV2", lambda m, x, g: moving.pad(m, x, [(0, 0), (1, 1), (1, 1), (0, 0)], moving.LOWEST), 1, 2),
    ("MIRROR_PAD", lambda m, x, g: moving.mirror_pad(m, x, [(0, 0), (1, 1), (1, 1), (0, 0)]), 1, 2),
    ("PAD", lambda m, x, g: moving.pad(m, moving.reshape(m, x, (1, 4, 2, 2, 2)), [(0, 1)] * 5), 4, 4),
    ("TRANSPOSE",
     lambda m, x, g: moving.transpose(m, moving.reshape(m, x, (4, 2, 2, 1, 2)), (4, 3, 2, 1, 0)), 4, 4),
    ("TRANSPOSE",
     lambda m, x, g: moving.transpose(m, moving.reshape(m, x, (2, 2, 2, 1, 2, 2)), (5, 4, 3, 2, 1, 0)), 6, 6),
    ("SLICE", lambda m, x, g: moving.part(m, x, [(0, 1, 1)] * 4), 1, 2),
    ("SLICE", lambda m, x, g: moving.part(m, moving.reshape(m, x, (1, 4, 2, 2, 2)), [(0, 1, 1)] * 5), 5, 5),
    ("STRIDED_SLICE", lambda m, x, g: moving.part(m, x, [(0, 1, 1), (0, 2, 2), (0, 1, 1), (0, 2, 1)]), 1, 2),
    ("BROADCAST_TO",
     lambda m, x, g: moving.broadcast(m, moving.reshape(m, x, (1, 1, 4, 8)), (1, 3, 4, 8)), 2, 3),
    ("ADD", lambda m, x, g: op.add(m, x, x, g), 1, 2),
    ("SUB", lambda m, x, g: op.subtract(m, x, x, g), 1, 2),
    ("MUL", lambda m, x, g: op.mul(m, x, x, g), 1, 2),  # 0.5 x 0.5 / 0.5 is below 1
    ("RELU", lambda m, x, g: op.relu(m, x, "relu", g), 1, 2),
    ("RELU6", lambda m, x, g: op.relu(m, x, "relu6", g), 1, 2),
    ("RELU_N1_TO_1", lambda m, x, g: op.relu(m, x, "relu_n1_to_1", g), 1, 1),
    ("RELU_0_TO_1", lambda m, x, g: op.relu(m, x, "relu_0_to_1", g), 1, 1),
    ("MAXIMUM", lambda m, x, g: op.extreme(m, x, x, g, name="MAXIMUM"), 1, 2),
    ("MINIMUM", lambda m, x, g: op.extreme(m, x, x, g, name="MINIMUM"), 1, 2),
    ("LOGISTIC", lambda m, x, g: op.function(m, x, "LOGISTIC", g), 1, 2),
    ("TANH", lambda m, x, g: op.function(m, x, "TANH", g), 1, 2),
    ("SOFTMAX", lambda m, x, g: op.function(m, x, "SOFTMAX", g, beta=1.0), 1, 2),
    ("GELU", lambda m, x, g: op.function(m, x, "GELU", g, approximate=False), 1, 2),
    ("ELU", lambda m, x, g: op.function(m, x, "ELU", g), 1, 1),
    ("HARD_SWISH", lambda m, x, g: op.function(m, x, "HARD_SWISH", g), 1, 1),
    ("LEAKY_RELU", lambda m, x, g: op.function(m, x, "LEAKY_RELU", g, alpha=0.1), 1, 1),
    ("TRANSPOSE_CONV", lambda m, x, g: transposed(m, x, g, None), 3, 3),  # with a bias
    ("TRANSPOSE_CONV", lambda m, x, g: transposed(m, x, g, "relu"), 4, 4),
    ("RSQRT", lambda m, x, g: op.function(m, x, "RSQRT", g), 1, 2),
    ("BATCH_MATMUL", lambda m, x, g: op.batch_matmul(m, x, x, g, True), 1, 2),
    ("SQRT", lambda m, x, g: op.function(m, x, "SQRT", g), 1, 1),
    ("SQUARE", lambda m, x, g: op.function(m, x, "SQUARE", g), 1, 1),
    ("EXP", lambda m, x, g: op.function(m, x, "EXP", g), 1, 1),
    ("LOG", lambda m, x, g: op.function(m, x, "LOG", g), 1, 1),
    ("ABS", lambda m, x, g: op.function(m, x, "ABS", g), 1, 1),
    ("NEG", lambda m, x, g: op.function(m, x, "NEG", g), 1, 1),
    ("DIV", lambda m, x, g: op.divide(m, x, x, g), 1, 1),
    ("PRELU", lambda m, x, g: op.prelu(m, x, x, g), 1, 1),
    ("CONCATENATION", lambda m, x, g: moving.concatenation(m, (x, x), 3), 1, 2),
    ("GREATER_EQUAL", lambda m, x, g: op.sign(m, x, g), 1, 2),
    ("SELECT_V2", lambda m, x, g: op.sign(m, x, g), 1, 1),
    ("WHILE", lambda m, x, g: counted(m, x), 1, 1),
    ("LESS", lambda m, x, g: counted(m, x), 1, 1),  # of counts
    ("GATHER", lambda m, x, g: row(m, x), 1, 2),
    ("SPLIT", lambda m, x, g: looping.split(m, x, 2)[1], 1, 2),
    ("QUANTIZE", lambda m, x, g: op.quantize(m, x, TensorGrid(0.25)), 1, 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "build", "floats", "integers"), OTHERS)
def test_other_operators(name, build, floats, integers) -> None:
    for grid, version in ((None, floats), (GRID, integers)):
        model = TfliteModel()
        x = model.add_input((1, 4, 4, 2), grid)
        model.outputs = [build(model, x, grid)]
        assert versions(model.to_bytes())[name] == [version]


@pytest.mark.parametrize(
    ("dtype", "scales", "version"),
    [
        ("float16", None, 3),
        ("int8", 0.5, 2),
        ("int8", SCALE_A_CHANNEL, 5),
        ("int4", SCALE_A_CHANNEL, 6),
        ("int2", 0.5, 7),
    ],
)
def test_widened_constants(dtype, scales, version) -> None:
    model = TfliteModel()
    x = model.add_input((1, 4))
    weight = op.dequantize(model, model.add_constant(np.zeros((4, 4), int), dtype, scales))
    model.outputs = [op.fully_connected(model, x, weight)]
    assert versions(model.to_bytes())["DEQUANTIZE"] == [version]


def test_a_product_that_must_be_stretched_is_of_version_3_and_so_are_all_of_a_file() -> None:
    def products(*results: TensorGrid) -> bytes:
        model = TfliteModel()
        x = model.add_input((1, 4, 4, 2), GRID)
        model.outputs = [op.mul(model, x, x, grid) for grid in results]
        return model.to_bytes()

    few, many = (
        products(TensorGrid(0.5), TensorGrid(0.3)),
        products(TensorGrid(0.5), TensorGrid(0.25)),
    )  # 0.5 x 0.5 / 0.25 is 1
    assert versions(few) == {"MUL": [2]}
    assert versions(many) == {"MUL": [3]}
    assert len(few) == len(many)  # trained steps do not decide a file's size


def test_the_table_is_complete() -> None:
    listed = {*NAMES.values(), "DEQUANTIZE", *(name for name, *_ in OTHERS)}
    assert listed == set(LINES)


def test_an_operator_without_rules_is_refused() -> None:
    model = TfliteModel()
    x = model.add_input((1, 4))
    model.add_operator("ADD_N", (x,), (x,))
    with pytest.raises(AtollError, match="no version is known for operator 'ADD_N'; did you mean 'ADD'"):
        model.to_bytes()
