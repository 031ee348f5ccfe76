"""Adoption: a copy of a user's network in which the layers that techniques compress are ours."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import AtollError
from ..exported.exported_file import load_exported
from ..exported.front_end import ExportError, exported
from ..layers.attention import attention_in_parts
from ..layers.conv import Conv
from ..layers.dense import Dense
from ..layers.layer import Layer
from ..layers.norm import Norm
from ..layers.parts import LARGEST_ROW, Parts, row_shape, shapes_of
from ..layers.program import Program
from ..layers.recurrence import Recurrence
from ..layers.recurrent import Recurrent
from ..layers.same_padding import SameConv2d
from ..layers.scaling import PIXELS, Scaling
from ..layers.shape import InputShape, is_image, shape_said
from ..layers.structure import input_shape_of, replace, to_meta
from ..layers.transposed_conv import TransposedConv
from .carried_over import check_own_behaviour, check_replaceable, check_same_outputs
from .heads import heads
from .reading import trace
from .wiring import wired

_CONVOLVES = ("in_channels", "out_channels", "kernel_size", "stride", "dilation", "groups", "bias")
_TRANSPOSED = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding", "bias")
_NORMALISES = ("num_features", "eps", "momentum", "affine")
#: torch's module -> (ours, the options of the constructor that ours reads, parameters that may be frozen)
_ADOPTED: dict[type[nn.Module], tuple[Any, tuple[str, ...], tuple[str, ...]]] = {
    nn.Linear: (Dense, ("in_features", "out_features", "bias"), ()),
    nn.Conv2d: (Conv, (*_CONVOLVES, "padding"), ()),
    nn.Conv1d: (Conv, (*_CONVOLVES, "padding"), ()),
    SameConv2d: (Conv, _CONVOLVES, ()),
    nn.ConvTranspose1d: (TransposedConv, _TRANSPOSED, ()),
    nn.ConvTranspose2d: (TransposedConv, _TRANSPOSED, ()),
    Recurrence: (Recurrent, ("cell", "units", "bias", "backwards"), ()),
    nn.BatchNorm1d: (Norm, _NORMALISES, ("weight",)),
    nn.BatchNorm2d: (Norm, _NORMALISES, ("weight",)),
}
#: modules of torch's that only hold others; so do plain ones, which a program read from an export has
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def adopt(network: nn.Module, input_shape: InputShape | Parts, scaling: Scaling = PIXELS) -> nn.Module:
    """Returns a copy of a torch network in which linear, convolution and BatchNorm layers are ours.

    Names stay. Where every call of the network's own forward is understood, other modules (activations,
    pooling) are kept as they are, and so is that forward where no value besides those of layers may need a
    grid; else the copy is a `Program`, which makes the same calls. Where one is not (a class of the user's
    own, conditions on sizes, parts of values), the copy is the program that `spaces.exported` reads.

    Args:
        network: any network on (N, C, H, W) images, or on several inputs.
        input_shape: (channels, height, width), (channels, length) or (features,); the copy remembers it
            (`input_shape_of`). Of several inputs a tuple of such, in the order of the forward's arguments:
            the copy is a `Program` that takes them as one row too, whose shape it remembers (`parts`).
        scaling: what makes of stored inputs what the network takes; remembered too (`scaling_of`).

    Raises:
        AtollError: for a network that does not run on such images, or returns something other than tensors,
            for whatever would be lost on the way (`carried_over`: hooks, replaced methods, options of layers
            that have no counterpart, such as padding that is not zeros), for two layers with one weight
            tensor, and for a scaling of another number of channels.
    """
    check_own_behaviour(network)
    shapes = shapes_of(input_shape)
    scaling.check_fits(row_shape(input_shape))
    in_parts = attention_in_parts(network)
    try:
        copy = _understood(in_parts, shapes)
    except AtollError:  # a mask, or code that reads what is inside of an attention
        if in_parts is network:
            raise
        copy = _understood(network, shapes)
    copy.input_scaling = scaling  # type: ignore[assignment]
    check_same_outputs(network, copy, shapes)
    return copy


def adopt_exported(path: Path, scaling: Scaling = PIXELS) -> nn.Module:
    """Returns the adopted network of a `.pt2` file, which brings code along that torch runs.

    Args:
        path: a file that the user named for this purpose, see `load_exported`.
        scaling: as for `adopt`.

    Raises:
        AtollError: see `load_exported` and `adopt`.
    """
    return adopt(*load_exported(path), scaling)


class _DoesNotRun(AtollError):
    """The network's code raises on the meta device, or with layers of ours."""


def _understood(network: nn.Module, shapes: Parts) -> nn.Module:
    """Returns the copy by the network's own calls where each of them is known, by its export elsewhere."""
    copy, reason = None, None
    try:
        copy = _with_our_layers(network, shapes)
        if not _unknown(copy):
            return copy
    except _DoesNotRun as error:  # it may make tensors elsewhere, ask for values, read what layers hold
        reason = error
    try:
        program = exported(network, shapes)
    except ExportError:
        if copy is None:
            raise reason from None  # type: ignore[misc]
        return copy
    try:
        found = _with_our_layers(program.train(network.training), shapes)
    except _DoesNotRun as error:  # on another number of images than it was exported for
        raise AtollError(
            f"{type(network).__name__} computes with the number of images, as with windows of an image in "
            f"the axis of the batch: allowed is a forward that does the same for each image ({error})"
        ) from error
    if copy is not None and _unknown(copy) <= _unknown(found):
        return copy  # its modules say better what has no meaning
    return found


def _with_our_layers(network: nn.Module, shapes: Parts) -> nn.Module:
    found = {name: module for name, module in _adoptable(network) if type(module) in _ADOPTED}
    for name, module in found.items():
        if getattr(module, "padding_mode", "zeros") != "zeros":  # a padding and a convolution, where exported
            raise _DoesNotRun(f"{name} ({type(module).__name__}) pads with mode {module.padding_mode!r}")
        check_replaceable(name, module, *_ADOPTED[type(module)][1:])
    _check_own_weights(network, list(found))
    try:
        copy = deepcopy(network)
    except (RuntimeError, TypeError) as error:
        raise AtollError(f"{type(network).__name__} cannot be copied: {error}") from error
    kind = "images" if all(map(is_image, shapes)) else "inputs"
    sizes = " and ".join(map(shape_said, shapes))
    _check_forward(copy, shapes, f"does not run on {kind} of {sizes}")
    for name, module in found.items():
        replace(copy, name, _ADOPTED[type(module)][0].adopt(module))
    sentence = "does not run with layers of ours: its code reads what is inside them"
    never_called = _check_forward(copy, shapes, sentence)
    copy = wired(copy, len(shapes))
    if len(shapes) > 1:
        if not isinstance(copy, Program):
            raise _DoesNotRun(
                f"{type(network).__name__} has {len(shapes)} inputs and more than a plain forward of so many "
                "tensors: allowed are networks whose calls can be read"
            )
        if row_shape(shapes) > (LARGEST_ROW,):
            raise AtollError(
                f"got inputs of {row_shape(shapes)[0]:,} values together, allowed are {LARGEST_ROW:,}"
            )
        copy.input_parts = shapes
    copy.never_called = never_called  # type: ignore[assignment]
    copy.input_shape = row_shape(shapes)  # type: ignore[assignment]
    return copy


def _unknown(network: nn.Module) -> float:
    """Returns how many calls of a network's forward have no meaning, infinity where they cannot be read."""
    try:
        graph = trace(network, input_shape_of(network))
    except AtollError:
        return inf
    return sum(operation.kind == "other" for operation in graph.operations)


def _adoptable(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yields the modules by name, without those inside a module of torch's own, whose code reads them raw."""
    inside: set[nn.Module] = set()
    for name, module in network.named_modules():
        holds = isinstance(module, _CONTAINERS) or type(module) is nn.Module
        if module in inside or not holds:
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


def _check_forward(network: nn.Module, shapes: Parts, sentence: str) -> frozenset[str]:
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
            output = structure(*(torch.empty(2, *shape, device="meta") for shape in shapes))
    except Exception as error:  # the user's own code, which may raise anything
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise _DoesNotRun(f"{name} {sentence}: {said}") from error
    try:
        heads(output)
    except AtollError as error:
        raise AtollError(f"{name}: {error}") from error
    return frozenset(never_called)


def _noting(left: set[str], path: str, forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Runs a layer and takes its name off those that are left; a hook would miss a direct call of forward."""
    left.discard(path)
    return forward(x)
