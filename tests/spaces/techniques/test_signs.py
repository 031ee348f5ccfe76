"""What binarization and ternarization promise by themselves, by hand."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.structure import named_factors, named_layers
from atoll.spaces.layers.ternary import Ternary
from atoll.spaces.recipes.order import refusal
from atoll.spaces.recipes.recipe import Recipe
from torch import nn

Carry = Callable[..., tuple[nn.Module, dict[str, Any]]]
NEVER_NEGATIVE = "its input is never negative, as behind a ReLU: its sign says nothing"


def kinds(network: nn.Module) -> dict[str, list[str]]:
    return {name: list(factor.constraints) for name, factor in named_factors(network)}


def signed(network: nn.Module) -> list[str]:
    return [name for name, layer in named_layers(network) if layer.input_sign is not None]


# Three values ----------------------------------------------------------------------------------------


def test_all_but_first_and_last_layer_become_ternary(carry_out: Carry, trained: dict[str, nn.Module]) -> None:
    network, decisions = carry_out("ternarize(threshold=0.5)")
    assert kinds(network) == {
        "conv1.weight": [],
        "conv2.weight": ["ternary"],
        "dense1.weight": ["ternary"],
        "dense2.weight": [],
    }
    assert decisions["left_alone"] == {
        "conv1": "the network's first layer stays as it is (first_last=keep)",
        "dense2": "the network's last layer stays as it is (first_last=keep)",
    }
    before = dict(named_factors(trained["sequential"]))["conv2.weight"].effective()
    after = dict(named_factors(network))["conv2.weight"].effective()
    limit = 0.5 * before.abs().mean((1, 2, 3), keepdim=True)
    assert torch.equal(after.sign(), before.sign() * (before.abs() > limit))


def test_first_and_last_too_where_asked(carry_out: Carry) -> None:
    network, decisions = carry_out("ternarize(first_last=ternary)")
    assert all(found == ["ternary"] for found in kinds(network).values())
    assert decisions["left_alone"] == {}


def test_layers_of_signs_are_left_alone(carry_out: Carry) -> None:
    network, decisions = carry_out("binarize(layers=dense1) -> ternarize")
    assert kinds(network)["dense1.weight"] == ["binary"]
    assert kinds(network)["conv2.weight"] == ["ternary"]
    assert decisions["left_alone"]["dense1"] == "its weights are signs: they take two values only"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("binarize -> ternarize", "can take only 2 values already"),
        ("ternarize -> quantize(bits=4)", "can take only 3 values already"),
        ("ternarize -> binarize", None),
        ("ternarize -> quantize(bits=2)", None),
        ("quantize(bits=8) -> ternarize", None),
        ("ternarize -> cluster(clusters=8)", None),
        ("binarize(weights=keep, activations=binary) -> ternarize", None),
        ("binarize(weights=keep, activations=binary) -> quantize", None),
        ("cluster(codebook_bits=4) -> quantize(bits=8)", "can take only 15 values already"),
        ("cluster(codebook_bits=8) -> quantize(bits=8)", None),
        ("cluster -> quantize(bits=8)", None),
    ],
)
def test_orders(text: str, reason: str | None) -> None:
    found = refusal(Recipe.parse(text).steps)
    assert found is None if reason is None else reason in str(found)


def test_signs_drop_three_values_and_say_so(carry_out: Carry) -> None:
    network, decisions = carry_out("ternarize -> binarize")
    assert kinds(network)["conv2.weight"] == ["binary"]
    assert decisions["fates"] == {"conv2": [["ternary", "dropped"]], "dense1": [["ternary", "dropped"]]}
    assert (dict(named_factors(network))["conv2.weight"].effective() != 0).all()


def test_shared_values_have_one_step(carry_out: Carry) -> None:
    network, _ = carry_out("cluster(clusters=8) -> ternarize")
    factor = dict(named_factors(network))["dense1.weight"]
    ternary = factor.find(Ternary)
    assert ternary is not None
    assert not ternary.per_channel
    assert factor.effective().unique().numel() == 3


def test_of_ternary_weights_zeros_go_first_and_then_those_with_small_weights_under_them(
    carry_out: Carry,
) -> None:
    ternary, _ = carry_out("ternarize")
    factor = dict(named_factors(ternary))["conv2.weight"]
    share = float((factor.effective() == 0).float().mean())
    assert factor.raw is not None
    for ratio in (round(share - 0.1, 2), round(share + 0.2, 2)):
        pruned, _ = carry_out(f"prune_weights(ratio={ratio})", ternary)
        after = dict(named_factors(pruned))["conv2.weight"].effective()
        gone = (after == 0) & (factor.effective() != 0)
        if ratio < share:
            assert not gone.any()
        else:
            assert factor.raw.abs()[after != 0].min() >= factor.raw.abs()[gone].max()


def test_the_cores_of_a_ternary_layer_are_ternary(carry_out: Carry) -> None:
    network, _ = carry_out("ternarize -> tensor_train(fit_steps=0)")
    cores = [found for name, found in kinds(network).items() if name.startswith("dense1.")]
    assert len(cores) > 1
    assert all(found == ["ternary"] for found in cores)


# Signs of activations --------------------------------------------------------------------------------


def test_inputs_become_signs_but_the_first_and_the_last(carry_out: Carry) -> None:
    network, decisions = carry_out("binarize(activations=binary)")
    assert signed(network) == ["conv2", "dense1"]
    assert kinds(network)["conv2.weight"] == ["binary"]
    assert list(decisions["left_alone"]) == ["conv1", "dense2"]
    assert decisions["inputs_left_alone"] == {}
    assert "no runtime of ours has a binary kernel" in decisions["note"]


def test_the_images_stay_as_they_are_whatever_is_asked(carry_out: Carry) -> None:
    network, decisions = carry_out("binarize(activations=binary, first_last=binary)")
    assert signed(network) == ["conv2", "dense1", "dense2"]
    assert decisions["left_alone"] == {}
    assert decisions["inputs_left_alone"] == {"conv1": "the network's input stays as it is"}


def test_activations_alone(carry_out: Carry, trained: dict[str, nn.Module]) -> None:
    network, decisions = carry_out("binarize(weights=keep, activations=binary, threshold=0.5)")
    assert not any(kinds(network).values())
    assert signed(network) == ["conv2", "dense1"]
    layer = dict(named_layers(network))["conv2"]
    assert layer.input_sign is not None
    assert layer.input_sign.threshold == 0.5
    assert list(decisions["left_alone"]) == ["conv1", "dense2"]
    before = dict(named_factors(trained["sequential"]))
    assert all(torch.equal(f.effective(), before[name].effective()) for name, f in named_factors(network))


def test_weights_alone_say_nothing_of_activations(carry_out: Carry) -> None:
    network, decisions = carry_out("binarize")
    assert signed(network) == []
    assert set(decisions) == {"structure", "fates", "left_alone"}


def test_a_layer_behind_a_relu_keeps_its_input(carry_out: Carry, trained: dict[str, nn.Module]) -> None:
    network, decisions = carry_out("binarize(activations=binary)", trained["residual"])
    assert signed(network) == []
    inner = ("depthwise", "pointwise", "dense1")
    assert decisions["inputs_left_alone"] == dict.fromkeys(inner, NEVER_NEGATIVE)
    text = "binarize(weights=keep, activations=binary)"
    _, decisions = carry_out(text, trained["residual"])
    assert {name: decisions["left_alone"][name] for name in inner} == dict.fromkeys(inner, NEVER_NEGATIVE)


def test_nothing_to_binarize_is_refused(carry_out: Carry) -> None:
    with pytest.raises(AtollError, match="got weights=keep and activations=keep, allowed is that one"):
        carry_out("binarize(weights=keep)")


def test_signs_survive_a_decomposition_and_the_fit_sees_them(carry_out: Carry) -> None:
    network, fitted = carry_out("binarize(weights=keep, activations=binary) -> tensor_train(rank=4)")
    assert signed(network) == ["conv2", "dense1"]
    _, plain = carry_out("binarize(weights=keep, activations=binary) -> tensor_train(rank=4, fit_steps=0)")
    assert fitted["relative_error"]["dense1"] < 0.7 * plain["relative_error"]["dense1"]


def test_a_network_with_binary_weights_and_activations_learns(new_context: Callable[..., Any]) -> None:
    """XNOR-Net's order of layers: normalisation, sign, binary convolution."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = adopt(
            nn.Sequential(
                OrderedDict(
                    stem=nn.Conv2d(1, 8, 3, 2, 1),
                    norm=nn.BatchNorm2d(8),
                    binary=nn.Conv2d(8, 16, 3, 2, 1),
                    norm2=nn.BatchNorm2d(16),
                    flatten=nn.Flatten(),
                    head=nn.Linear(256, 4),
                )
            ),
            (1, 16, 16),
        )
    context = new_context(None, epochs=20)
    (step,) = Recipe.parse("binarize(activations=binary)")
    network, _ = step.apply(network, context)
    before = context.loss(network)
    context.fit(network)
    assert context.loss(network) < 0.2 * before
