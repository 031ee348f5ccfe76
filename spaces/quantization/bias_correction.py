"""Bias correction: what quantization moves the mean of a layer's output by is taken off its bias."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from ..graph.fusion import carried_out
from ..graph.reading import trace
from ..layers.layer import Layer
from ..layers.norm import Norm
from ..layers.structure import input_shape_of

_NO_BIAS = "neither it nor a normalisation folded into it has a bias"
_RUNS_TWICE = "it runs more than once"
_RECURRENT = "its bias is within a recurrence"

Point = Layer | Norm
Hook = Callable[[nn.Module, object, Tensor], Tensor | None]


@torch.no_grad()
def correct_biases(
    network: nn.Module, exact: nn.Module, names: Collection[str], images: Tensor
) -> dict[str, str]:
    """Moves biases so that every layer gives what the float network gives on average over images, in place.

    Nagel et al. 2019, section 4.2 and appendix D (the empirical correction): layer after layer in the order
    of execution, E[y quantized] - E[y] of each channel, over images and positions, before its activation, is
    subtracted from its bias, those before being corrected already. So a layer's mean error is zero
    on these images whatever made it: its weights, its input's rounding, or the layers before it. All images
    are one batch, so that two passes are enough.

    Args:
        network: with its grids, calibrated; it ends in evaluation mode.
        exact: the same network before it had them.
        names: of the layers that are corrected; a normalisation folded into one has its bias.
        images: float32 [N, ...], N >= 1.

    Returns:
        why a named layer was left as it is.
    """
    points, left = _points(network, names)
    wanted: dict[str, Tensor] = {}

    def note(path: str, axis: int, _: nn.Module, __: object, output: Tensor) -> None:
        wanted[path] = _mean(output, axis)

    def correct(path: str, axis: int, module: nn.Module, _: object, output: Tensor) -> Tensor:
        off = (_mean(output, axis) - wanted[path]).to(output.dtype)
        module.bias.data -= off  # type: ignore[operator,union-attr]
        behind = 1 if axis == -1 else output.dim() - 1
        return output - off.reshape(-1, *[1] * (behind - 1))

    with _hooked(exact, points, note):
        exact.eval()(images)
    with _hooked(network, points, correct):
        network.eval()(images)
    return left


def _points(network: nn.Module, names: Collection[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Returns where means are corrected, with the axis of the channels, and why layers have no such place."""
    graph = trace(network, input_shape_of(network))
    runs = [operation.path for operation in graph.operations]
    points: dict[str, int] = {}
    left: dict[str, str] = {}
    for operation in graph.operations:
        layer = operation.module
        if operation.path not in names or not isinstance(layer, Layer):
            continue
        kernel = carried_out(graph, operation)
        norm = next((one for one in kernel if isinstance(one.module, Norm)), None)
        if runs.count(operation.path) > 1:
            left[operation.path] = _RUNS_TWICE
        elif operation.kind == "recurrence":
            left[operation.path] = _RECURRENT
        elif norm is not None:
            points[norm.path] = 1
        elif layer.bias is None:
            left[operation.path] = _NO_BIAS
        else:
            points[operation.path] = -1 if layer.features_last else 1
    return points, left


def _mean(output: Tensor, axis: int) -> Tensor:
    """Returns the mean over all but one axis, float64."""
    kept = axis % output.dim()
    return output.mean(dim=[one for one in range(output.dim()) if one != kept], dtype=torch.float64)


@contextmanager
def _hooked(network: nn.Module, points: dict[str, int], what: Callable[..., Tensor | None]) -> Iterator[None]:
    """While it is open, what points give goes through a function before their own grids."""
    modules = {path: network.get_submodule(path) for path in points}
    grids = {path: module.output_grid for path, module in modules.items() if isinstance(module, Point)}

    def hook(path: str) -> Hook:
        told = partial(what, path, points[path])

        def called(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
            found, grid = told(module, inputs, output), grids[path]
            found = output if found is None else found
            return found if grid is None else grid(found)

        return called

    handles = []
    try:
        for path, module in modules.items():
            module.output_grid = None  # type: ignore[assignment]
            handles.append(module.register_forward_hook(hook(path)))
        yield
    finally:
        for handle in handles:
            handle.remove()
        for path, grid in grids.items():
            modules[path].output_grid = grid  # type: ignore[assignment]
