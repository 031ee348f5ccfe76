"""Figures of a network against counts by hand, and prices before training against what training gave."""

from collections.abc import Callable
from pathlib import Path
from typing import get_type_hints

import pytest
import torch
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.evaluators.measuring.measure import nonzero_parameter_count, parameter_count, payload_bytes, price
from atoll.evaluators.ranking.constraints import Constraint
from atoll.evaluators.ranking.metrics import Metrics, PlanFigures
from atoll.evaluators.steps.evaluate import price_recipe
from atoll.evaluators.steps.pipeline import Pipeline
from atoll.evaluators.steps.pipeline_result import PipelineResult
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.tasks.given_network import given_network
from atoll.evaluators.tasks.task import Task
from atoll.hw_models.devices.device import Device
from atoll.hw_models.tables.planned import planned
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.structure import input_shape_of, named_factors, to_meta
from atoll.spaces.recipes.recipe import Recipe
from torch import nn

DEVICE = "coral-dev-board"
# The compact network on 1x8x8 with ten classes: three convolutions, two dense layers.
WEIGHTS = (1 * 16 * 9, 16 * 32 * 9, 32 * 32 * 9, 32 * 2 * 2 * 32, 32 * 10)
OUTPUTS = 16 + 32 + 32 + 32 + 10
BIASES = 32  # of the third convolution
NORM_CHANNELS = 16 + 32 + 32 + 32
OTHERS = BIASES + 2 * NORM_CHANNELS  # a scale and a shift a channel

Run = Callable[[str], PipelineResult]


@pytest.fixture(scope="module")
def run(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Carries out a recipe with next to no training."""
    folder: Path = tmp_path_factory.mktemp("cache")
    pipeline = Pipeline(Settings(tiny_task.name, DEVICE, 0, 0.1, 0.0), folder)
    return lambda text: pipeline.run(Recipe.parse(text))


@pytest.fixture(scope="module")
def given(tiny_task: Task) -> nn.Module:
    return adopt(given_network(tiny_task), tiny_task.input_shape).eval()


def test_the_float_network_by_hand(given: nn.Module) -> None:
    assert parameter_count(given) == sum(WEIGHTS) + OTHERS
    assert payload_bytes(given) == 4 * (sum(WEIGHTS) + OTHERS)
    found = price(given, Device.load(DEVICE))
    pixels = (64, 16, 4, 1, 1)  # where each layer's weights are applied: two poolings halve the sides
    assert found.macs == sum(weights * n for weights, n in zip(WEIGHTS, pixels, strict=True))
    assert found.parameters == parameter_count(given)
    assert found.model_bytes == len(artifact_bytes(given, input_shape_of(given)))


def test_a_network_without_tensors_has_the_same_price(given: nn.Module) -> None:
    device = Device.load(DEVICE)
    assert price(to_meta(given).eval(), device) == price(given, device)


def test_metrics_carry_value_interval_and_status_of_a_price(given: nn.Module) -> None:
    found = price(given, Device.load(DEVICE))
    metrics = found.to_metrics()
    assert metrics["latency_ms_low"] == found.latency_ms[1] <= metrics["latency_ms"] == found.latency_ms[0]
    assert metrics["peak_memory_bytes_low"] == found.peak_memory_bytes[1] <= metrics["peak_memory_bytes"]
    assert metrics["latency_status"] == found.latency_ms[3]
    assert set(metrics) == set(get_type_hints(PlanFigures)) < set(get_type_hints(Metrics))


def test_what_the_edge_tpu_takes_is_known_before_training() -> None:
    def mappable(recipe: str) -> float:
        planned_network = planned(Recipe.parse(recipe), "baseline_cnn", (3, 64, 64), 11)
        return price(planned_network, Device.load("coral-edge-tpu")).edge_tpu_mappable

    demanded = Constraint.parse("edge_tpu_mappable = 1.0")
    for recipe, share in (("quantize(bits=8)", 1.0), ("quantize(bits=4)", 0.3), ("baseline", 0.0)):
        assert mappable(recipe) == pytest.approx(share)
        missed = demanded.violation({"edge_tpu_mappable": mappable(recipe)}, {}, favourable=True)
        assert missed == pytest.approx(1 - share)


def test_eight_bits_by_hand(run: Run) -> None:
    result = run("quantize(bits=8)")
    # a byte a weight, a scale an output, float biases and normalisation
    assert result.metrics.payload_bytes == sum(WEIGHTS) + 4 * OUTPUTS + 4 * OTHERS
    assert result.metrics.parameters == sum(WEIGHTS) + OTHERS


def test_pruned_weights_by_hand(run: Run) -> None:
    result = run("prune_weights(ratio=0.75)")
    kept = [count - round(0.75 * count) for count in WEIGHTS]
    # one bit a place, four bytes a weight that stayed
    assert result.metrics.payload_bytes == (sum(WEIGHTS) + 32 * sum(kept)) // 8 + 4 * OTHERS
    assert result.metrics.nonzero_parameters == sum(kept) + OTHERS
    assert result.metrics.parameters == sum(WEIGHTS) + OTHERS


def test_nonzero_weights_are_counted_on_what_the_network_computes_with(run: Run) -> None:
    network = run("prune_weights(ratio=0.5) -> quantize(bits=2)").network
    counted = sum(int((factor.effective() != 0).sum()) for _, factor in named_factors(network))
    assert nonzero_parameter_count(network) == counted + OTHERS
    assert counted <= sum(WEIGHTS) / 2


RECIPES = [
    "baseline",
    "prune_channels(ratio=0.5)",
    "prune_weights(ratio=0.5)",
    "tensor_train(rank=2, fit_steps=5)",
    "cluster(clusters=8)",
    "quantize(bits=8)",
    "quantize(bits=4)",
    "quantize(bits=2, first_last=same)",
    "quantize(bits=8, first_last=float)",
    "quantize(bits=16)",
    "quantize(bits=3, scheme=affine)",
    "quantize(bits=8, activations=dynamic, method=ptq)",
    "mixed_precision(bits=4.0)",
    "binarize",
    "distill",
    "distill(student=compact_cnn)",
    "tensor_train(rank=2, fit_steps=5) -> prune_channels(ratio=0.5) -> quantize(bits=8)",
    "tensor_train(rank=2, fit_steps=5) -> cluster(clusters=8) -> quantize(bits=4)",
    "distill(student=compact_cnn) -> prune_weights(ratio=0.5) -> quantize(bits=8)",
]


@pytest.mark.parametrize("text", RECIPES)
def test_the_price_before_training_is_the_size_after_it(run: Run, text: str) -> None:
    recipe = Recipe.parse(text)
    planned, result = price_recipe(recipe, "tiny", DEVICE), run(text)
    content = artifact_bytes(result.network, input_shape_of(result.network))
    found = price(result.network, Device.load(DEVICE))
    assert found.model_bytes == result.metrics.model_bytes == len(content)
    assert found.latency_ms[0] == result.metrics.latency_ms
    if all(step.plan_is_exact for step in recipe):
        assert planned == found
    else:
        assert planned.model_bytes < found.model_bytes
        assert planned.latency_ms[0] < found.latency_ms[0]
        assert planned.peak_memory_bytes[0] < found.peak_memory_bytes[0]
    assert payload_bytes(result.network) == result.metrics.payload_bytes


@pytest.mark.parametrize("text", ["quantize(bits=4)", "cluster(clusters=8)"])
def test_a_payload_is_at_least_what_tells_the_weights_apart(run: Run, text: str) -> None:
    """Shannon's bound: no fewer bits than the entropy of each output's weights."""
    network = run(text).network
    bits = 0.0
    for _, factor in named_factors(network):
        for row in factor.effective().flatten(1):
            shares = torch.unique(row, return_counts=True)[1] / row.numel()
            bits += float(-(shares * shares.log2()).sum()) * row.numel()
    assert payload_bytes(network) >= bits / 8


def test_parameters_of_no_layer_count_as_floats() -> None:
    class Scaled(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Conv2d(3, 4, 1), nn.PReLU(4), nn.Flatten(), nn.Linear(16, 5))
            self.scale = nn.Parameter(torch.ones(5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * self.scale

    network = adopt(Scaled(), (3, 2, 2))
    assert parameter_count(network) == 3 * 4 + 4 + 4 + 16 * 5 + 5 + 5
    assert payload_bytes(network) == 4 * parameter_count(network)
