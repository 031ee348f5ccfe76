"""The doubles answer as they say: users build tests of their own on them."""

import pickle
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import (
    BASELINE,
    EFFECTS,
    Effect,
    Replay,
    Residual,
    World,
    bars,
    bars_world,
    made_up_metrics,
    made_up_replay,
    sequential,
)
from atoll.testing.worlds import INPUT_SHAPE
from torch import nn


def asked(replay: Replay, text: str) -> dict[str, Any]:
    return replay(SimpleNamespace(recipe=Recipe.parse(text))).metrics.to_json()


def test_a_table_comes_before_effects() -> None:
    known = made_up_metrics(quality=0.25)
    replay = Replay({"baseline": BASELINE, "binarize": known}, {"binarize": Effect(0.5, 0.01)})
    assert asked(replay, "binarize")["quality"] == 0.25
    assert asked(replay, "baseline") == BASELINE.to_json()


def test_effects_multiply_sizes_and_add_drops_by_position() -> None:
    replay = Replay({"baseline": BASELINE}, {"tucker": Effect(0.5, 0.01), "quantize": Effect(0.25, 0.0)})
    one, two = asked(replay, "tucker(rank=0.5)"), asked(replay, "quantize(bits=8) -> tucker(rank=0.5)")
    assert one["quality"] == pytest.approx(BASELINE.quality - 0.01)
    assert two["quality"] == pytest.approx(BASELINE.quality - 0.011)  # the second step takes a tenth more
    for name in ("model_bytes", "macs", "latency_ms", "peak_memory_bytes_high"):
        assert one[name] == pytest.approx(getattr(BASELINE, name) / 2, rel=1e-6)
        assert two[name] == pytest.approx(getattr(BASELINE, name) / 8, rel=1e-6)


def test_what_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(AtollError, match=r"the table of 1 results has no 'svd\(rank="):
        asked(Replay({"baseline": BASELINE}), "svd(rank=8)")


def test_it_goes_to_another_process() -> None:
    replay = pickle.loads(pickle.dumps(made_up_replay(0.0)))
    assert replay == made_up_replay()
    assert set(replay.effects) == set(EFFECTS)


def test_bars_are_where_the_label_says() -> None:
    images, labels = bars(64, seed=1)
    assert (images.shape, images.dtype, labels.dtype) == ((64, 1, 16, 16), torch.float32, torch.int64)
    assert images.min() >= -1 and images.max() <= 1
    brightest = images.reshape(64, 4, 4 * 16).mean(dim=2).argmax(dim=1)  # four stripes of four rows
    assert torch.equal(brightest, labels)
    assert torch.equal(bars(64, seed=1)[0], images)


@pytest.mark.parametrize("build", [sequential, Residual])
def test_a_tiny_network_learns_in_its_world(build: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network, world = adopt(build(), INPUT_SHAPE), bars_world(epochs=6)
    before = world.loss(network)
    world.fit(network)
    assert world.loss(network) < before / 2
    assert world.epochs_left == 0


def test_a_world_keeps_an_account_and_says_what_it_lacks() -> None:
    world = World(*bars(8, seed=0), None, epochs=1)
    with pytest.raises(AtollError, match=r"got 2 epochs, allowed are the 1 left"):
        world.fit(nn.Identity(), epochs=2)
    with pytest.raises(AtollError, match="this world has no teacher"):
        world.bigger_teacher()
    assert (world.input_shape, world.num_classes) == (INPUT_SHAPE, 4)
    images, labels = world.examples(5)
    assert torch.equal(images, world.images(5)) and len(labels) == 5


def test_a_step_is_carried_out_in_it() -> None:
    torch.manual_seed(0)
    network = adopt(sequential(), INPUT_SHAPE).eval()
    (step,) = Recipe.parse("prune_channels(ratio=0.5)")
    smaller, decisions = step.apply(network, bars_world(network))
    assert sum(p.numel() for p in smaller.parameters()) < sum(p.numel() for p in network.parameters())
    assert decisions
