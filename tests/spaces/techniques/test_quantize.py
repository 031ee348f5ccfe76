"""Quantization's settings: widths, schemes, calibrations, methods, what is left alone."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from atoll.evaluators.measuring.measure import payload_bytes
from atoll.spaces.errors import AtollError
from atoll.spaces.layers.activation_grid import ActivationGrid
from atoll.spaces.layers.half import Half
from atoll.spaces.layers.layer import Layer
from atoll.spaces.layers.structure import named_factors, named_layers, structure
from atoll.spaces.layers.weight_grid import WeightGrid
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques.quantize import AFFINE_NOTE, Quantize
from torch import nn

Carry = Callable[..., tuple[nn.Module, dict[str, Any]]]


def grids_of(network: nn.Module) -> dict[str, WeightGrid]:
    found = {name: factor.find(WeightGrid) for name, factor in named_factors(network)}
    return {name: grid for name, grid in found.items() if grid is not None}


def test_sixteen_bits_are_half_precision_with_float_activations(carry_out: Carry) -> None:
    network, decisions = carry_out("quantize(bits=16)")
    for _, factor in named_factors(network):
        assert factor.find(Half) is not None
        assert torch.equal(factor.effective(), factor.effective().half().float())
    assert not any(isinstance(module, ActivationGrid) for module in network.modules())
    assert set(decisions["bits"].values()) == {16}


@pytest.mark.parametrize(("bits", "levels"), [(16, 2**16), (8, 255), (4, 15), (3, 7), (2, 3)])
def test_a_width_says_how_many_levels_it_leaves(bits: int, levels: int) -> None:
    assert Quantize(bits=bits).levels_per_weight == Quantize(bits=bits).needs_levels == levels
    if bits < 16:
        assert Quantize(bits=bits, scheme="affine").levels_per_weight == 2**bits


@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
def test_three_bits_count_three(carry_out: Carry, scheme: str) -> None:
    network, _ = carry_out(f"quantize(bits=3, first_last=same, scheme={scheme})")
    floats, _ = carry_out("quantize(bits=16)")
    for name, factor in named_factors(network):
        rows = factor.shape[0]
        overhead = rows * (32 + (3 if scheme == "affine" else 0))
        assert factor.payload_bits() == 3 * factor.shape.numel() + overhead, name
        assert all(row.unique().numel() <= 8 for row in factor.effective())
    assert payload_bytes(network) < 0.3 * payload_bytes(floats)


def test_one_scale_for_all_channels(carry_out: Carry) -> None:
    network, _ = carry_out("quantize(bits=4, granularity=per_tensor, first_last=same)")
    assert all(grid.start.numel() == 1 for grid in grids_of(network).values())
    for _, factor in named_factors(network):
        assert factor.effective().unique().numel() <= 15


def test_affine_weights_say_that_they_ship_as_floats(carry_out: Carry) -> None:
    network, decisions = carry_out("quantize(bits=4, scheme=affine)")
    assert decisions["note"] == AFFINE_NOTE
    shapes = {"conv1": ((1, 16, 16), (16, 16, 16)), "dense1": ((256,), (64,))}
    for name, layer in named_layers(network):
        if name in shapes:
            assert all(cost.compute == "float32" for cost in layer.costs(*shapes[name]))


@pytest.mark.parametrize("calibration", ["min_max", "percentile", "mse"])
def test_weights_and_activations_are_calibrated_alike(carry_out: Carry, calibration: str) -> None:
    network, _ = carry_out(f"quantize(bits=8, calibration={calibration})")
    assert all(grid.calibration == calibration for grid in grids_of(network).values())
    activations = [module for module in network.modules() if isinstance(module, ActivationGrid)]
    assert activations
    assert all(grid.calibration == calibration for grid in activations)
    if calibration == "min_max":
        assert all(grid.share is None for grid in activations)
    else:
        assert any(float(grid.share.min()) < 0.999 for grid in activations if grid.share is not None)


def test_the_automatic_calibration_is_min_max_at_eight_bits(carry_out: Carry) -> None:
    automatic, named = carry_out("quantize(bits=8)")[0], carry_out("quantize(bits=8, calibration=min_max)")[0]
    for (_, one), (_, other) in zip(named_factors(automatic), named_factors(named), strict=True):
        assert torch.equal(one.effective(), other.effective())


@pytest.mark.parametrize("method", ["lsq", "ste", "ptq"])
def test_what_training_moves(
    method: str, trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    before = trained["sequential"]
    step = Quantize(bits=4, method=method)
    context = new_context(before)
    network, decisions = step.apply(before, context)
    assert context.epochs_left == 1  # the step itself trains nothing
    assert step.fine_tuned == (method != "ptq")
    scales = {name: grid.scale.detach().clone() for name, grid in grids_of(network).items()}
    weights = {name: factor.effective() for name, factor in named_factors(network)}
    context.fit(network)
    moved = [not torch.equal(grid.scale, scales[name]) for name, grid in grids_of(network).items()]
    assert any(moved) == (method == "lsq")
    assert any(not torch.equal(f.effective(), weights[name]) for name, f in named_factors(network))
    rebuilt = step.rebuild(before, decisions)
    trainable = [name for name, p in network.named_parameters() if p.requires_grad]
    assert [name for name, p in rebuilt.named_parameters() if p.requires_grad] == trainable


def test_dynamic_ranges_leave_nothing_to_observe_and_change_the_outputs(
    carry_out: Carry, trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network, decisions = carry_out("quantize(bits=8, activations=dynamic)")
    floats, _ = carry_out("quantize(bits=8, activations=float)")
    assert all(layer.dynamic and layer.activation_bits == 32 for _, layer in named_layers(network))
    assert not any(isinstance(module, ActivationGrid) for module in network.modules())
    assert "not_dynamic" not in decisions
    images = new_context(network).images(8)
    with torch.no_grad():
        difference = (network(images) - floats(images)).abs().max()
        alone = torch.cat([network(image[None]) for image in images])
        assert torch.allclose(alone, network(images), atol=1e-5)  # every image has its own range
    assert 0 < difference < 0.2
    for _, layer in named_layers(network):
        if layer.inputs == 256:
            assert [cost.compute for cost in layer.costs((256,), (64,))] == ["int8"]
    training = deepcopy(network).train()
    training(images).sum().backward()
    assert all(parameter.grad is not None for parameter in training.parameters())


def test_a_depthwise_convolution_keeps_float_activations_and_says_so(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    before = trained["residual"]
    network, decisions = Quantize(activations="dynamic").apply(before, new_context(before))
    assert list(decisions["not_dynamic"]) == ["depthwise"]
    assert {name for name, layer in named_layers(network) if not layer.dynamic} == {"depthwise"}
    assert structure(Quantize(activations="dynamic").plan(before)) == structure(network)


@pytest.mark.parametrize(
    ("earlier", "later", "reason"),
    [
        ("binarize(layers=conv2)", "quantize(bits=8)", "2 values"),
        ("quantize(bits=2, layers=conv2)", "quantize(bits=8)", "3 values"),
        ("quantize(bits=2, layers=conv2)", "quantize(bits=16)", "3 values"),
        ("quantize(bits=3, layers=conv2)", "quantize(bits=3, scheme=affine)", "7 values"),
    ],
)
def test_layers_with_fewer_values_are_left_alone(
    carry_out: Carry, earlier: str, later: str, reason: str
) -> None:
    before, _ = carry_out(earlier)
    network, decisions = carry_out(f"{earlier} -> {later}")
    assert decisions["left_alone"] == {"conv2": f"its weights can take only {reason} already"}
    kept, now = dict(named_factors(before))["conv2.weight"], dict(named_factors(network))["conv2.weight"]
    assert torch.equal(kept.effective(), now.effective())
    assert "conv2" not in decisions["bits"]


def test_the_first_and_last_layer_in_float_are_left_alone(carry_out: Carry) -> None:
    _, decisions = carry_out("quantize(bits=4, first_last=float)")
    assert set(decisions["left_alone"]) == {"conv1", "dense2"}


def test_an_earlier_input_grid_goes_where_the_layer_before_now_has_one(carry_out: Carry) -> None:
    """Every tensor between integer kernels has one grid, in whichever order the layers come."""
    network, _ = carry_out("quantize(bits=4, layers=dense1) -> quantize(bits=8, layers=conv*)")
    dense = network.get_submodule("dense1")
    assert isinstance(dense, Layer)
    assert dense.input_grid is None


@pytest.mark.parametrize(
    "text",
    [
        "quantize(bits=16, scheme=affine)",
        "quantize(bits=16, granularity=per_tensor)",
        "quantize(bits=16, calibration=mse)",
        "quantize(bits=16, activations=dynamic)",
        "quantize(bits=8, scheme=affine, activations=dynamic)",
        "quantize(bits=5)",
    ],
)
def test_what_has_no_meaning_is_refused(text: str) -> None:
    with pytest.raises(AtollError, match="allowed"):
        Recipe.parse(text)
