"""Normalisations behind poolings: the same result, fewer elements."""

import pytest
import torch
from atoll.hw_models.layer_table import layer_table
from atoll.hw_models.run_order import run_order
from atoll.spaces.graph import trace
from atoll.spaces.layers.structure import adopt
from atoll.spaces.networks import build_network
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

SHAPE = (3, 16, 16)


def network(scale_is_fixed=True, behind=nn.MaxPool2d):
    norm = nn.BatchNorm2d(4)
    norm.weight.requires_grad_(not scale_is_fixed)
    return adopt(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), norm, behind(2)), SHAPE).eval()


def kinds(model):
    return [operation.kind for operation in run_order(trace(model, SHAPE)).operations[1:-1]]


def test_a_rising_norm_goes_behind_its_pooling():
    assert kinds(network()) == ["layer", "relu", "max_pool", "norm"]


@pytest.mark.parametrize("model", [network(scale_is_fixed=False), network(behind=nn.AvgPool2d)])
def test_other_norms_and_poolings_stay(model):
    assert kinds(model)[2] == "norm"


def test_a_scale_that_falls_stays():
    model = network()
    with torch.no_grad():
        model[2].weight[1] = -1.0
    assert kinds(model)[2] == "norm"


def test_the_papers_network_normalises_a_quarter_of_its_elements():
    model = adopt(build_network("baseline_cnn", 11, (3, 64, 64)), (3, 64, 64))

    def norms(as_written):
        rows = layer_table(model, (3, 64, 64), as_written=as_written).rows
        return [row.cost.output_elements for row in rows if row.cost.kind == "norm"]

    written, run = norms(True), norms(False)
    assert written == [64 * 64 * 32, 32 * 32 * 64, 16 * 16 * 64]
    assert run == [32 * 32 * 32, 16 * 16 * 64, 16 * 16 * 64]


@given(
    gain=st.floats(1e-3, 1e3),
    shift=st.floats(-1e3, 1e3),
    values=st.lists(st.integers(-128, 127), min_size=1, max_size=9),
)
def test_a_maximum_commutes_with_rounding_to_another_grid(gain, shift, values):
    """The property that the order rests on."""

    def moved(value):
        return max(-128, min(127, round(gain * value + shift)))

    assert moved(max(values)) == max(moved(value) for value in values)
