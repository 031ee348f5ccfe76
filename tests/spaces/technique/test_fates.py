"""What became of constraints, read off two networks."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.technique.fates import fates
from torch import nn


def carried_out(network: nn.Module, text: str, context: Any) -> nn.Module:
    for step in Recipe.parse(text):
        network, _ = step.apply(network, context)
    return network


def test_copies_share_their_constraints(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = carried_out(trained["sequential"], "prune_weights -> quantize", new_context(None))
    assert fates(network, deepcopy(network)) == {}


def test_slices_are_carried_over_factors_imposed_anew_and_masks_dropped(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    before = carried_out(trained["sequential"], "prune_weights -> quantize", new_context(None))
    context = new_context(trained["sequential"])
    pruned = carried_out(before, "prune_channels", context)
    carried = [["mask", "carried over"], ["grid", "carried over"]]
    assert fates(before, pruned) == dict.fromkeys(("conv1", "conv2", "dense1", "dense2"), carried)
    train = carried_out(before, "tensor_train(fit_steps=0)", context)
    assert fates(before, train) == {"dense1": [["mask", "dropped"], ["grid", "imposed anew"]]}


def test_zeros_that_stay_are_carried_over_scales_that_are_shared_are_new(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    context = new_context(trained["sequential"])
    before = carried_out(trained["sequential"], "prune_weights(ratio=0.5) -> quantize", context)
    assert fates(before, carried_out(before, "prune_weights(ratio=0.75)", context)) == {}
    clustered = fates(before, carried_out(before, "cluster(clusters=8)", context))
    assert clustered["conv2"] == [["grid", "imposed anew"]]


def test_a_student_drops_everything(trained: dict[str, nn.Module], new_context: Callable[..., Any]) -> None:
    before = carried_out(trained["sequential"], "quantize", new_context(None))
    assert fates(before, nn.Sequential())["conv1"] == [["grid", "dropped"]]
