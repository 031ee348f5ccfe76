"""Channels driven to zero: erasing them changes nothing."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from atoll.spaces.channels.groups import channel_groups, keep_channels
from atoll.spaces.channels.removal import Cut
from atoll.spaces.channels.zero_groups import ZeroGroups, drive_to_zero
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.importance.gates import gated_inputs
from atoll.spaces.recipes.recipe import Recipe
from torch import Tensor, nn

SHAPE = (1, 16, 16)


def cuts_of(network: nn.Module) -> list[Cut]:
    """Keeps three of eight channels, scattered, of every group that may shrink."""
    groups = [group for group in channel_groups(network, SHAPE) if not group.fixed]
    return [(g, torch.tensor([n for n in range(g.size) if n % 8 in (1, 2, 6)])) for g in groups]


@pytest.mark.parametrize(
    "before",
    [
        "",
        "prune_weights(ratio=0.75)",
        "cluster(clusters=8)",
        "quantize(bits=8)",
        "quantize(bits=2, first_last=same)",
        "binarize",
        "binarize(weights=keep, activations=binary)",
        "ternarize",
        "prune_weights -> cluster(clusters=8) -> quantize(bits=8)",
    ],
)
def test_erasing_changes_nothing(before: str, network: nn.Module, new_context: Callable[..., Any]) -> None:
    for step in Recipe.parse(before or "baseline"):
        network, _ = step.apply(network, new_context(network))
    network = deepcopy(network)
    context, cuts = new_context(network), cuts_of(network)
    assert len(cuts) >= 2
    check_erasure(network, cuts, context)


def check_erasure(network: nn.Module, cuts: list[Cut], context: Any) -> None:
    groups = drive_to_zero(network, cuts, context, epochs=1)
    erased = deepcopy(network)
    for group, index in cuts:
        keep_channels(erased, group, index)
    images = context.images(64)
    with torch.no_grad(), gated_inputs(network.eval(), groups.gates):
        driven = network(images)
    with torch.no_grad():
        assert (erased.eval()(images) - driven).abs().max() < 1e-5
        assert (network(images) - driven).abs().max() > 1e-2  # the gates did something


def test_channels_fade_where_they_are_read(trained: dict[str, nn.Module]) -> None:
    network = deepcopy(trained["residual"])
    groups = ZeroGroups(network, cuts_of(network))
    assert set(groups.gates) == {"pointwise", "dense1", "dense2"}
    kept = torch.tensor([n % 8 in (1, 2, 6) for n in range(16)])
    for done in (0.0, 0.25, 1.0):
        groups.drive(done)
        expected = torch.where(kept, 1.0, 1 - done)
        assert torch.equal(groups.gates["pointwise"], expected[None])
        assert torch.equal(groups.gates["dense1"], expected.repeat_interleave(16)[None])  # 16 positions each


def test_what_a_reader_sees_of_them_is_exactly_zero(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = deepcopy(trained["residual"])
    context, cuts = new_context(network), cuts_of(network)
    groups = drive_to_zero(network, cuts, context, epochs=0.5)
    images = context.images(16)
    with torch.no_grad(), gated_inputs(network, groups.gates):
        before = network(images)
        dense = network.get_submodule("dense1")
        gone = torch.tensor([n for n in range(256) if n // 16 % 8 not in (1, 2, 6)])
        dense.weight.raw[:, gone] = 1e6  # nothing multiplied by exactly zero matters
        assert torch.equal(network(images), before)


class Involved(nn.Module):
    """Activations that give something for nothing, a concatenation, and channels that scale others."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(1, 16, 3, padding=1)
        self.right = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(24)
        self.mix = nn.Conv2d(24, 16, 1)
        self.squeeze = nn.Conv2d(16, 8, 1)
        self.excite = nn.Conv2d(8, 16, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(torch.cat([torch.sigmoid(self.left(x)), self.right(x)], 1))
        x = torch.nn.functional.elu(self.mix(torch.sigmoid(x)))
        x = x * torch.sigmoid(self.excite(torch.relu(self.squeeze(self.pool(x)))))
        return self.head(torch.sigmoid(self.pool(x)).flatten(1))


def test_it_holds_where_nothing_gives_something(new_context: Callable[..., Any]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = adopt(Involved(), SHAPE)
    context, cuts = new_context(network), cuts_of(network)
    assert sorted(path for group, _ in cuts for path in group.makers) == sorted(
        ["left", "right", "mix", "excite", "squeeze"]
    )
    check_erasure(network, cuts, context)


def test_without_epochs_they_are_zero_all_the_same(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = deepcopy(trained["residual"])
    groups = drive_to_zero(network, cuts_of(network), new_context(network), epochs=0)
    assert all((gate == 0).any() and (gate == 1).any() for gate in groups.gates.values())
