"""How channels lie in the features of a value: one after the other, concatenated, spread over positions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Group(Protocol):
    """Channels that are removed together."""

    #: how many there are now
    left: int


class Owner(Protocol):
    """Says which group a space of channels belongs to: spaces are joined while a network is analysed."""

    def group(self, space: int) -> Group:
        """Returns the group of a space."""


class ChannelLayout:
    """Which features of a value belong to which channels of which groups."""

    @property
    def size(self) -> int:
        """Number of features now."""
        raise NotImplementedError

    def select(self, group: Group, index: Tensor) -> Tensor:
        """Returns the numbers of the features that are left, in their new order.

        Args:
            group: whose channels are selected; those of other groups stay.
            index: numbers of its channels.
        """
        raise NotImplementedError

    def spaces(self) -> Iterator[int]:
        """Yields the spaces of channels in it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Channels(ChannelLayout):
    """All channels of one space, a feature each."""

    space: int
    owner: Owner

    @property
    def size(self) -> int:
        return self.owner.group(self.space).left

    def select(self, group: Group, index: Tensor) -> Tensor:
        return index if self.owner.group(self.space) is group else torch.arange(self.size)

    def spaces(self) -> Iterator[int]:
        yield self.space


@dataclass(frozen=True)
class Concatenated(ChannelLayout):
    """One layout after the other."""

    parts: tuple[ChannelLayout, ...]

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    def select(self, group: Group, index: Tensor) -> Tensor:
        found, start = [], 0
        for part in self.parts:
            found.append(start + part.select(group, index))
            start += part.size
        return torch.cat(found)

    def spaces(self) -> Iterator[int]:
        for part in self.parts:
            yield from part.spaces()


@dataclass(frozen=True)
class Spread(ChannelLayout):
    """Flattened maps: every channel has so many positions.

    Args:
        channels: of the maps.
        positions: height times width.
        channels_fastest: whether the channel index runs fastest (Keras), else the position (torch).
    """

    channels: ChannelLayout
    positions: int
    channels_fastest: bool

    @property
    def size(self) -> int:
        return self.channels.size * self.positions

    def select(self, group: Group, index: Tensor) -> Tensor:
        channels, place = self.channels.select(group, index), torch.arange(self.positions)
        if self.channels_fastest:
            return (place[:, None] * self.channels.size + channels[None, :]).flatten()
        return (channels[:, None] * self.positions + place[None, :]).flatten()

    def spaces(self) -> Iterator[int]:
        return self.channels.spaces()


@dataclass(frozen=True)
class Blocks(ChannelLayout):
    """Channels of a pixel shuffle: each is made of so many neighbours, which stay or go together.

    Args:
        channels: before it, of a group of whole blocks.
        count: of the channels that become one.
    """

    channels: ChannelLayout
    count: int

    @property
    def size(self) -> int:
        return self.channels.size // self.count

    def select(self, group: Group, index: Tensor) -> Tensor:
        return self.channels.select(group, index)[:: self.count] // self.count

    def spaces(self) -> Iterator[int]:
        return self.channels.spaces()


def counterparts(first: ChannelLayout, second: ChannelLayout) -> list[tuple[int, int]] | None:
    """Returns which spaces lie in the same places of two layouts, None where they lie otherwise."""
    if isinstance(first, Channels) and isinstance(second, Channels):
        return [(first.space, second.space)] if first.size == second.size else None
    if isinstance(first, Spread) and isinstance(second, Spread):
        same = (first.positions, first.channels_fastest) == (second.positions, second.channels_fastest)
        return counterparts(first.channels, second.channels) if same else None
    if isinstance(first, Blocks) and isinstance(second, Blocks):
        return counterparts(first.channels, second.channels) if first.count == second.count else None
    if isinstance(first, Concatenated) and isinstance(second, Concatenated):
        if len(first.parts) != len(second.parts):
            return None
        pairs = [counterparts(one, other) for one, other in zip(first.parts, second.parts, strict=True)]
        return None if None in pairs else [pair for found in pairs if found for pair in found]
    return None
