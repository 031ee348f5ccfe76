"""Integers of ONNX files mean what they meant, and no processor can clamp their products."""

from typing import Any

import numpy as np
import pytest
from atoll.evaluators.delivery.onnx_types import LARGEST_SAFE, fit_types, rounds_inputs

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
onnx_ir = pytest.importorskip("onnx_ir")

IN, OUT, IMAGES = 8, 3, 16


def clamped(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Products of uint8 [n, in] and int8 [out, in] as x86 sums them without VNNI: vpmaddubsw."""
    products = values[:, None].astype(np.int32) * weights[None].astype(np.int32)
    pairs = products.reshape(*products.shape[:2], -1, 2).sum(-1)
    return pairs.clip(-(2**15), 2**15 - 1).sum(-1)


def exact(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return values.astype(np.int64) @ weights.astype(np.int64).T


@pytest.mark.parametrize(("size", "safe"), [(LARGEST_SAFE, True), (LARGEST_SAFE + 1, False)])
def test_no_pair_of_safe_weights_is_clamped(size: int, safe: bool) -> None:
    values = np.full((1, IN), 255, np.uint8)
    for sign in (1, -1):
        weights = np.full((1, IN), sign * size, np.int8)
        assert (clamped(values, weights) == exact(values, weights)).all() == safe


def dense(weights: np.ndarray, zero: int = 0, grid: bool = True, operator: str = "Gemm") -> Any:
    """A layer as torch exports it: pairs in int8 around weights [out, in], the input's only with a grid."""
    helper, of = onnx.helper, onnx.numpy_helper.from_array
    zeros, scales = (
        np.full(len(weights), zero, np.int8),
        np.linspace(0.01, 0.03, len(weights), dtype=np.float32),
    )
    constants = {"w": weights.astype(np.int8), "ws": scales, "wz": zeros}
    constants |= {"s": np.float32(0.02), "z": np.int8(-5)}
    nodes = []
    if grid:
        nodes.append(helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]))
        nodes.append(helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]))
    nodes.append(helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0))
    taken = "xd" if grid else "x"
    if operator == "Gemm":
        nodes.append(helper.make_node("Gemm", [taken, "wd"], ["y"], transB=1))
    else:
        nodes.append(helper.make_node("Transpose", ["wd"], ["wt"], perm=[1, 0]))
        nodes.append(helper.make_node("MatMul", [taken, "wt"], ["y"]))
    ends = [
        helper.make_tensor_value_info(n, 1, [IMAGES, size]) for n, size in (("x", IN), ("y", len(weights)))
    ]
    graph = helper.make_graph(
        nodes, "g", ends[:1], ends[1:], [of(np.asarray(v), n) for n, v in constants.items()]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def fitted(model: Any) -> Any:
    model = onnx_ir.from_proto(model)
    fit_types(model)
    return onnx_ir.to_proto(model)


def types(model: Any) -> dict[str, str]:
    found = {one.name: onnx.TensorProto.DataType.Name(one.data_type) for one in model.graph.initializer}
    return {name.partition("_")[0]: kind for name, kind in found.items()}


def outputs(model: Any, optimised: bool = True) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    images = np.random.default_rng(0).uniform(-3, 3, (IMAGES, IN)).astype(np.float32)
    return session.run(None, {"x": images})[0]


@pytest.mark.parametrize(
    ("least", "most", "zero", "kind", "operators"),
    [
        (-127, 127, 0, "UINT8", 20),
        (-128, 100, -14, "UINT8", 20),
        (-64, 64, 0, "INT8", 20),
        (-8, 7, 0, "INT4", 21),
        (-8, 7, -3, "INT4", 21),
        (-2, 1, 0, "INT4", 21),  # onnxruntime 1.32 refuses two-bit weights behind an integer activation
        (-1, 1, -9, "INT8", 20),  # the zero point needs more than 4 bits
    ],
)
def test_weights_get_the_type_that_runs_right_and_mean_the_same(
    least: int, most: int, zero: int, kind: str, operators: int
) -> None:
    weights = np.random.default_rng(1).integers(least, most + 1, (OUT, IN))
    weights[0, :2] = most, least
    before = dense(weights, zero)
    after = fitted(before)
    onnx.checker.check_model(after, full_check=True)
    assert types(after) == {"w": kind, "ws": "FLOAT", "wz": kind, "s": "FLOAT", "z": "UINT8"}
    assert after.opset_import[0].version == operators
    expected = outputs(before, optimised=False)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(outputs(after, optimised=False), expected, rtol=1e-6, atol=1e-6)
    # the integers that any kernel multiplies: none of a pair that 16 bits cannot hold
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in after.graph.initializer}
    found = next(value for name, value in stored.items() if name.startswith("w_") or name == "w")
    if kind != "UINT8":
        worst = np.full((1, IN), 255, np.uint8)
        assert (clamped(worst, found) == exact(worst, found)).all()
    assert (
        clamped(np.full((1, IN), 255, np.uint8), weights) != exact(np.full((1, IN), 255), weights)
    ).any() == (kind == "UINT8")


def test_constants_that_two_layers_share_are_moved_once_and_old_ones_are_dropped() -> None:
    model = dense(np.arange(-12, 12).reshape(OUT, IN) * 10)
    graph = model.graph
    graph.node.append(onnx.helper.make_node("QuantizeLinear", ["y", "s", "z"], ["yq"]))
    graph.node.append(onnx.helper.make_node("DequantizeLinear", ["yq", "s", "z"], ["out"]))
    graph.output[0].name = "out"
    names = [one.name for one in fitted(model).graph.initializer]
    assert sorted(names) == ["s", "w_uint8", "ws", "wz_uint8", "z_uint8"]


def test_a_zero_point_that_weights_of_two_widths_share_is_there_in_both_types() -> None:
    model = dense(np.arange(-12, 12).reshape(OUT, IN) * 10)
    graph, of = model.graph, onnx.numpy_helper.from_array
    graph.initializer.append(of(np.ones((OUT, OUT), np.int8), "w4"))
    graph.node.append(onnx.helper.make_node("DequantizeLinear", ["w4", "ws", "wz"], ["w4d"], axis=0))
    graph.node.append(onnx.helper.make_node("Gemm", ["y", "w4d"], ["out"], transB=1))
    graph.output[0].name = "out"
    before, after = outputs(model, optimised=False), fitted(model)
    names = [one.name for one in after.graph.initializer]
    assert {"wz_uint8", "wz_int4"} <= set(names) and "wz" not in names
    np.testing.assert_allclose(outputs(after, optimised=False), before, rtol=1e-6, atol=1e-6)


def test_a_quantized_value_that_something_else_takes_stays_as_it_is() -> None:
    model = dense(np.ones((OUT, IN)))
    model.graph.output.append(onnx.helper.make_tensor_value_info("xq", onnx.TensorProto.INT8, [IMAGES, IN]))
    model.graph.node.append(onnx.helper.make_node("Identity", ["xq"], ["copy"]))
    model.graph.output[1].name = "copy"
    assert types(fitted(model))["z"] == "INT8"


@pytest.mark.parametrize(
    ("operator", "grid", "rounds"), [("MatMul", False, True), ("MatMul", True, False), ("Gemm", False, False)]
)
def test_a_dense_layer_whose_input_onnxruntime_rounds_is_named(
    operator: str, grid: bool, rounds: bool
) -> None:
    model = onnx_ir.from_proto(dense(np.arange(-12, 12).reshape(OUT, IN) * 10, grid=grid, operator=operator))
    fit_types(model)
    assert rounds_inputs(model) == rounds
    proto = onnx_ir.to_proto(model)
    expected, found = outputs(proto, optimised=False), outputs(proto)
    # where it is not named, what onnxruntime gives by default is what the file says
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-5) != rounds
