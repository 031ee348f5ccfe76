"""Every ordered pair of techniques: the legal ones keep their promises through training, the others say why.

One epoch of real training follows each step. What a step left is looked for in the effective weights, not in
the modules' word for it.
"""

from collections.abc import Callable
from copy import deepcopy
from itertools import product
from typing import Any

import pytest
import torch
from atoll.spaces.layers.codebook import Codebook
from atoll.spaces.layers.factor import Factor
from atoll.spaces.layers.layer import Layer
from atoll.spaces.layers.mask import Mask
from atoll.spaces.layers.structure import named_factors, named_layers, structure, weight_factors
from atoll.spaces.layers.weight_constraint import WeightConstraint
from atoll.spaces.layers.weight_grid import WeightGrid
from atoll.spaces.recipes.order import refusal
from atoll.spaces.recipes.pair_table import fates_of_all
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.technique.technique import Decisions, Technique
from atoll.spaces.techniques import TECHNIQUES
from torch import Tensor, nn

STEPS = tuple(
    Recipe.parse(text).steps[0]
    for text in (
        "prune_channels(ratio=0.5)",
        "prune_weights(ratio=0.75)",
        "tensor_train(rank=4, fit_steps=30)",
        "tucker(rank=0.25, fit_steps=5)",
        "cp(rank=8, fit_steps=5)",
        "svd(rank=8, fit_steps=5)",
        "cluster(clusters=8)",
        "quantize(bits=8)",
        "quantize(bits=2, first_last=same)",
        "mixed_precision(bits=4.0)",
        "ternarize",
        "binarize",
        "binarize(activations=binary)",
        "distill",
        "distill(student=compact_cnn)",
        "quantization_offset",
    )
)
PAIRS = list(product(STEPS, repeat=2))
LEGAL = [pair for pair in PAIRS if refusal(pair) is None]
REFUSED = [pair for pair in PAIRS if refusal(pair) is not None]

Step = tuple[nn.Module, Decisions]


def test_every_technique_is_here() -> None:
    assert {step.name for step in STEPS} == {technique.name for technique in TECHNIQUES}
    assert len(LEGAL) > 0 < len(REFUSED)


# What must hold --------------------------------------------------------------------------------------


class Promise:
    """What one weight tensor's constraints promise, read from them once, checked on the weights later."""

    def __init__(self, factor: Factor) -> None:
        self.kinds = set(factor.constraints)
        mask, codebook = factor.find(Mask), factor.find(Codebook)
        self.zeros = None if mask is None else ~mask.kept.clone()
        self.shared = None if codebook is None else codebook.index.clone()
        grid, signs = factor.find(WeightGrid), factor.signs
        self.levels = None if grid is None else 2 ** (grid.bits - 1) - 1
        self.per_channel = all(c is None or c.per_channel for c in (grid, signs))
        self.signs = signs is not None

    def check(self, factor: Factor) -> None:
        weight = factor.effective()
        assert set(factor.constraints) == self.kinds
        alive = torch.ones_like(weight, dtype=torch.bool)
        if self.zeros is not None:
            assert not weight[self.zeros].any(), "a pruned weight is not zero"
            alive = ~self.zeros
        if self.shared is not None:
            for value in self.shared.unique():
                assert weight[(self.shared == value) & alive].unique().numel() <= 1, "a shared value split"
        rows = weight.flatten(1) if self.per_channel else weight.reshape(1, -1)
        for row in rows:
            distinct = row[row != 0].abs().unique()
            if self.signs:
                assert distinct.numel() <= 1, "more than a sign and a step"
            elif self.levels is not None and distinct.numel():
                assert distinct.numel() <= self.levels, "more levels than the grid has"
        self._check_grid(factor, weight)

    def _check_grid(self, factor: Factor, weight: Tensor) -> None:
        if self.levels is None and not self.signs:
            return
        integers = factor.integers()
        assert integers is not None
        scale = integers.scale.reshape(-1, *[1] * (weight.dim() - 1))
        assert torch.equal(integers.values * scale, weight), "a weight left its grid"


def promises(network: nn.Module) -> dict[str, Promise]:
    return {name: Promise(factor) for name, factor in named_factors(network)}


def check_all(network: nn.Module, promised: dict[str, Promise]) -> None:
    factors = dict(named_factors(network))
    assert set(factors) == set(promised)
    for name, promise in promised.items():
        promise.check(factors[name])


def storages(network: nn.Module) -> set[int]:
    return {tensor.untyped_storage().data_ptr() for tensor in network.state_dict().values()}


def kinds_of(layer: Layer) -> list[set[str]]:
    return [set(factor.constraints) for factor in layer.factors().values()]


def check_input_signs(before: nn.Module, after: nn.Module) -> None:
    """A layer that saw the signs of its input sees them still, whatever it is written as."""
    layers = dict(named_layers(after))
    for name, layer in named_layers(before):
        assert layer.input_sign is None or layers[name].input_sign is not None


def check_fates(before: nn.Module, after: nn.Module, decisions: Decisions) -> None:
    """Whatever constraint is gone from a layer was declared dropped, in the decisions."""
    layers = dict(named_layers(after))
    for name, layer in named_layers(before):
        for kind in set().union(*kinds_of(layer)):
            if not all(kind in kinds for kinds in kinds_of(layers[name])):
                told = [
                    fate
                    for place, fates in decisions.get("fates", {}).items()
                    if place == name or place.startswith(f"{name}.")
                    for fate in fates
                ]
                assert [kind, "dropped"] in told, f"{kind} on {name} is gone without a word"


# The pairs -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def first_step(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> Callable[[Technique, str], nn.Module]:
    """Applies a step to a tiny network and trains one epoch, once for all pairs that begin with it."""
    done: dict[tuple[Technique, str], nn.Module] = {}

    def apply(step: Technique, name: str) -> nn.Module:
        if (step, name) not in done:
            context = new_context(trained[name], seed=1)
            network, _ = step.apply(trained[name], context)
            promised = promises(network)
            context.epochs_left = 1.0  # training of its own, behind the steps
            context.fit(network, epochs=1)
            check_all(network, promised)
            done[step, name] = network
        return done[step, name]

    return apply


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sequential", "residual"])
@pytest.mark.parametrize(("first", "second"), LEGAL, ids=str)
def test_a_legal_pair_keeps_what_it_promised(
    first: Technique,
    second: Technique,
    name: str,
    trained: dict[str, nn.Module],
    first_step: Callable[[Technique, str], nn.Module],
    new_context: Callable[..., Any],
    packed: Callable[..., Any],
) -> None:
    before = first_step(first, name)
    context = new_context(trained[name], seed=2)
    after, decisions = second.apply(before, context)
    planned = second.plan(before)
    assert structure(after) == structure(planned) or not second.plan_is_exact
    assert fates_of_all(trained[name], before, planned) == fates_of_all(trained[name], before, after)
    assert not storages(before) & storages(after), "the step shares storage with its input"
    if not second.replaces_network:
        check_fates(before, after, decisions)
        check_input_signs(before, after)
    promised, shape = promises(after), structure(after)
    untrained = deepcopy(after.state_dict())
    context.epochs_left = 1.0  # training of its own, behind the steps
    context.fit(after, epochs=1)
    assert any(not torch.equal(tensor, untrained[key]) for key, tensor in after.state_dict().items())
    assert structure(after) == shape  # channels and ranks too
    check_all(after, promised)
    for factor in weight_factors(after):
        stored = packed(factor)
        assert torch.equal(stored.decoded, factor.effective())
        assert stored.bits == factor.payload_bits()
    rebuilt = second.rebuild(before, decisions)
    rebuilt.load_state_dict(after.state_dict())
    images = context.images(8)
    with torch.no_grad():
        assert torch.equal(rebuilt.eval()(images), after.eval()(images))


@pytest.mark.parametrize(("first", "second"), REFUSED, ids=str)
def test_another_pair_is_refused_with_its_reason(first: Technique, second: Technique) -> None:
    reason = refusal((first, second))
    assert reason is not None
    alone = refusal((first,))
    if alone is not None:  # what the second step is does not matter
        assert reason == alone
        return
    assert str(second) in reason or second.name in reason
    if second.replaces_network:
        assert "can only be the first step" in reason
    elif second.needs_stage is not None:
        assert f"needs a step of the stage {second.needs_stage!r}" in reason
    elif first.name == second.name:
        assert "one step written twice" in reason
    else:
        assert f"can take only {first.levels_per_weight} values already" in reason


def test_zeros_shared_values_and_grids_add_up_over_three_steps(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    """Deep Compression's order, and its reverse: in the end every weight is under all three."""
    for text in (
        "prune_weights(ratio=0.75) -> cluster(clusters=8) -> quantize(bits=8)",
        "quantize(bits=8) -> cluster(clusters=8) -> prune_weights(ratio=0.75)",
    ):
        network = trained["sequential"]
        for step in Recipe.parse(text):
            context = new_context(trained["sequential"])
            network, _ = step.apply(network, context)
            context.epochs_left = 1.0  # training of its own, behind the steps
            context.fit(network, epochs=1)
        factor = network.get_submodule("dense1.weight")
        assert isinstance(factor, Factor)
        weight = factor.effective()
        assert {c.kind for c in factor.constraints.values() if isinstance(c, WeightConstraint)} == {
            "mask",
            "codebook",
            "grid",
        }
        assert int((weight == 0).sum()) >= 0.75 * weight.numel()
        assert weight.unique().numel() <= 9
        levels = weight / factor.integers().scale
        assert (levels - levels.round()).abs().max() < 1e-4
        # a bit each for where, three for which, eight for each shared value, one scale: 20 times smaller
        assert factor.payload_bits() == weight.numel() * (1 + 3 / 4) + 8 * 8 + 32
