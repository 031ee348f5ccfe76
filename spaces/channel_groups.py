"""Channel groups: channels that can only be removed together, found by dependency analysis."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor, nn

from .graph import Graph, Operation, trace
from .kernels.importance import channel_l1
from .layers.conv import Conv
from .layers.layer import Layer
from .layers.norm import Norm

#: operations that hand each channel on by itself
_PER_CHANNEL = ("relu", "relu6", "max_pool", "avg_pool", "global_avg_pool", "identity")
#: how a flattened feature index runs over (channel, position)
_FLATTENS = {"flatten": "channel_major", "channels_last_flatten": "position_major"}


@dataclass(frozen=True)
class Reader:
    """A layer that reads a group's channels, each spread over `positions` features in a given layout."""

    path: str
    positions: int = 1
    layout: str = "channel_major"

    def features(self, channels: Tensor, size: int) -> Tensor:
        """Returns which input features of the layer belong to these of `size` channels, ascending."""
        if self.positions == 1:
            return channels
        place = torch.arange(self.positions)
        if self.layout == "position_major":
            return (place[:, None] * size + channels[None, :]).flatten()
        return (channels[:, None] * self.positions + place[None, :]).flatten()


@dataclass
class ChannelGroup:
    """Channels that go together: the layers that make them, norms on them, layers that read them.

    Args:
        size: number of channels.
        makers: paths of layers whose outputs these are (several where values are added).
        norms: paths of normalisations and depthwise layers over them.
        readers: layers whose inputs these are.
        fixed: why the group cannot shrink, empty where it can.
    """

    size: int
    makers: list[str] = field(default_factory=list)
    norms: list[str] = field(default_factory=list)
    readers: list[Reader] = field(default_factory=list)
    fixed: str = ""


class _Spaces:
    """Union-find over channel spaces."""

    def __init__(self) -> None:
        self.parent: list[int] = []
        self.groups: list[ChannelGroup] = []

    def new(self, size: int, fixed: str = "") -> int:
        self.parent.append(len(self.parent))
        self.groups.append(ChannelGroup(size, fixed=fixed))
        return len(self.parent) - 1

    def root(self, space: int) -> int:
        while self.parent[space] != space:
            space = self.parent[space]
        return space

    def group(self, space: int) -> ChannelGroup:
        return self.groups[self.root(space)]

    def join(self, first: int, second: int) -> int:
        first, second = sorted((self.root(first), self.root(second)))
        if first != second:
            kept, gone = self.groups[first], self.groups[second]
            kept.makers += [maker for maker in gone.makers if maker not in kept.makers]
            kept.norms += [norm for norm in gone.norms if norm not in kept.norms]
            kept.readers += [reader for reader in gone.readers if reader not in kept.readers]
            kept.fixed = kept.fixed or gone.fixed
            self.parent[second] = first
        return first


@dataclass(frozen=True)
class _Value:
    """Where a value's channels live and how they are laid out."""

    space: int
    positions: int = 1
    layout: str = "channel_major"


def channel_groups(network: nn.Module, input_shape: tuple[int, int, int]) -> list[ChannelGroup]:
    """Returns the network's channel groups in the order of execution, fixed ones included."""
    return _Analysis(trace(network, input_shape)).run()


class _Analysis:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.spaces = _Spaces()
        self.values: dict[str, _Value] = {}
        self.made_by: dict[str, int] = {}

    def run(self) -> list[ChannelGroup]:
        for operation in self.graph.operations:
            value = self._visit(operation)
            if value is not None:
                self.values[operation.name] = value
        roots = dict.fromkeys(self.spaces.root(space) for space in range(len(self.spaces.parent)))
        return [self.spaces.groups[root] for root in roots if self.spaces.groups[root].makers]

    def _visit(self, operation: Operation) -> _Value | None:
        sources = [self.values[name] for name in operation.inputs]
        if operation.kind == "input":
            return _Value(self.spaces.new(operation.shape[0], "the network's input"))
        if operation.kind == "output":
            for source in sources:
                self.spaces.group(source.space).fixed = "the network's output"
            return None
        if operation.kind == "layer" and self._reads_channels(operation):
            return self._layer(operation, sources[0])
        if operation.kind == "norm" and sources[0].positions == 1:
            self._note(self.spaces.group(sources[0].space).norms, operation.path)
            return sources[0]
        if operation.kind in _PER_CHANNEL:
            return sources[0]
        if operation.kind == "add" and self._alike(operation, sources):
            space = sources[0].space
            for source in sources[1:]:
                space = self.spaces.join(space, source.space)
            return _Value(space, sources[0].positions, sources[0].layout)
        if operation.kind in _FLATTENS and len(operation.shape) == 1:
            shape = self.graph[operation.inputs[0]].shape
            if len(shape) == 1:  # flat already
                return sources[0]
            return _Value(sources[0].space, prod(shape[1:]), _FLATTENS[operation.kind])
        for source in sources:
            self.spaces.group(source.space).fixed = f"read by {operation.described}"
        size = operation.shape[0] if operation.shape else 1
        return _Value(self.spaces.new(size, f"made by {operation.described}"))

    def _reads_channels(self, operation: Operation) -> bool:
        """Whether a layer reads channels: a dense layer on images would read rows of pixels."""
        dimensions = 3 if isinstance(operation.module, Conv) else 1
        return len(self.graph.input_shapes(operation)[0]) == dimensions

    def _alike(self, operation: Operation, sources: list[_Value]) -> bool:
        """Whether added values have the same channels in the same layout (no broadcasting over channels)."""
        layouts = {(s.positions, s.layout if s.positions > 1 else "") for s in sources}
        sizes = {shape[0] for shape in self.graph.input_shapes(operation) if shape}
        return len(layouts) == 1 and len(sizes) == 1

    def _layer(self, operation: Operation, source: _Value) -> _Value:
        layer = operation.module
        assert isinstance(layer, Layer)
        if isinstance(layer, Conv) and layer.groups > 1:
            if layer.depthwise:
                self._note(self.spaces.group(source.space).norms, operation.path)
                return source
            self.spaces.group(source.space).fixed = f"read by the grouped convolution {operation.path}"
            return _Value(self._space_of(operation.path, layer, "made by a grouped convolution"))
        reader = Reader(operation.path, source.positions, source.layout)
        readers = self.spaces.group(source.space).readers
        if reader not in readers:
            readers.append(reader)
        return _Value(self._space_of(operation.path, layer))

    def _space_of(self, path: str, layer: Layer, fixed: str = "") -> int:
        """Returns the space of a layer's outputs; a layer that runs twice has one."""
        if path not in self.made_by:
            space = self.spaces.new(layer.outputs, fixed)
            self.spaces.group(space).makers.append(path)
            self.made_by[path] = space
        return self.made_by[path]

    @staticmethod
    def _note(names: list[str], name: str) -> None:
        if name not in names:
            names.append(name)


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
        module = network.get_submodule(path)
        if isinstance(module, Norm):
            module.keep_channels(index)
        elif isinstance(module, Layer):
            module.keep_outputs(index)
    for reader in group.readers:
        layer = network.get_submodule(reader.path)
        assert isinstance(layer, Layer)
        layer.keep_inputs(reader.features(index, group.size))
