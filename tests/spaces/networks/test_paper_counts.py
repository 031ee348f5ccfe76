"""The zoo's networks against the figures that the papers print."""

import pytest
import torch
from atoll.spaces.networks import build_network
from torch import nn


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
    assert sum(printed_parameters(module) for module in model.modules()) == parameters


def printed_parameters(module: nn.Module) -> int:
    """A row of the table; a BatchNorm has beta, mean and variance there (Keras with scale off)."""
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return 3 * module.num_features
    return sum(parameter.numel() for parameter in module.parameters(recurse=False))
