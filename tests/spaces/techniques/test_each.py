"""What each technique promises by itself, by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.binary import Binary
from atoll.spaces.layers.factor import Factor
from atoll.spaces.layers.structure import named_factors, named_layers
from atoll.spaces.layers.tt_dense import TTDense
from atoll.spaces.networks import build_network
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques.prune_channels import PruneChannels
from torch import nn

Carry = Callable[..., tuple[nn.Module, dict[str, Any]]]


def factor_of(network: nn.Module, name: str) -> Factor:
    return dict(named_factors(network))[name]


# Pruning ---------------------------------------------------------------------------------------------


def test_the_smallest_weights_of_every_layer_go(carry_out: Carry, trained: dict[str, nn.Module]) -> None:
    pruned, _ = carry_out("prune_weights(ratio=0.9)")
    for name, factor in named_factors(trained["sequential"]):
        before, after = factor.effective(), factor_of(pruned, name).effective()
        kept = before.numel() - round(0.9 * before.numel())
        threshold = before.abs().flatten().sort(descending=True).values[kept - 1]
        assert torch.equal(after, before * (before.abs() >= threshold))


def test_pruning_less_later_brings_nothing_back(carry_out: Carry) -> None:
    text = "prune_weights(ratio=0.9) -> quantize(bits=8) -> prune_weights(ratio=0.5)"
    pruned, _ = carry_out(text)
    for _, factor in named_factors(pruned):
        assert factor.nonzero() <= factor.shape.numel() - round(0.9 * factor.shape.numel())


def test_of_signs_those_with_small_weights_under_them_go(carry_out: Carry) -> None:
    binary, _ = carry_out("binarize")
    pruned, _ = carry_out("prune_weights(ratio=0.5)", binary)
    raw = factor_of(binary, "conv2.weight").raw
    after = factor_of(pruned, "conv2.weight").effective()
    assert raw is not None
    assert raw.abs()[after != 0].min() >= raw.abs()[after == 0].max()


@pytest.mark.parametrize(
    ("ratio", "multiple", "size", "kept"),
    [
        (0.5, 8, 64, 32),
        (0.5, 8, 20, 8),  # 10 lies nearer to 8 than to 16
        (0.25, 8, 64, 48),
        (0.75, 8, 16, 8),  # never less than one multiple
        (0.9, 1, 4, 1),
        (0.5, 16, 8, 8),
        (0.01, 8, 23, 23),  # rounded up to 24, but there are 23
        (0.5, 4, 3, 3),
    ],
)
def test_kept_channels_are_rounded(ratio: float, multiple: int, size: int, kept: int) -> None:
    assert PruneChannels(ratio=ratio, multiple=multiple).kept_count(size) == kept


def test_channels_go_everywhere_at_once(carry_out: Carry, trained: dict[str, nn.Module]) -> None:
    pruned, decisions = carry_out("prune_channels(ratio=0.5)", trained["residual"])
    sizes = {name: (layer.inputs, layer.outputs) for name, layer in named_layers(pruned)}
    assert sizes == {
        "stem": (1, 8),
        "depthwise": (8, 8),
        "pointwise": (8, 8),
        "dense1": (128, 32),
        "dense2": (32, 4),
    }
    assert decisions["left_alone"] == {"dense2": "the network's output"}


def test_channels_of_a_decomposed_layer_under_constraints_say_what_was_dropped(carry_out: Carry) -> None:
    text = "tensor_train(fit_steps=0) -> prune_weights -> quantize -> prune_channels(ratio=0.5)"
    pruned, decisions = carry_out(text)
    train = pruned.get_submodule("dense1")
    assert isinstance(train, TTDense)
    assert (train.inputs, train.outputs) == (128, 32)
    assert decisions["fates"]["dense1"] == [["mask", "dropped"], ["grid", "imposed anew"]]
    for factor in train.factors().values():
        assert [spec["kind"] for spec in factor.spec()] == ["grid"]
    assert decisions["fates"]["conv2"] == [["mask", "carried over"], ["grid", "carried over"]]


# Tensor trains ---------------------------------------------------------------------------------------


def test_the_papers_modes_go_to_the_papers_layer() -> None:
    """PUB-II TT-V on the papers' network: modes where they multiply up, automatic elsewhere."""
    network = adopt(build_network("baseline_cnn", 35, (3, 64, 64)), (3, 64, 64))
    (step,) = Recipe.parse("tensor_train(rank=4, in_dims=16x8x16x8, out_dims=4x2x4x2)")
    planned = step.plan(network)
    trains = {name: layer for name, layer in named_layers(planned) if isinstance(layer, TTDense)}
    assert {name: (t.in_modes, t.out_modes, t.ranks) for name, t in trains.items()} == {
        "classifier.dense1": ((16, 8, 16, 8), (4, 2, 4, 2), (1, 4, 4, 4, 1))
    }
    smaller = step.plan(adopt(build_network("baseline_cnn", 35, (3, 32, 32)), (3, 32, 32)))
    train = smaller.get_submodule("classifier.dense1")
    assert isinstance(train, TTDense)
    assert (train.in_modes, train.out_modes) == ((8, 8, 8, 8), (4, 4, 2, 2))


def test_modes_that_do_not_fit_a_layer_are_told(carry_out: Carry) -> None:
    _, decisions = carry_out("tensor_train(in_dims=16x8x16x8, out_dims=4x2x4x2, fit_steps=0)")
    assert decisions["automatic_modes"] == {
        "dense1": "its weights are 256 x 64, the named sizes make 16384 x 64"
    }
    for text in ("in_dims=16x16, out_dims=8x8", "in_dims=auto, out_dims=auto"):
        assert "automatic_modes" not in carry_out(f"tensor_train({text}, fit_steps=0)")[1]


def test_small_layers_are_left_alone(carry_out: Carry) -> None:
    _, decisions = carry_out("tensor_train(rank=4, fit_steps=0)")
    assert decisions["left_alone"] == {
        "conv1": "is a convolution, and kinds=dense",
        "conv2": "is a convolution, and kinds=dense",
        "dense2": "has 256 weights: too few, allowed are 4096 and more",
    }
    assert list(decisions["relative_error"]) == ["dense1"]


def test_a_train_that_would_not_be_half_as_large_is_left_alone(carry_out: Carry) -> None:
    network, decisions = carry_out("tensor_train(rank=64, fit_steps=0)")
    assert decisions["relative_error"] == {}
    assert not any(isinstance(layer, TTDense) for _, layer in named_layers(network))


def test_the_fit_comes_nearer_than_the_decomposition(carry_out: Carry) -> None:
    for before in ("", "quantize(bits=8) -> ", "quantize(bits=2) -> ", "binarize -> "):
        _, plain = carry_out(before + "tensor_train(rank=4, fit_steps=0)")
        _, fitted = carry_out(before + "tensor_train(rank=4)")
        assert fitted["relative_error"]["dense1"] < 0.7 * plain["relative_error"]["dense1"]


# Numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("quantize(bits=8)", [8, 8, 8, 8]),
        ("quantize(bits=4)", [8, 4, 4, 8]),
        ("quantize(bits=2, first_last=same)", [2, 2, 2, 2]),
        ("quantize(bits=2, first_last=float)", [None, 2, 2, None]),
        ("binarize", [None, 1, 1, None]),
        ("binarize(first_last=binary)", [1, 1, 1, 1]),
        ("quantize(bits=8) -> binarize", [8, 1, 1, 8]),
        ("binarize -> tensor_train(fit_steps=0)", [None, 1, 1, 1, None]),
    ],
)
def test_first_and_last_layer_are_kept_as_asked(carry_out: Carry, text: str, bits: list[int | None]) -> None:
    network, _ = carry_out(text)
    assert [factor.grid_bits for _, factor in named_factors(network)] == bits


def test_signs_have_a_step_for_every_channel(carry_out: Carry, trained: dict[str, nn.Module]) -> None:
    binary, _ = carry_out("binarize")
    before = factor_of(trained["sequential"], "conv2.weight").effective()
    after = factor_of(binary, "conv2.weight")
    assert after.find(Binary) is not None
    step = before.abs().mean(dim=(1, 2, 3), keepdim=True)
    assert torch.allclose(after.effective(), torch.where(before >= 0, step, -step))


def test_clusters_share_values_and_leave_small_layers_alone(carry_out: Carry) -> None:
    clustered, _ = carry_out("cluster(clusters=64)")
    distinct = {name: factor.effective().unique().numel() for name, factor in named_factors(clustered)}
    assert distinct == {"conv1.weight": 144, "conv2.weight": 64, "dense1.weight": 64, "dense2.weight": 64}


def test_zeros_stay_apart_from_the_shared_values(carry_out: Carry) -> None:
    clustered, _ = carry_out("prune_weights(ratio=0.5) -> cluster(clusters=8)")
    weight = factor_of(clustered, "dense1.weight").effective()
    assert weight.unique().numel() == 9
    assert int((weight == 0).sum()) == weight.numel() // 2


# Distillation ----------------------------------------------------------------------------------------


def test_distillation_needs_a_teacher(trained: dict[str, nn.Module], new_context: Callable[..., Any]) -> None:
    (step,) = Recipe.parse("distill")
    with pytest.raises(AtollError, match="there is no teacher"):
        step.apply(trained["sequential"], new_context(None))


def test_the_student_is_cut_out_of_a_network_of_its_make(new_context: Callable[..., Any]) -> None:
    network = adopt(build_network("baseline_cnn", 4, (1, 16, 16)), (1, 16, 16)).eval()
    (step,) = Recipe.parse("distill(student=compact_cnn)")
    context = new_context(network, epochs=0)
    student, decisions = step.apply(network, context)
    assert decisions["cut_from_given_network"]
    kept = student.get_submodule("features.conv1").output_rows()
    theirs = network.get_submodule("features.conv1").output_rows()
    assert all((row == theirs).flatten(1).all(1).any() for row in kept)


def test_the_network_moves_towards_its_teacher(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    teacher = trained["sequential"]
    damaged, _ = Recipe.parse("prune_weights(ratio=0.9)").steps[0].apply(teacher, new_context(teacher))
    context = new_context(teacher, epochs=15)
    learned, _ = Recipe.parse("distill(alpha=0.0)").steps[0].apply(damaged, context)
    images = context.images(128)
    with torch.no_grad():
        wanted = teacher.eval()(images)
        before = (damaged.eval()(images) - wanted).square().mean()
        after = (learned.eval()(images) - wanted).square().mean()
    assert after < 0.5 * before


# Signs -----------------------------------------------------------------------------------------------


def test_binarizing_nothing_is_refused() -> None:
    with pytest.raises(AtollError, match="got weights=keep and activations=keep, allowed is that one of"):
        Recipe.parse("binarize(weights=keep)")
