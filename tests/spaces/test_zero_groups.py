"""Channels driven to zero: erasing them changes nothing."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from atoll.spaces.channel_groups import channel_groups, keep_channels
from atoll.spaces.channel_removal import Cut
from atoll.spaces.gates import gated
from atoll.spaces.recipe import Recipe
from atoll.spaces.zero_groups import ZeroGroups, drive_to_zero
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
        "prune_weights -> cluster(clusters=8) -> quantize(bits=8)",
    ],
)
def test_erasing_changes_nothing(before: str, network: nn.Module, new_context: Callable[..., Any]) -> None:
    for step in Recipe.parse(before or "baseline"):
        network, _ = step.apply(network, new_context(network))
    network = deepcopy(network)
    context, cuts = new_context(network), cuts_of(network)
    assert len(cuts) >= 2
    groups = drive_to_zero(network, cuts, context, epochs=1)
    erased = deepcopy(network)
    for group, index in cuts:
        keep_channels(erased, group, index)
    images = context.images(64)
    with torch.no_grad(), gated(network.eval(), groups.gates):
        driven = network(images)
    with torch.no_grad():
        assert (erased.eval()(images) - driven).abs().max() < 1e-5
        assert (network(images) - driven).abs().max() > 1e-2  # the gates did something


def test_channels_fade_while_the_network_trains(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = deepcopy(trained["residual"])
    cuts = cuts_of(network)
    groups = ZeroGroups(cuts, torch.device("cpu"))
    assert set(groups.gates) == {"stem", "pointwise", "depthwise", "bn1", "bn2", "dense1"}
    seen: list[Tensor] = []
    for done in (0.0, 0.25, 1.0):
        groups.drive(done)
        seen.append(groups.gates["bn1"].clone())
    kept = torch.tensor([n % 8 in (1, 2, 6) for n in range(16)])
    for gate, left in zip(seen, (1.0, 0.75, 0.0), strict=True):
        assert torch.equal(gate, torch.where(kept, 1.0, left)[None])


def test_what_a_reader_sees_of_them_is_exactly_zero(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = deepcopy(trained["residual"])
    context, cuts = new_context(network), cuts_of(network)
    groups = drive_to_zero(network, cuts, context, epochs=0.5)
    read: list[Tensor] = []
    network.get_submodule("dense1").register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    with gated(network, groups.gates):
        network(context.images(16))
    features = read[0].reshape(16, 16, 16)  # image, channel, position
    gone = torch.tensor([n for n in range(16) if n % 8 not in (1, 2, 6)])
    assert not features[:, gone].any()
    assert features.any()


def test_without_epochs_they_are_zero_all_the_same(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = deepcopy(trained["residual"])
    groups = drive_to_zero(network, cuts_of(network), new_context(network), epochs=0)
    assert all((gate == 0).any() and (gate == 1).any() for gate in groups.gates.values())
