"""The zoo's networks against the figures that the papers print."""

import pytest
import torch
from atoll.spaces.networks import build_network
from atoll.spaces.networks.paper_counts import count_flops_as_papers, count_parameters_as_papers


@pytest.mark.parametrize(
    ("name", "num_classes", "parameters"),
    [
        ("baseline_cnn", 11, 1_106_176),  # PUB-I table 1, sum of its rows
        ("baseline_cnn", 35, 1_107_712),  # PUB-III
        ("compact_cnn", 11, 277_120),  # THESIS table 3, sum of its rows
    ],
)
def test_parameters_are_those_of_the_papers(name: str, num_classes: int, parameters: int) -> None:
    with torch.device("meta"):
        model = build_network(name, num_classes, (3, 64, 64))
    assert count_parameters_as_papers(model) == parameters


def test_flops_are_those_of_the_papers() -> None:
    with torch.device("meta"):
        model = build_network("baseline_cnn", 11, (3, 64, 64))
    assert count_flops_as_papers(model, (3, 64, 64)) == 66_438_603  # published as 66.44 MFLOP
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
