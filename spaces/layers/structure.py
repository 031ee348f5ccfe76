"""The structure of a whole network in JSON, and networks from it."""

from collections import OrderedDict
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from ..errors import AtollError
from .conv import Conv
from .conv_chain import ConvChain
from .dense import Dense
from .factor import Factor
from .layer import Layer
from .mask import Mask
from .norm import Norm
from .parts import Parts
from .program import Program, ValueGrids
from .recurrent import Recurrent
from .scaling import PIXELS, Scaling
from .shape import InputShape
from .transposed_conv import TransposedConv
from .tt_dense import TTDense

LAYERS: tuple[type[Layer], ...] = (Dense, Conv, TTDense, ConvChain, TransposedConv, Recurrent)


def input_shape_of(network: nn.Module) -> InputShape:
    """Returns the shape of one sample that an adopted network takes; of several inputs, that of their row.

    Raises:
        AtollError: for a network that was not adopted.
    """
    shape = getattr(network, "input_shape", None)
    if not isinstance(shape, tuple):
        raise AtollError(f"{type(network).__name__} was not adopted: call adopt(network, input_shape) first")
    return shape


def input_parts_of(network: nn.Module) -> Parts:
    """Returns the shapes of its inputs where an adopted network has several, none where it has one."""
    return network.input_parts if isinstance(network, Program) else ()


def scaling_of(network: nn.Module) -> Scaling:
    """Returns what makes of stored inputs what a network takes; that of bytes where it says nothing else."""
    scaling = getattr(network, "input_scaling", PIXELS)
    assert isinstance(scaling, Scaling)
    return scaling


def replace(network: nn.Module, name: str, module: nn.Module) -> None:
    """Puts a module in the place of the one with that dotted name, and wherever else that one is shared.

    The new one trains or evaluates as the old one did.
    """
    old = network.get_submodule(name)
    module.train(old.training)
    names = [path for path, child in network.named_modules(remove_duplicate=False) if child is old]
    for path in names:
        parent, _, last = path.rpartition(".")
        setattr(network.get_submodule(parent), last, module)


def never_called(network: nn.Module) -> frozenset[str]:
    """Returns which layers and normalisations an adopted network does not call in evaluation, by name.

    Heads that only training runs: no file holds them, and no image tells anything of their weights.
    """
    found: frozenset[str] = getattr(network, "never_called", frozenset())
    return found


def running_parts(network: nn.Module) -> Iterator[tuple[str, Layer | Norm]]:
    """Yields the layers and norms that evaluation runs, in order of definition; a shared one once."""
    idle = never_called(network)
    for name, module in network.named_modules():
        if isinstance(module, Layer | Norm) and name not in idle:
            yield name, module


def named_layers(network: nn.Module) -> Iterator[tuple[str, Layer]]:
    """Yields those of them that carry weights."""
    for name, module in running_parts(network):
        if isinstance(module, Layer):
            yield name, module


def named_factors(network: nn.Module) -> Iterator[tuple[str, Factor]]:
    """Yields every weight tensor by its dotted name."""
    for name, layer in named_layers(network):
        for part, factor in layer.factors().items():
            yield f"{name}.{part}", factor


def weight_factors(network: nn.Module) -> list[Factor]:
    """Returns every weight tensor."""
    return [factor for _, factor in named_factors(network)]


def settle(network: nn.Module) -> nn.Module:
    """Puts every layer into the execution form that it keeps under constraints, in place; returns it."""
    for name, layer in list(named_layers(network)):
        settled = layer.settled()
        if settled is not layer:
            replace(network, name, settled)
    return network


def structure(network: nn.Module) -> dict[str, dict[str, Any]]:
    """Returns the specification of every layer and normalisation, and of a program's grids, by name."""
    return {
        name: module.spec()
        for name, module in network.named_modules()
        if isinstance(module, Layer | Norm) or (isinstance(module, ValueGrids) and module.roundings)
    }


def structure_changes(before: nn.Module, after: nn.Module) -> dict[str, dict[str, Any]]:
    """Returns the specifications in `after` that differ from those in `before`."""
    old = structure(before)
    return {name: spec for name, spec in structure(after).items() if spec != old.get(name)}


def apply_structure(network: nn.Module, specs: dict[str, dict[str, Any]]) -> None:
    """Replaces the named layers by unfilled ones of the given structure, in place.

    Which share a mask keeps is no part of a structure, and is remembered where the mask goes on.

    Raises:
        KeyError: for a name that the network lacks.
    """
    device = next(network.parameters(), torch.empty(0)).device
    known = dict(network.named_modules())
    planned = {name: mask.planned for name, mask in _masks(network)}
    for name, spec in specs.items():
        if name not in known:
            raise KeyError(name)
        replace(network, name, from_spec(spec, device))
    for name, mask in _masks(network):
        if mask.planned is None:
            mask.planned = planned.get(name)


def _masks(network: nn.Module) -> Iterator[tuple[str, Mask]]:
    for name, factor in named_factors(network):
        mask = factor.find(Mask)
        if mask is not None:
            yield name, mask


def from_spec(spec: dict[str, Any], device: torch.device) -> nn.Module:
    """Returns an unfilled layer, normalisation or table of grids of the given structure.

    Raises:
        KeyError: for a type that there is not.
    """
    kinds: tuple[Any, ...] = (*LAYERS, Norm, ValueGrids)
    found: nn.Module = {kind.type_name: kind for kind in kinds}[spec["type"]].from_spec(spec, device)
    return found


def to_meta(network: nn.Module) -> nn.Module:
    """Returns a copy of the network on the meta device: structure without data, none copied."""
    memo: dict[int, Any] = {}
    for parameter in network.parameters():
        empty = torch.empty_strided(parameter.shape, parameter.stride(), dtype=parameter.dtype, device="meta")
        memo[id(parameter)] = nn.Parameter(empty, requires_grad=parameter.requires_grad)
    for buffer in network.buffers():
        memo[id(buffer)] = torch.empty_strided(
            buffer.shape, buffer.stride(), dtype=buffer.dtype, device="meta"
        )
    if isinstance(network, Program):
        memo[id(network.calls)] = network.calls  # nobody changes them after `adopt`
    # a module's empty tables of hooks, which deepcopy takes longest for
    for table in (value for module in network.modules() for value in vars(module).values()):
        if isinstance(table, OrderedDict | set) and not table:
            memo[id(table)] = type(table)()
    return deepcopy(network, memo)
