"""Lets a network in torch round where the integer kernels of its file do."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from ...hw_models.tables.run_order import run_order
from ...spaces.graph.fusion import carried_out
from ...spaces.graph.graph import Operation
from ...spaces.graph.reading import trace
from ...spaces.layers.activation_grid import ActivationGrid
from ...spaces.layers.conv_chain import ConvChain
from ...spaces.layers.layer import Layer
from ...spaces.layers.norm import Norm
from ...spaces.layers.structure import input_shape_of
from ...spaces.layers.tt_dense import TTDense
from .kernel_rounding import KERNELS, KernelRounding
from .lower import lowered_graph
from .weights import folded_bias, to_numpy

Rounds = Callable[[Tensor], Tensor]


@contextmanager
def rounding_as_shipped(network: nn.Module) -> Iterator[None]:
    """While it is open, the network's layers and normalisations on integers round as their kernels do.

    Training rounds each result once, to the nearest; kernels also round biases, and some round twice
    (`kernel_rounding`). A layer that runs on several inputs is left alone.
    The network is traced and has hooks while it is open: no other thread may run one.

    Args:
        network: in evaluation mode.

    Raises:
        AtollError: it has no file.
    """
    with ExitStack() as stack:
        if any(isinstance(module, ActivationGrid) for module in network.modules()):
            for module, rounds in _roundings(network):
                stack.callback(_hooked(module, rounds))
        yield


def _hooked(module: nn.Module, rounds: Rounds) -> Callable[[], None]:
    """Rounds what a grid reads, or what another module gives, until the returned function is called."""
    if isinstance(module, ActivationGrid):
        return module.register_forward_pre_hook(lambda _, inputs: (rounds(inputs[0]),)).remove
    return module.register_forward_hook(lambda _, inputs, output: rounds(output)).remove


def _roundings(network: nn.Module) -> Iterator[tuple[nn.Module, Rounds]]:
    """Yields where a network rounds otherwise than its file does, with what the file does there."""
    graph = trace(network, input_shape_of(network))
    written = lowered_graph(graph)
    kernels: dict[str, list[KernelRounding | None]] = defaultdict(list)
    for path, operator in zip(written.layers, written.model.operators, strict=True):
        if operator.name in KERNELS:
            kernels[path].append(KernelRounding.of(written.model, operator))
    graph = run_order(graph)
    for operation in graph.operations:
        module = operation.module
        for grid in _entries(operation):
            yield grid, partial(_to_nearest, step=grid.scale_and_zero_point()[0])
        found = [rounding for rounding in kernels[operation.path] if rounding is not None]
        if not found or len(found) != len(kernels[operation.path]):
            continue  # no kernel, or one of them works on float
        if isinstance(module, Layer) and len(found) == _kernel_count(module):
            norms = [one.module for one in carried_out(graph, operation) if isinstance(one.module, Norm)]
            yield from _of_layer(module, norms[0] if norms else None, found)
        elif isinstance(module, Norm) and len(found) == 1:
            _, shift = module.scale_and_shift()
            yield from _of_result(module, found[0].beside(to_numpy(shift)), 1)


def _entries(operation: Operation) -> list[ActivationGrid]:
    """The grids on which an operation puts what it reads in float."""
    if operation.kind == "input":
        return list(operation.grids)
    grid = operation.module.input_grid if isinstance(operation.module, Layer) else None
    return [] if grid is None else [grid]


def _to_nearest(y: Tensor, step: float) -> Tensor:
    """Rounds to whole steps, halves to the even one of them: a grid counts from its zero point.

    Pixels are halves wherever the range is that of all 256 of them.
    """
    return torch.round(y / step).mul_(step)


def _kernel_count(layer: Layer) -> int:
    """How many kernels write a layer: one a stage, and one for the bias behind a chain that moves modes."""
    return len(layer.factors()) + _shifts(layer)


def _shifts(layer: Layer) -> bool:
    return isinstance(layer, TTDense) and not layer.sliceable and layer.bias is not None


def _of_layer(
    layer: Layer, norm: Norm | None, found: Sequence[KernelRounding]
) -> Iterator[tuple[nn.Module, Rounds]]:
    """Yields the roundings of a layer's stages and of its result, behind a normalisation folded into it."""
    axis = -1 if layer.features_last else 1
    grids = layer.stage_grids if isinstance(layer, TTDense | ConvChain) else ()
    for grid, rounding in zip(grids, found, strict=False):
        yield from _of_result(grid, rounding, axis)
    bias = None if layer.bias is None else to_numpy(layer.bias).astype(np.float64)
    last = found[-1].beside(bias if norm is None else folded_bias(bias, norm))
    if not _shifts(layer):
        yield from _of_result(layer if norm is None else norm, last, axis)
        return
    product, shift = found[-2], layer.bias
    assert shift is not None
    yield _place(layer), lambda y: last(product.on_grid(y - shift, axis) + shift, axis)


def _of_result(module: nn.Module, rounding: KernelRounding, axis: int) -> Iterator[tuple[nn.Module, Rounds]]:
    if not rounding.changes_nothing:
        yield _place(module), partial(rounding, axis=axis)


def _place(module: nn.Module) -> nn.Module:
    """Where the result of a module is still unrounded: at its own grid, or behind it."""
    grid = module.output_grid if isinstance(module, Layer | Norm) else None
    return module if grid is None else grid
