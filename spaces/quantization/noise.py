"""How much noise integers make in each layer: what it gives on them beside what it gives in float."""

from copy import deepcopy
from functools import partial
from math import log10

import torch
from torch import Tensor, nn

from ..graph.fusion import carried_out
from ..graph.graph import Graph, Operation
from ..graph.heads import heads
from ..graph.reading import trace
from ..layers.activation_grid import ActivationGrid
from ..layers.half import Half
from ..layers.layer import Layer
from ..layers.norm import Norm
from ..layers.structure import input_shape_of, named_layers, weight_factors
from ..layers.weight_grid import WeightGrid
from ..operations.integer_kernels import ACTIVATIONS, hands_on

#: images a pass: what every layer gives of them is there at once
BATCH = 16
#: the name under which the network's outputs stand
OUTPUTS = "(outputs)"


@torch.no_grad()
def layer_noise(network: nn.Module, images: Tensor) -> dict[str, float]:
    """Measures the signal-to-noise ratio of every layer that rounds something, in dB.

    10 log10 of the sum of y^2 over that of (y' - y)^2, over images, positions and channels: y is what the
    layer gives in float, behind the normalisation that is folded into it, and y' what it gives of the same
    inputs with its weights, and the inputs themselves, on their grids. What layers before it have lost does
    not count, so that a low figure is the layer's own. Signs and shared values are no rounding.

    Args:
        network: with its grids, calibrated; left as it is.
        images: float32 [N, ...], N >= 1.

    Returns:
        by layer, in the order of execution; under `OUTPUTS` that of all that the network returns, beside the
        same network without any grid. What rounds nothing, or whose signal is zero, is not there.
    """
    rounded, exact = deepcopy(network).eval(), _without_grids(network).eval()
    sums: dict[str, Tensor] = {}
    handles = []
    graph = trace(rounded, input_shape_of(rounded))
    runs = [operation.path for operation in graph.operations]
    for operation in graph.operations:
        if operation.kind == "layer" and runs.count(operation.path) == 1:
            hook = partial(_compare, sums, graph, operation)
            handles.append(exact.get_submodule(operation.path).register_forward_hook(hook))
    for batch in images.split(BATCH):
        wanted: tuple[Tensor, ...] = heads(exact(batch))
        found: tuple[Tensor, ...] = heads(rounded(batch))
        for one, other in zip(wanted, found, strict=True):
            _add(sums, OUTPUTS, one, other - one)
    return {name: 10 * log10(signal / noise) for name, (signal, noise) in _numbers(sums) if signal and noise}


def maker(network: nn.Module, name: str) -> str | None:
    """Returns the layer that makes what a layer reads, None where it is not one layer alone."""
    graph = trace(network, input_shape_of(network))
    value = next(operation for operation in graph.operations if operation.path == name)
    while len(value.inputs) == 1:
        value = graph[value.inputs[0]]
        if isinstance(value.module, Layer):
            return value.path
    return None


def _compare(
    sums: dict[str, Tensor],
    graph: Graph,
    operation: Operation,
    exact: nn.Module,
    inputs: tuple[Tensor, ...],
    output: Tensor,
) -> None:
    """Adds up what a layer gives in float, and what the same on its grids gives more or less."""
    layer = operation.module
    assert isinstance(layer, Layer)
    x, grid = inputs[0], layer.input_grid or _grid_read(graph, operation)
    x = x if grid is None else grid.rounded(x)
    x = x if layer.input_sign is None else layer.input_sign(x)
    off = layer.compute(x) - output
    norm = next((one.module for one in carried_out(graph, operation) if isinstance(one.module, Norm)), None)
    if norm is not None:
        scale, shift = (part.float().reshape(-1, *[1] * (off.dim() - 2)) for part in norm.scale_and_shift())
        output, off = output * scale + shift, off * scale
    _add(sums, operation.path, output, off)


def _grid_read(graph: Graph, operation: Operation) -> ActivationGrid | None:
    """Returns the grid on which what an operation reads lies, None where it is float."""
    value = graph[operation.inputs[0]]
    while not value.grids and (value.kind in ACTIVATIONS or hands_on(value.kind, value.module)):
        value = graph[value.inputs[0]]
    return value.grids[-1] if value.grids else None


def _without_grids(network: nn.Module) -> nn.Module:
    """Returns a copy in which nothing is rounded: weights are what the grids round."""
    copy = deepcopy(network)
    for factor in weight_factors(copy):
        for kind in (WeightGrid.kind, Half.kind):
            if kind in factor.constraints:
                del factor.constraints[kind]
    for module in copy.modules():
        if isinstance(module, ActivationGrid):
            module.observing = True  # activations pass
    for _, layer in named_layers(copy):
        layer.dynamic = False
    return copy


def _add(sums: dict[str, Tensor], name: str, signal: Tensor, noise: Tensor) -> None:
    found = torch.stack([part.double().square().sum() for part in (signal, noise)])
    sums[name] = sums[name] + found if name in sums else found


def _numbers(sums: dict[str, Tensor]) -> list[tuple[str, list[float]]]:
    return [(name, found.tolist()) for name, found in sums.items()]
