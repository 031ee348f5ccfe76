"""The integers of an ONNX file in those types with which every processor computes what the file says.

onnxruntime makes activations uint8 on x86 and multiplies them by int8 weights two at a time. On a processor
with AVX2 or AVX-512 and without VNNI the sum of two products is clamped to 16 bits: of 2 * 255 * 127 = 64,770
remain 32,767. Weights in uint8 go through kernels that clamp nothing. onnxruntime 1.32 rewrites a file so
where its user sets `session.x64quantprecision` (`Avx2WeightS8ToU8Transformer`); here it is written so.
"""

from typing import Any

import numpy as np

#: the largest |weight| of which no two products are clamped: 2 * 255 * 64 is 32,640
LARGEST_SAFE = 64
#: operators that know 4-bit integers
_OPERATORS_OF_4_BITS = 21
#: between an int8 and the uint8 that means the same
_HALF = 128
#: said of a file for which onnxruntime's defaults are not enough
ROUNDED_INPUTS = (
    "onnxruntime rounds the inputs of dense layers that have no grid to 8 bits while it runs, unless its "
    "session option session.qdq_matmulnbits_accuracy_level is 1"
)


def fit_types(model: Any) -> None:
    """Makes activations uint8, weights of up to 4 bits int4, and those beyond 64 uint8, in place.

    Integers and their zero points move together, so that the numbers that they mean stay.

    Args:
        model: of onnx_ir, with pairs of QuantizeLinear and DequantizeLinear in int8.
    """
    fitting = _Fitting()
    for node in list(model.graph.all_nodes()):
        if node.op_type == "QuantizeLinear":
            pair = [node, *node.outputs[0].consumers()]
            if all(one.op_type == "DequantizeLinear" for one in pair[1:]):
                fitting.move(pair, (2,), "UINT8")
                node.outputs[0].dtype = node.inputs[2].dtype
        elif node.op_type == "DequantizeLinear" and node.inputs[0].const_value is not None:
            integers = [node.inputs[place].const_value.numpy() for place in (0, 2)]
            fitting.move([node], (0, 2), _kind_of_weights(*integers))
    fitting.forget_unused()
    if "INT4" in fitting.kinds:
        from onnxscript import version_converter

        version_converter.convert_version(model, _OPERATORS_OF_4_BITS)


def rounds_inputs(model: Any) -> bool:
    """Whether a product of matrices has weights on a grid and an input on none.

    Args:
        model: of onnx_ir, as `fit_types` left it.
    """
    return any(
        node.op_type == "MatMul" and _is_dequantized(node.inputs[1]) and not _is_dequantized(node.inputs[0])
        for node in model.graph.all_nodes()
    )


def _is_dequantized(value: Any) -> bool:
    node = value.producer()
    if node is not None and node.op_type == "Transpose":
        return _is_dequantized(node.inputs[0])
    return node is not None and node.op_type == "DequantizeLinear"


def _kind_of_weights(values: "np.ndarray[Any, Any]", zeros: "np.ndarray[Any, Any]") -> str:
    """Returns the type of weights and zero points that are int8."""
    ends = [(int(one.min(initial=0)), int(one.max(initial=0))) for one in (values, zeros)]
    if all(low >= -8 and high <= 7 for low, high in ends):
        return "INT4"
    return "INT8" if max(-ends[0][0], ends[0][1]) <= LARGEST_SAFE else "UINT8"


class _Fitting:
    """Constants that were made anew in another type, each once."""

    def __init__(self) -> None:
        self.made: dict[tuple[Any, str], Any] = {}
        self.kinds: set[str] = set()

    def move(self, nodes: list[Any], places: tuple[int, ...], kind: str) -> None:
        """Gives nodes the inputs at places in a type; those that are not int8 stay as they are."""
        for node in nodes:
            for place in places:
                old = node.inputs[place]
                if old.dtype.name == "INT8" and kind != "INT8":
                    node.replace_input_with(place, self._in_kind(old, kind))
        self.kinds.add(kind)

    def _in_kind(self, old: Any, kind: str) -> Any:
        import onnx_ir

        if (old, kind) not in self.made:
            found = onnx_ir.DataType[kind]
            raised = old.const_value.numpy().astype(np.int16) + (_HALF if kind == "UINT8" else 0)
            name = f"{old.name}_{kind.lower()}"
            new = onnx_ir.Value(
                name=name,
                shape=old.shape,
                type=onnx_ir.TensorType(found),
                const_value=onnx_ir.tensor(raised.astype(found.numpy()), name=name),
            )
            old.graph.register_initializer(new)
            self.made[old, kind] = new
        return self.made[old, kind]

    def forget_unused(self) -> None:
        """Drops the constants that nothing takes any more."""
        for old in {old for old, _ in self.made}:
            if not old.uses():
                del old.graph.initializers[old.name]
