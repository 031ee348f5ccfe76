"""NNI's criteria against plain loops, and ours against NNI's."""

import subprocess
import sys

import pytest
import torch
from atoll.spaces.kernels.importance import channel_l1
from atoll.spaces.kernels.nni_criteria import channel_geometric_median, channel_l2, nni_scores
from torch import Tensor

SHAPES = [(6, 4, 3, 3), (5, 7), (1, 3), (8, 1, 3, 3)]


def a_weight(shape: tuple[int, ...]) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


def over_mean(scores: list[float]) -> Tensor:
    mean = sum(scores) / len(scores)
    return torch.tensor([score / max(mean, 1e-12) for score in scores])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_our_l1_is_that_of_nni(shape: tuple[int, ...]) -> None:
    weight = a_weight(shape)
    assert torch.allclose(channel_l1(weight), nni_scores("L1NormPruner", weight))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_l2_is_the_root_of_the_sum_of_squares(shape: tuple[int, ...]) -> None:
    weight = a_weight(shape)
    expected = [sum(float(w) ** 2 for w in row.flatten()) ** 0.5 for row in weight]
    assert torch.allclose(channel_l2(weight), over_mean(expected))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_geometric_median_sums_distances_to_all_others(shape: tuple[int, ...]) -> None:
    weight = a_weight(shape)
    expected = [sum(float((row - other).square().sum()) ** 0.5 for other in weight) for row in weight]
    assert torch.allclose(channel_geometric_median(weight), over_mean(expected))


def test_a_layer_without_weights_scores_zero() -> None:
    for score in (channel_l2, channel_geometric_median):
        assert not score(torch.zeros(3, 2)).any()


def test_the_weight_stays_as_it_is() -> None:
    weight = a_weight((4, 3))
    kept = weight.clone()
    channel_l2(weight.requires_grad_())
    assert torch.equal(weight, kept)
    assert weight.grad is None


@pytest.mark.slow
def test_nni_says_nothing() -> None:
    """Results go to the standard output; the warnings of the import are harmless and would alarm."""
    code = (
        "import torch; from atoll.spaces.kernels.nni_criteria import channel_l2; channel_l2(torch.ones(2, 2))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
