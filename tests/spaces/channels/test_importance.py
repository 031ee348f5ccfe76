"""Each criterion against a plain loop over the layers of a group."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from atoll.spaces.channels.channel_group import ChannelGroup
from atoll.spaces.channels.groups import channel_groups
from atoll.spaces.channels.importance import CRITERIA, has_norm, scorer
from atoll.spaces.importance.saliency import IMAGES, channel_saliency
from atoll.spaces.layers.norm import Norm
from torch import Tensor, nn

SHAPE = (1, 16, 16)


def group_of(network: nn.Module, maker: str) -> ChannelGroup:
    (found,) = [group for group in channel_groups(network, SHAPE) if maker in group.makers]
    return found


def rows(network: nn.Module, path: str) -> list[Tensor]:
    return [row.flatten() for row in network.get_submodule(path).output_rows()]


def over_mean(scores: list[float]) -> list[float]:
    mean = sum(scores) / len(scores)
    return [score / mean for score in scores]


def by_loop(criterion: str, network: nn.Module, path: str, context: Any) -> list[float]:
    """Rates one layer's channels, over their mean."""
    weights = rows(network, path)
    if criterion == "l1":
        return over_mean([sum(abs(float(w)) for w in row) for row in weights])
    if criterion == "l2":
        return over_mean([sum(float(w) ** 2 for w in row) ** 0.5 for row in weights])
    if criterion == "geometric_median":
        return over_mean([sum(float((a - b).norm()) for b in weights) for a in weights])
    images, labels = context.examples(IMAGES)
    found = channel_saliency(network, [path], images, labels, context.criterion)
    return over_mean(found[path].tolist())


@pytest.mark.parametrize("criterion", ["l1", "l2", "geometric_median", "taylor"])
def test_scores_of_layers_that_go_together_are_added(
    criterion: str, trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = deepcopy(trained["residual"])
    context, group = new_context(network), group_of(network, "stem")
    assert group.makers == ["stem", "pointwise"]
    each = [by_loop(criterion, network, path, context) for path in group.makers]
    expected = torch.tensor([sum(scores) for scores in zip(*each, strict=True)])
    assert torch.allclose(scorer(criterion, network, [group], context)(group), expected, rtol=1e-3)


def test_random_scores_come_from_the_context_alone(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["residual"]
    group = group_of(network, "dense1")
    torch.manual_seed(0)
    first = scorer("random", network, [group], new_context(network, seed=3))(group)
    torch.manual_seed(1)
    again = scorer("random", network, [group], new_context(network, seed=3))(group)
    assert torch.equal(first, again)
    assert not torch.equal(first, scorer("random", network, [group], new_context(network, seed=4))(group))


def test_the_scale_of_the_normalisation_counts(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = deepcopy(trained["residual"])
    group = group_of(network, "stem")
    norms = [network.get_submodule(path) for path in group.norms]
    norms = [norm for norm in norms if isinstance(norm, Norm)]
    assert len(norms) == 2 and has_norm(network, group)
    with torch.no_grad():
        norms[0].weight.copy_(-torch.arange(16.0))
        norms[1].weight.fill_(1.0)
    found = scorer("bn_scale", network, [group], new_context(network))(group)
    assert torch.allclose(found, torch.arange(16.0) / 7.5 + 1)


def test_where_the_scale_is_fixed_the_spread_counts(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = deepcopy(trained["sequential"])
    group = group_of(network, "dense1")
    norm = network.get_submodule("bn3")
    norm.weight.requires_grad_(False).fill_(1.0)
    norm.running_var = torch.arange(64.0).square()
    found = scorer("bn_scale", network, [group], new_context(network))(group)
    assert torch.allclose(found, torch.arange(64.0) / 31.5, atol=1e-3)


def test_without_a_normalisation_l1_counts(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["residual"]
    group = group_of(network, "dense1")
    assert not has_norm(network, group)
    scores = [scorer(name, network, [group], new_context(network))(group) for name in ("bn_scale", "l1")]
    assert torch.equal(*scores)


def test_every_criterion_rates_every_channel(network: nn.Module, new_context: Callable[..., Any]) -> None:
    network = deepcopy(network)
    groups = [group for group in channel_groups(network, SHAPE) if not group.fixed]
    for criterion in CRITERIA:
        score = scorer(criterion, network, groups, new_context(network))
        for group in groups:
            found = score(group)
            assert found.shape == (group.size,)
            assert found.isfinite().all() and (found >= 0).all() and found.unique().numel() > 1
