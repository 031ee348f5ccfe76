"""The zoo: names, shapes, what is trainable, where randomness comes from."""

import pytest
import torch
from atoll.spaces.errors import AtollError
from atoll.spaces.networks import build_network
from torch import nn


@pytest.mark.parametrize("name", ["baseline_cnn", "compact_cnn"])
@pytest.mark.parametrize("input_shape", [(3, 64, 64), (1, 32, 32), (2, 8, 12)])
def test_gives_one_logit_a_class(name: str, input_shape: tuple[int, int, int]) -> None:
    model = build_network(name, 7, input_shape).eval()
    with torch.no_grad():
        assert model(torch.zeros(3, *input_shape)).shape == (3, 7)


def test_layers_stand_in_the_papers_order_under_stable_names() -> None:
    model = build_network("baseline_cnn", 35, (3, 64, 64))
    names = [name for name, module in model.named_modules() if not list(module.children())]
    assert names == [
        *(f"features.{kind}{n}" for n in (1, 2) for kind in ("conv", "relu", "bn", "pool")),
        *("features.conv3", "features.relu3", "features.bn3"),
        *("classifier.flatten", "classifier.dense1", "classifier.bn4", "classifier.dense2"),
    ]
    assert model.get_submodule("classifier.dense1").weight.shape == (64, 16384)


def test_batch_norm_scale_is_fixed_at_one() -> None:
    norms = [
        m
        for m in build_network("compact_cnn", 11, (3, 64, 64)).modules()
        if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)
    ]
    assert len(norms) == 4
    for norm in norms:
        assert not norm.weight.requires_grad and bool((norm.weight == 1).all())
        assert norm.bias.requires_grad


def test_weights_come_from_the_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = build_network("compact_cnn", 5, (1, 8, 8), torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    same = build_network("compact_cnn", 5, (1, 8, 8), torch.Generator().manual_seed(3))
    other = build_network("compact_cnn", 5, (1, 8, 8), torch.Generator().manual_seed(4))
    assert torch.equal(one.features.conv1.weight, same.features.conv1.weight)
    assert not torch.equal(one.features.conv1.weight, other.features.conv1.weight)


def test_unknown_network_names_the_nearest() -> None:
    with pytest.raises(
        AtollError, match=r"unknown network 'baselin_cnn'.*did you mean 'baseline_cnn'.*compact_cnn"
    ):
        build_network("baselin_cnn", 10, (3, 64, 64))


@pytest.mark.parametrize("shape", [(3, 30, 32), (3, 32, 30), (0, 32, 32), (3, 0, 32)])
def test_input_shape_must_be_divisible(shape: tuple[int, int, int]) -> None:
    with pytest.raises(AtollError, match="multiples of 4"):
        build_network("baseline_cnn", 10, shape)


def test_a_classifier_needs_two_classes() -> None:
    with pytest.raises(AtollError, match=r"num_classes is 1; .* at least 2"):
        build_network("baseline_cnn", 1, (3, 64, 64))
