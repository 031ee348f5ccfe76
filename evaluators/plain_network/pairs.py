"""Pairs of quantize and dequantize operations, by which exporters and runtimes know integer arithmetic."""

import torch
from torch import Tensor, fx, nn

# registers torch.ops.quantized_decomposed
from torch.ao.quantization.fx import _decomposed as _registered  # noqa: F401

_OPS = torch.ops.quantized_decomposed
_ATEN = torch.ops.aten
#: what torch notes of every operation beside its values
_ORIGIN = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node", "torch_fn")
#: operations whose results lie on the grid of their input
_MOVING = {
    _ATEN.max_pool2d.default,
    _ATEN.relu.default,
    _ATEN.relu_.default,
    _ATEN.permute.default,
    _ATEN.transpose.int,
    _ATEN.view.default,
    _ATEN.reshape.default,
    _ATEN.flatten.using_ints,
    _ATEN.clone.default,
    _ATEN.contiguous.default,
}


def quantized(x: Tensor, scale: float, zero_point: int, least: int = -128, most: int = 127) -> Tensor:
    """Returns the nearest int8 integers on a grid."""
    return _OPS.quantize_per_tensor(x, scale, zero_point, least, most, torch.int8)


def dequantized(steps: Tensor, scale: float, zero_point: int, least: int = -128, most: int = 127) -> Tensor:
    """Returns the real values of int8 integers on a grid."""
    return _OPS.dequantize_per_tensor(steps, scale, zero_point, least, most, torch.int8)


def dequantized_by_channel(steps: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    """Returns the real values of int8 weights [out, ...] with scale and zero point [out]."""
    return _OPS.dequantize_per_channel(steps, scale, zero_point, 0, -128, 127, torch.int8)


def carried_on(network: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """Exports a network of pairs, with another pair behind every operation that only moves values of a grid.

    The values stay as they are, and a runtime sees integers on both sides of each operation. Without,
    ExecuTorch 1.5.1 leaves the convolution behind a pooling to portable kernels and gives other numbers (own
    measurement, 2026).

    Args:
        network: as `plain_network` gives it, in pairs.
        example: (1, C, H, W), float.
    """
    module = torch.export.export(network, (example,)).module()
    graph = module.graph
    for node in list(graph.nodes):
        source = node.args[0] if node.args else None
        if node.target not in _MOVING or not isinstance(source, fx.Node):
            continue
        if source.target is not _OPS.dequantize_per_tensor.default:
            continue
        grid = source.args[1:]
        with graph.inserting_after(node):
            steps = graph.call_function(_OPS.quantize_per_tensor.default, (node, *grid))
        with graph.inserting_after(steps):
            values = graph.call_function(_OPS.dequantize_per_tensor.default, (steps, *grid))
        node.replace_all_uses_with(values, delete_user_cb=lambda user, own=steps: user is not own)
    module.recompile()
    return without_origin(torch.export.export(module, (example,)))


def without_origin(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Drops the example, and where in the source every operation came from: paths of this machine."""
    for node in program.graph.nodes:
        for name in _ORIGIN:
            node.meta.pop(name, None)
    program.example_inputs = None
    return program
