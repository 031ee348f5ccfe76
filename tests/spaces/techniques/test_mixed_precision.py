"""Mixed precision: the chosen widths against every other assignment, measured by hand."""

from collections.abc import Callable
from copy import deepcopy
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.half import Half
from atoll.spaces.layers.structure import named_factors, named_layers, structure
from atoll.spaces.layers.weight_grid import WeightGrid
from atoll.spaces.quantization.noise import OUTPUTS, layer_noise
from atoll.spaces.quantization.sensitivity import output_change
from atoll.spaces.technique.technique import Technique
from atoll.spaces.techniques.mixed_precision import MixedPrecision
from atoll.spaces.techniques.quantize import Quantize
from atoll.testing import World
from torch import nn


def measured(network: nn.Module, images: torch.Tensor) -> dict[str, dict[int, float]]:
    """The divergence that each layer alone causes on each width, in a plain loop."""
    with torch.no_grad():
        wanted = F.softmax(network(images), dim=1)
        found: dict[str, dict[int, float]] = {}
        for name, layer in named_layers(network):
            found[name] = {}
            for bits in (8, 4, 2) if name.startswith("dense") else (8, 4):
                probe = deepcopy(network)
                for part in layer.factors():
                    factor = dict(named_factors(probe))[f"{name}.{part}"]
                    factor.impose(WeightGrid.fit(factor.effective(), bits))
                got = F.softmax(probe(images), dim=1)
                found[name][bits] = float((wanted * (wanted / got).log()).sum(dim=1).mean())
    return found


@pytest.mark.parametrize("budget", [3.0, 4.0, 6.0])
@pytest.mark.parametrize("name", ["sequential", "residual"])
def test_no_other_assignment_within_the_budget_is_less_sensitive(
    budget: float, name: str, trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network, context = trained[name], new_context(trained[name])
    quantized, decisions = MixedPrecision(bits=budget).apply(network, context)
    sensitivities = measured(network, context.images(256))
    sizes = {layer: factor.shape.numel() for layer, factor in _weights(network).items()}
    total = sum(sizes.values())

    def spent(widths: dict[str, int]) -> int:
        return sum(sizes[layer] * bits for layer, bits in widths.items())

    def cost(widths: dict[str, int]) -> float:
        return sum(sensitivities[layer][bits] for layer, bits in widths.items())

    chosen = decisions["bits"]
    assert spent(chosen) <= budget * total
    assert decisions["mean_bits"] == pytest.approx(spent(chosen) / total, abs=1e-3)
    every = [dict(zip(sizes, widths, strict=True)) for widths in product(*sensitivities.values())]
    allowed = [widths for widths in every if spent(widths) <= budget * total]
    assert 1 < len(allowed) < len(every)
    assert cost(chosen) <= min(map(cost, allowed)) + 1e-6
    for layer, factor in _weights(quantized).items():
        grid = factor.find(WeightGrid)
        assert grid is not None
        assert grid.bits == chosen[layer]
        assert factor.payload_bits() == chosen[layer] * sizes[layer] + 32 * factor.shape[0]
        for bits, value in decisions["sensitivity"][layer].items():
            assert value == pytest.approx(sensitivities[layer][int(bits)], rel=0.02, abs=1e-6)


def _weights(network: nn.Module) -> dict[str, Any]:
    return {name.removesuffix(".weight"): factor for name, factor in named_factors(network)}


def test_a_budget_of_eight_bits_is_plain_quantization(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["sequential"]
    mixed, decisions = MixedPrecision(bits=8).apply(network, new_context(network))
    plain, _ = Quantize(bits=8).apply(network, new_context(network))
    finest = {name for name, bits in decisions["bits"].items() if bits == 8}
    assert finest
    for (name, one), (_, other) in zip(named_factors(mixed), named_factors(plain), strict=True):
        if name.removesuffix(".weight") in finest:
            assert torch.equal(one.effective(), other.effective())


def test_a_budget_below_what_can_be_stored_is_refused_in_the_plan_already(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["sequential"]
    step = MixedPrecision(bits=3.0, layers="conv*")
    for carry_out in (step.plan, lambda model: step.apply(model, new_context(model))):
        with pytest.raises(AtollError, match=r"got bits=3, allowed here are 4\.00 to 8"):
            carry_out(network)


def test_layers_on_narrower_grids_keep_their_width(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["sequential"]
    narrow, _ = Quantize(bits=2, layers="conv2|dense1").apply(network, new_context(network))
    _, decisions = MixedPrecision(bits=8).apply(narrow, new_context(network))
    assert list(decisions["left_alone"]) == ["conv2"]  # 2 bits are no width for a convolution
    assert decisions["bits"]["dense1"] == 2
    assert set(decisions["sensitivity"]["dense1"]) == {"2"}


@pytest.mark.parametrize("activations", ["int8", "float", "dynamic"])
@pytest.mark.parametrize("name", ["sequential", "residual"])
def test_no_layer_of_the_plan_is_dearer(
    activations: str, name: str, trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained[name]
    step = MixedPrecision(bits=6.0, activations=activations)
    applied, _ = step.apply(network, new_context(network))
    bound, found = (layer_table(n.eval(), (1, 16, 16)) for n in (step.plan(network), applied))
    order = {"int8": 0, "float32": 1}
    assert len(bound.rows) == len(found.rows)
    for least, row in zip(bound.rows, found.rows, strict=True):
        assert least.cost.macs <= row.cost.macs
        assert least.cost.weight_bytes <= row.cost.weight_bytes
        assert order[least.cost.compute] <= order[row.cost.compute]
    assert bound.weight_bytes < found.weight_bytes


def test_the_change_of_outputs() -> None:
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    other = logits + 0.3 * torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    p, q = F.softmax(logits, dim=1), F.softmax(other, dim=1)
    assert output_change(logits, other) == pytest.approx(float((p * (p / q).log()).sum(1).mean()), rel=1e-5)
    assert output_change(logits, logits) == 0
    assert output_change(logits[:, :1], other[:, :1]) == pytest.approx(
        float((logits - other)[:, 0].square().mean())
    )


def test_the_layers_that_lose_most_keep_half_precision_beyond_the_budget(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network, context = trained["sequential"], new_context(trained["sequential"])
    names = [name for name, _ in named_layers(network)]
    chosen: dict[str, float] = {}
    told = MixedPrecision(bits=4).apply(network, context)[1]
    assert "wide" not in told
    for count in (1, 2):
        step = MixedPrecision(bits=4, wide=count)
        before, _ = MixedPrecision(bits=4, wide=count - 1).apply(network, context)
        noise = layer_noise(before, context.images(64))
        worst = min(noise.keys() & set(names) - chosen.keys(), key=noise.__getitem__)
        chosen[worst] = round(noise[worst], 1)
        mixed, decisions = step.apply(network, context)
        assert decisions["wide"] == chosen and list(decisions["wide"]) == list(chosen)
        assert decisions["bits"] == told["bits"] | dict.fromkeys(chosen, 16)
    assert str(step) == "mixed_precision(bits=4.0, wide=2)"
    for layer, factor in _weights(mixed).items():
        assert (factor.find(Half) is not None) == (layer in chosen)
        assert (mixed.get_submodule(layer).activation_bits == 32) == (layer in chosen)
    assert structure(step.rebuild(network, decisions)) == structure(mixed)


def test_a_layer_that_loses_by_what_it_reads_widens_the_one_that_makes_it() -> None:
    """A channel that is hardly there beside the others, and whose weights are large: equalization's case."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    layers[2].weight.data[:, 3] *= 300
    for part in (layers[0].weight, layers[0].bias):
        part.data[3] /= 300
    images = torch.rand(128, 6)
    network = adopt(layers, (6,))
    world = World(images, torch.arange(128) % 3, network, epochs=0)

    def outputs_db(step: Technique) -> tuple[float, list[str]]:
        found, decisions = step.apply(network, world)
        return layer_noise(found.eval(), images[:64])[OUTPUTS], list(decisions.get("wide", {}))

    plain, one, two = (outputs_db(MixedPrecision(bits=8, wide=count)) for count in (0, 1, 2))
    assert (plain[1], one[1], two[1]) == ([], ["2"], ["2", "0"])
    assert max(plain[0], one[0]) < 25 and two[0] > 45
    assert outputs_db(Quantize(method="ptq", layers="~0|~2"))[0] > 45
    assert outputs_db(Quantize(method="ptq", equalize="cross_layer"))[0] > 45
