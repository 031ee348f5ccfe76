"""Normalisations behind poolings: the same result, fewer elements."""

import numpy as np
import pytest
import torch
from atoll.evaluators.litert import lower as lower_module
from atoll.evaluators.litert.inspect import operator_names
from atoll.evaluators.litert.lower import lower
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.measuring.artifact import model_bytes
from atoll.hw_models.tables.network_table import layer_table
from atoll.hw_models.tables.run_order import run_order
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.graph.reading import trace
from atoll.spaces.layers.norm import Norm
from atoll.spaces.layers.structure import to_meta
from atoll.spaces.networks import build_network
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing.random_images import RandomImages
from torch import nn

SHAPE = (3, 16, 16)


def network(scale_is_fixed=True, behind=nn.MaxPool2d, scale=1.0):
    norm = nn.BatchNorm2d(4)
    nn.init.constant_(norm.weight[1:2], scale)
    norm.weight.requires_grad_(not scale_is_fixed)
    return adopt(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), norm, behind(2)), SHAPE).eval()


def kinds(model):
    return [operation.kind for operation in run_order(trace(model, SHAPE)).operations[1:-1]]


def test_a_rising_norm_goes_behind_its_pooling():
    assert kinds(network()) == ["layer", "relu", "max_pool", "norm"]


@pytest.mark.parametrize("model", [network(scale_is_fixed=False), network(behind=nn.AvgPool2d)])
def test_other_norms_and_poolings_stay(model):
    assert kinds(model)[2] == "norm"


@pytest.mark.parametrize("scale", [-1.0, 0.0, float("nan")])
def test_a_fixed_scale_that_does_not_rise_stays_in_plan_and_file(scale):
    model = network(scale=scale)
    plan, again = to_meta(model), Norm.from_spec(model[2].spec(), torch.device("meta"))
    assert kinds(model) == kinds(plan) == ["layer", "relu", "norm", "max_pool"]
    assert not again.rising
    assert model_bytes(plan, SHAPE) == len(lower(model, SHAPE))


def test_only_a_scale_that_falls_is_told_in_the_structure():
    assert "falls" not in network()[2].spec()
    assert "falls" not in network(scale_is_fixed=False, scale=-1.0)[2].spec()
    assert network(scale=-1.0)[2].spec()["falls"] is True


def test_the_papers_network_normalises_a_quarter_of_its_elements():
    model = adopt(build_network("baseline_cnn", 11, (3, 64, 64)), (3, 64, 64))

    def norms(as_written):
        rows = layer_table(model, (3, 64, 64), as_written=as_written).rows
        return [row.cost.output_elements for row in rows if row.cost.kind == "norm"]

    written, run = norms(True), norms(False)
    assert written == [64 * 64 * 32, 32 * 32 * 64, 16 * 16 * 64]
    assert run == [32 * 32 * 32, 16 * 16 * 64, 16 * 16 * 64]


@pytest.mark.parametrize("text", ["baseline", "quantize(bits=8)"])
def test_a_file_gives_the_same_bits_in_either_order(text, monkeypatch):
    """A maximum commutes with what rises, rounding included: in float and on grids that were observed."""
    torch.manual_seed(0)
    model = network()
    with torch.no_grad():
        model[2].running_mean.uniform_(-0.3, 0.3)
        model[2].running_var.uniform_(0.1, 2.0)
        model[2].bias.normal_()
    for step in Recipe.parse(text):
        model, _ = step.apply(model, RandomImages(SHAPE, 4))
    images = np.random.default_rng(0).uniform(-1, 1, (20, 16, 16, 3)).astype(np.float32)
    run_first = lower(model.eval(), SHAPE)
    monkeypatch.setattr(lower_module, "run_order", lambda graph: graph)
    as_written = lower(model, SHAPE)
    assert operator_names(run_first) != operator_names(as_written)
    assert sorted(operator_names(run_first)) == sorted(operator_names(as_written))
    found, expected = (LiteRtRunner(content).run(images) for content in (run_first, as_written))
    assert len(np.unique(expected)) > 30
    np.testing.assert_array_equal(found, expected)
