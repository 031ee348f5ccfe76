"""A group of channels that go together, who reads them, and the groups that are being found."""

from dataclasses import dataclass, field
from math import lcm

from torch import Tensor

from ..kernels.importance import largest
from .layout import Blocks, ChannelLayout, Channels


@dataclass(frozen=True, eq=False)
class Reader:
    """A module that reads a group's channels: among others, or each at several positions."""

    path: str
    group: "ChannelGroup" = field(repr=False)
    layout: ChannelLayout = field(repr=False)

    def features(self, channels: Tensor) -> Tensor:
        """Returns which input features of the module are left, in their new order.

        Args:
            channels: numbers of the group's channels that are left; other groups keep theirs.
        """
        return self.layout.select(self.group, channels)


@dataclass
class ChannelGroup:
    """Channels that go together: the layers that make them, norms on them, layers that read them.

    Args:
        size: number of channels when the network was analysed.
        makers: paths of layers whose outputs these are (several where values are added).
        norms: paths of normalisations and depthwise layers over these channels alone, one by one.
        spread_norms: normalisations and depthwise layers over them among others, or over flattened maps.
        readers: layers whose inputs these are.
        fixed: why the group cannot shrink, empty where it can.
        block: how many neighbours stay or go together.
        left: number of channels now: `keep_channels` counts.
    """

    size: int
    makers: list[str] = field(default_factory=list)
    norms: list[str] = field(default_factory=list)
    spread_norms: list[Reader] = field(default_factory=list)
    readers: list[Reader] = field(default_factory=list)
    fixed: str = ""
    block: int = 1
    left: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.left = self.size

    def largest(self, scores: Tensor, count: int) -> Tensor:
        """Returns the ascending numbers of the channels that matter most, whole blocks of them.

        Args:
            scores: [size], larger matters more.
            count: of channels, whole blocks.
        """
        blocks = largest(scores.reshape(-1, self.block).sum(dim=1), count // self.block)
        return blocks.repeat_interleave(self.block).nonzero().flatten()


class Spaces:
    """Union-find over spaces of channels."""

    def __init__(self) -> None:
        self.parent: list[int] = []
        self.groups: list[ChannelGroup] = []

    def new(self, size: int, fixed: str = "") -> Channels:
        self.parent.append(len(self.parent))
        self.groups.append(ChannelGroup(size, fixed=fixed))
        return Channels(len(self.parent) - 1, self)

    def root(self, space: int) -> int:
        while self.parent[space] != space:
            space = self.parent[space]
        return space

    def group(self, space: int) -> ChannelGroup:
        return self.groups[self.root(space)]

    def join(self, first: int, second: int) -> None:
        first, second = sorted((self.root(first), self.root(second)))
        if first != second:
            kept, gone = self.groups[first], self.groups[second]
            kept.makers += gone.makers
            kept.fixed = kept.fixed or gone.fixed
            kept.block = lcm(kept.block, gone.block)
            self.parent[second] = first

    def in_blocks(self, channels: Channels, count: int) -> Blocks:
        """Returns the channels that so many neighbours of a space become, which go together from now on."""
        group = self.group(channels.space)
        group.block = lcm(group.block, count)
        return Blocks(channels, count)

    def fix(self, layout: ChannelLayout, reason: str) -> None:
        """Says why the channels of a value cannot be removed; the first reason stays."""
        for space in layout.spaces():
            self.group(space).fixed = self.group(space).fixed or reason

    def roots(self) -> list[ChannelGroup]:
        """Returns the groups in the order in which they were found."""
        return [group for space, group in enumerate(self.groups) if self.root(space) == space]
