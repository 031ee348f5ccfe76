"""The structure of a whole network in JSON, and networks from it."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import AtollError
from ..graph.carried_over import check_own_behaviour, check_replaceable, check_same_outputs
from ..graph.heads import heads
from ..graph.wiring import wired
from .conv import Conv
from .conv_chain import ConvChain
from .dense import Dense
from .factor import Factor
from .layer import Layer
from .norm import Norm
from .program import ValueGrids
from .same_padding import SameConv2d
from .tt_dense import TTDense

LAYERS: tuple[type[Layer], ...] = (Dense, Conv, TTDense, ConvChain)
_CONVOLVES = ("in_channels", "out_channels", "kernel_size", "stride", "dilation", "groups", "bias")
_NORMALISES = ("num_features", "eps", "momentum", "affine")
#: torch's module -> (ours, the options of the constructor that ours reads, parameters that may be frozen)
_ADOPTED: dict[type[nn.Module], tuple[Any, tuple[str, ...], tuple[str, ...]]] = {
    nn.Linear: (Dense, ("in_features", "out_features", "bias"), ()),
    nn.Conv2d: (Conv, (*_CONVOLVES, "padding"), ()),
    SameConv2d: (Conv, _CONVOLVES, ()),
    nn.BatchNorm1d: (Norm, _NORMALISES, ("weight",)),
    nn.BatchNorm2d: (Norm, _NORMALISES, ("weight",)),
}
#: modules of torch's that only hold others
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def adopt(network: nn.Module, input_shape: tuple[int, int, int]) -> nn.Module:
    """Returns a copy of a torch network in which linear, convolution and BatchNorm layers are ours.

    Names stay; other modules (activations, pooling, attention with the linear layers inside it) are kept as
    they are, and so is the network's own forward where no value besides those of layers may need a grid; else
    the copy is a `Program`, which makes the same calls.

    Args:
        network: any network on (N, C, H, W) images.
        input_shape: (channels, height, width); the copy remembers it (`input_shape_of`).

    Raises:
        AtollError: for a network that does not run on such images, or returns something other than tensors,
            for whatever would be lost on the way (`carried_over`: hooks, replaced methods, options of layers
            that have no counterpart, such as padding that is not zeros), and for two layers with one weight
            tensor.
    """
    check_own_behaviour(network)
    found = {name: module for name, module in _adoptable(network) if type(module) in _ADOPTED}
    for name, module in found.items():
        check_replaceable(name, module, *_ADOPTED[type(module)][1:])
    _check_own_weights(network, list(found))
    try:
        copy = deepcopy(network)
    except (RuntimeError, TypeError) as error:
        raise AtollError(f"{type(network).__name__} cannot be copied: {error}") from error
    channels, height, width = input_shape
    size = f"{height}x{width}x{channels} (height x width x channels)"
    _check_forward(copy, input_shape, f"does not run on images of {size}")
    for name, module in found.items():
        replace(copy, name, _ADOPTED[type(module)][0].adopt(module))
    sentence = "does not run with layers of ours: its code reads what is inside them"
    never_called = _check_forward(copy, input_shape, sentence)
    copy = wired(copy)
    copy.never_called = never_called  # type: ignore[assignment]
    copy.input_shape = tuple(input_shape)  # type: ignore[assignment]
    check_same_outputs(network, copy, input_shape)
    return copy


def _adoptable(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yields the modules by name, without those inside a module of torch's own, whose code reads them raw."""
    inside: set[nn.Module] = set()
    for name, module in network.named_modules():
        if module in inside or not isinstance(module, _CONTAINERS):
            theirs = type(module).__module__.startswith(("torch.nn", "torch.ao.nn"))
            inside.update(module.children() if theirs or module in inside else ())
        if module not in inside:
            yield name, module


def _check_own_weights(network: nn.Module, names: list[str]) -> None:
    """Refuses a bare layer, and layers of which another module has the weight too.

    A module that runs twice is no such case: it is one layer and stays one.
    """
    if "" in names:
        raise AtollError(
            f"got a bare {type(network).__name__}: allowed is a network that holds it, nn.Sequential for one"
        )
    owners: dict[int, str] = {}
    for name, module in network.named_modules():
        for part, parameter in module.named_parameters(recurse=False):
            place = parameter.data_ptr() or id(parameter)  # 0 on the meta device
            first = owners.setdefault(place, f"{name}.{part}")
            if first != f"{name}.{part}" and {first.rpartition(".")[0], name} & set(names):
                raise AtollError(
                    f"{first} and {name}.{part} are one tensor: allowed are layers with weights of their "
                    "own, and one module that runs twice"
                )


def _check_forward(network: nn.Module, input_shape: tuple[int, int, int], sentence: str) -> frozenset[str]:
    """Runs the structure once: one image batch in, tensors out, or an AtollError says what else it is.

    Returns:
        the modules of ours that it does not call in evaluation.
    """
    name = type(network).__name__
    structure = to_meta(network).eval()
    parts = {path: part for path, part in structure.named_modules() if isinstance(part, Layer | Norm)}
    never_called = set(parts)
    for path, part in parts.items():
        part.forward = partial(_noting, never_called, path, part.forward)  # type: ignore[method-assign]
    try:
        with torch.no_grad():
            output = structure(torch.empty(2, *input_shape, device="meta"))
    except Exception as error:  # the user's own code, which may raise anything
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise AtollError(f"{name} {sentence}: {said}") from error
    try:
        heads(output)
    except AtollError as error:
        raise AtollError(f"{name}: {error}") from error
    return frozenset(never_called)


def _noting(left: set[str], path: str, forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Runs a layer and takes its name off those that are left; a hook would miss a direct call of forward."""
    left.discard(path)
    return forward(x)


def input_shape_of(network: nn.Module) -> tuple[int, int, int]:
    """Returns the (channels, height, width) that an adopted network takes.

    Raises:
        AtollError: for a network that was not adopted.
    """
    shape = getattr(network, "input_shape", None)
    if not isinstance(shape, tuple):
        raise AtollError(f"{type(network).__name__} was not adopted: call adopt(network, input_shape) first")
    return shape


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

    Raises:
        KeyError: for a name that the network lacks.
    """
    kinds: tuple[Any, ...] = (*LAYERS, Norm, ValueGrids)
    types = {kind.type_name: kind for kind in kinds}
    device = next(network.parameters(), torch.empty(0)).device
    known = dict(network.named_modules())
    for name, spec in specs.items():
        if name not in known:
            raise KeyError(name)
        replace(network, name, types[spec["type"]].from_spec(spec, device))


def to_meta(network: nn.Module) -> nn.Module:
    """Returns a copy of the network on the meta device: structure without data, none copied."""
    memo: dict[int, Any] = {}
    for parameter in network.parameters():
        empty = torch.empty_like(parameter, device="meta")
        memo[id(parameter)] = nn.Parameter(empty, requires_grad=parameter.requires_grad)
    for buffer in network.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    return deepcopy(network, memo)
