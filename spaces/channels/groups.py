"""Channel groups: channels that can only be removed together, found by dependency analysis."""

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor, nn

from ..graph.axis_order import followed
from ..graph.graph import Graph, Operation
from ..graph.reading import trace
from ..kernels.importance import channel_l1
from ..layers.conv import Conv
from ..layers.layer import Layer
from ..layers.norm import Norm
from ..operations.kinds import COMBINING, MOVES, POINTWISE
from ..operations.moves import Shape
from .channel_group import ChannelGroup, Reader, Spaces
from .layout import ChannelLayout, Channels, Concatenated, Spread, counterparts

#: operations that hand each channel on by itself, wherever they lie; of channels first alone
_PER_ELEMENT = (*POINTWISE, "identity")
_PER_MAP = ("max_pool", "avg_pool", "global_avg_pool", "global_max_pool", "upsample", "expand")


def channel_groups(network: nn.Module, input_shape: tuple[int, ...]) -> list[ChannelGroup]:
    """Returns the network's channel groups in the order of execution, fixed ones included."""
    return _Analysis(trace(network, input_shape)).run()


class _Analysis:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.spaces = Spaces()
        self.values: dict[str, ChannelLayout] = {}
        #: value -> the axis along which its channels lie, where that is not the first
        self.axes: dict[str, int] = {}
        self.made_by: dict[str, Channels] = {}
        #: how what layers read, and what norms are over, is laid out
        self.read: dict[str, ChannelLayout] = {}
        self.over: dict[str, ChannelLayout] = {}

    def run(self) -> list[ChannelGroup]:
        for operation in self.graph.operations:
            sources = [self.values[name] for name in operation.inputs]
            if operation.kind == "output":
                for source in sources:
                    self.spaces.fix(source, "the network's output")
                break
            value = self._visit(operation, sources)
            self.values[operation.name] = self._opaque(operation, sources) if value is None else value
        for path, layout in self.read.items():
            for group in self._groups(layout):
                group.readers.append(Reader(path, group, layout))
        for path, layout in self.over.items():
            for group in self._groups(layout):
                if isinstance(layout, Channels):
                    group.norms.append(path)
                else:
                    group.spread_norms.append(Reader(path, group, layout))
        return [group for group in self.spaces.roots() if group.makers]

    def _groups(self, layout: ChannelLayout) -> list[ChannelGroup]:
        """Returns the groups in a layout, each once."""
        return list({id(group): group for group in map(self.spaces.group, layout.spaces())}.values())

    def _opaque(self, operation: Operation, sources: list[ChannelLayout]) -> Channels:
        """An operation that is not understood: what it reads and what it makes stays as it is."""
        for source in sources:
            self.spaces.fix(source, f"read by {operation.described}")
        return self.spaces.new(operation.shape[0] if operation.shape else 1, f"made by {operation.described}")

    def _visit(self, operation: Operation, sources: list[ChannelLayout]) -> ChannelLayout | None:
        """Returns how the operation's value is laid out, None where that is not understood."""
        kind, shapes = operation.kind, self.graph.input_shapes(operation)
        if kind == "input":
            return self.spaces.new(operation.shape[0], "the network's input")
        if operation.rigid:
            return None
        axes = {self.axes.get(name, 0) for name in operation.inputs}
        if len(axes) != 1:
            return None
        (axis,) = axes
        self.axes[operation.name] = axis
        found = self._known(operation, sources, shapes, axis)
        if found is None:
            del self.axes[operation.name]
        return found

    def _known(
        self, operation: Operation, sources: list[ChannelLayout], shapes: list[Shape], axis: int
    ) -> ChannelLayout | None:
        kind = operation.kind
        if kind == "layer":
            return self._reading(operation, sources[0], shapes[0], axis)
        if kind == "norm" and axis == 0 and shapes[0][0] == getattr(operation.module, "num_features", 0):
            self._join_at(self.over, operation.path, sources[0])
            return sources[0]
        if kind == "prelu" and len(sources) == 1:
            return sources[0] if getattr(operation.module, "num_parameters", 0) == 1 else None
        if kind == "standardise":
            alone = axis == 0 and isinstance(operation.module, nn.InstanceNorm1d | nn.InstanceNorm2d)
            return sources[0] if alone and not getattr(operation.module, "affine", True) else None
        if kind in _PER_ELEMENT or (kind in _PER_MAP and (axis, shapes[0][0]) == (0, operation.shape[0])):
            return sources[0]
        if kind in (*COMBINING, "prelu"):
            return self._combined(operation, sources, shapes, axis)
        if kind == "concatenate" and operation.axes == (axis,):
            parts = [p for s in sources for p in (s.parts if isinstance(s, Concatenated) else (s,))]
            return Concatenated(tuple(parts))
        if kind == "concatenate":
            return self._joined(sources, operation.described)
        if kind == "mean" and axis not in operation.axes:
            if len(operation.shape) < len(shapes[0]):
                left = [other for other in range(len(shapes[0])) if other not in operation.axes]
                self.axes[operation.name] = left.index(axis)
            return sources[0]
        if kind in (*MOVES, "channels_last_flatten") and shapes[0]:
            return self._moved(operation, sources[0], shapes[0], axis)
        return None

    def _reading(
        self, operation: Operation, source: ChannelLayout, shape: Shape, axis: int
    ) -> ChannelLayout | None:
        """A layer, whose own channels begin anew where it reads another axis than that of those before."""
        wanted = channel_axis(operation, shape)
        if wanted is None:
            return None
        if wanted != axis:
            self.spaces.fix(source, f"read by {operation.described}")
            source = self.spaces.new(shape[wanted], f"read by {operation.described}")
            self.axes[operation.name] = wanted
        return self._layer(operation, source)

    def _moved(
        self, operation: Operation, source: ChannelLayout, shape: Shape, axis: int
    ) -> ChannelLayout | None:
        """The same values in other places, each channel's still by themselves, or spread over a vector."""
        after = followed(operation.moves, shape, axis) if operation.moves else None
        if after is not None:
            self.axes[operation.name] = after
            return source
        if operation.kind == "shuffle" and axis == 0:
            return self._shuffled(operation, source, shape[0])
        if operation.kind not in ("flatten", "channels_last_flatten") or axis not in (0, len(shape) - 1):
            return None
        self.axes[operation.name] = 0
        fastest = operation.kind == "channels_last_flatten" or axis > 0
        positions = prod(shape) // shape[axis]
        return source if positions == 1 else Spread(source, positions, fastest)

    def _shuffled(self, operation: Operation, source: ChannelLayout, channels: int) -> ChannelLayout | None:
        """Channels that become pixels of fewer channels, or pixels that become channels of their own."""
        made = operation.shape[0]
        if isinstance(operation.module, nn.PixelUnshuffle):
            return Spread(source, made // channels, channels_fastest=False)
        if isinstance(operation.module, nn.PixelShuffle) and isinstance(source, Channels):
            return self.spaces.in_blocks(source, channels // made)
        return None

    def _combined(
        self, operation: Operation, sources: list[ChannelLayout], shapes: list[Shape], axis: int
    ) -> ChannelLayout | None:
        """Values added or multiplied element by element, spread over height and width where one has none."""
        whole = [(s, shape) for s, shape in zip(sources, shapes, strict=True) if prod(shape) > 1]
        made = operation.shape
        if any(len(shape) != len(made) or shape[axis] != made[axis] for _, shape in whole):
            return None  # another number of dimensions, or one channel for all
        return self._joined([source for source, _ in whole] or sources[:1], operation.described)

    def _joined(self, sources: list[ChannelLayout], reader: str) -> ChannelLayout:
        """Values whose channels are the same."""
        first, *others = sources
        for other in others:
            self._join(first, other, reader)
        return first

    def _layer(self, operation: Operation, source: ChannelLayout) -> ChannelLayout:
        layer, path = operation.module, operation.path
        assert isinstance(layer, Layer)
        if isinstance(layer, Conv) and layer.depthwise:
            self._join_at(self.over, path, source)
            return source
        if isinstance(layer, Conv) and layer.groups > 1:
            self.spaces.fix(source, f"read by the grouped convolution {path}")
            return self._made(path, layer, "made by a grouped convolution")
        self._join_at(self.read, path, source)
        return self._made(path, layer)

    def _made(self, path: str, layer: Layer, fixed: str = "") -> Channels:
        """Returns the space of a layer's outputs; a layer that runs twice has one."""
        if path not in self.made_by:
            space = self.made_by[path] = self.spaces.new(layer.outputs, fixed)
            self.spaces.group(space.space).makers.append(path)
        return self.made_by[path]

    def _join_at(self, known: dict[str, ChannelLayout], path: str, layout: ChannelLayout) -> None:
        """Notes what a module reads; one that runs twice reads the same channels each time."""
        self._join(known.setdefault(path, layout), layout, f"{path}, which runs twice")

    def _join(self, first: ChannelLayout, second: ChannelLayout, reader: str) -> None:
        """Makes channels in the same places of two values one, or fixes all where they lie otherwise."""
        pairs = counterparts(first, second)
        if pairs is None:
            for layout in (first, second):
                self.spaces.fix(layout, f"read by {reader}, beside channels that lie otherwise")
        for one, other in pairs or ():
            self.spaces.join(one, other)


def channel_axis(operation: Operation, shape: Shape) -> int | None:
    """Returns the axis along which a layer reads channels, None where it reads none of its own number.

    Args:
        operation: whose module is the layer.
        shape: of what it reads, without the batch.
    """
    layer, made = operation.module, operation.shape
    assert isinstance(layer, Layer)
    axis = len(shape) - 1 if layer.features_last else 0
    fits = (shape[axis], made[axis]) == (layer.inputs, layer.outputs)
    return axis if fits else None


def group_importance(
    network: nn.Module, group: ChannelGroup, score: Callable[[Tensor], Tensor] = channel_l1
) -> Tensor:
    """Returns [size]: how much each channel of a group matters, over all layers that make it.

    Args:
        network: the network that the group was found in.
        score: gives [out] for a layer's weights [out, ...], about 1 on average.
    """
    total = torch.zeros(group.size)
    for path in group.makers:
        layer = network.get_submodule(path)
        assert isinstance(layer, Layer)
        total += score(layer.output_rows())
    return total


def keep_channels(network: nn.Module, group: ChannelGroup, index: Tensor) -> None:
    """Keeps these channels of a group, physically, in every layer concerned, in place.

    Args:
        network: the network that the group was found in.
        index: ascending channel numbers.
    """
    for path in group.makers:
        layer = network.get_submodule(path)
        assert isinstance(layer, Layer)
        layer.keep_outputs(index)
    for path in group.norms:
        _keep_normed(network.get_submodule(path), index)
    for norm in group.spread_norms:
        _keep_normed(network.get_submodule(norm.path), norm.features(index))
    for reader in group.readers:
        layer = network.get_submodule(reader.path)
        assert isinstance(layer, Layer)
        layer.keep_inputs(reader.features(index))
    group.left = index.numel()


def _keep_normed(module: nn.Module, index: Tensor) -> None:
    """Keeps these channels of a normalisation or a depthwise convolution."""
    if isinstance(module, Norm):
        module.keep_channels(index)
    elif isinstance(module, Layer):
        module.keep_outputs(index)
