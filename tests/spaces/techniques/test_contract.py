"""One suite that every technique has to pass, on every tiny network."""

import ast
import inspect
import json
import pickle
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import torch
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.errors import AtollError
from atoll.spaces.layers.structure import (
    input_shape_of,
    named_layers,
    structure,
    structure_changes,
    to_meta,
)
from atoll.spaces.recipes.order import grid_steps
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.technique.domains import Choice, Domain, OrWord
from atoll.spaces.technique.targets import targeted_layers
from atoll.spaces.technique.technique import Decisions, Technique
from atoll.spaces.techniques import TECHNIQUES, technique_named
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


def choice_values(domain: Domain) -> list[Any]:
    """Returns the named values of a domain, none where it has numbers or patterns only."""
    if isinstance(domain, OrWord):
        return [domain.word, *choice_values(domain.domain)]
    return list(domain.values) if isinstance(domain, Choice) else []


def step_with(technique: type[Technique], name: str, value: Any) -> Technique:
    """Returns the step with one setting moved, and with a named value of another one where it needs that."""
    others = [
        {other: named}
        for other, domain in technique.domains().items()
        for named in choice_values(domain)
        if other != name
    ]
    for more in ({}, *others):
        with suppress(AtollError):
            return technique.from_settings({name: value, **more})
    raise AssertionError(f"{technique.name}({name}={value}) is legal with no other setting")


#: each technique at its defaults and at the last point of its search grid, which differs most
CASES = list(
    dict.fromkeys(step for technique in TECHNIQUES for step in (technique(), grid_steps(technique)[-1]))
)
#: students that take seconds; all others of the zoo are built and run in the tests of networks
STUDENTS = ("none", "compact_cnn", "baseline_cnn")
#: each technique with each named value of each of its settings that the cases above do not have
CHOICES = [
    step
    for technique in TECHNIQUES
    for name, domain in technique.domains().items()
    for step in dict.fromkeys(step_with(technique, name, value) for value in choice_values(domain))
    if step not in CASES and getattr(step, "student", "none") in STUDENTS
]
#: shown in every report and stored with every step
LARGEST_DECISIONS_BYTES = 10_000


@dataclass
class Applied:
    """A technique applied to a trained network."""

    step: Technique
    before: nn.Module
    state_before: dict[str, Tensor]
    after: nn.Module
    decisions: Decisions


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return list(first) == list(second) and all(
        tensor.dtype == second[name].dtype and torch.equal(tensor, second[name])
        for name, tensor in first.items()
    )


@pytest.fixture(scope="module")
def applied(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> Callable[[Technique, str], Applied]:
    """Applies a step to a tiny network, once for all tests."""
    done: dict[tuple[Technique, str], Applied] = {}

    def apply(step: Technique, name: str) -> Applied:
        if (step, name) not in done:
            before = trained[name]
            kept = state(before)
            after, decisions = step.apply(before, new_context(before))
            done[step, name] = Applied(step, before, kept, after, decisions)
        return done[step, name]

    return apply


@pytest.fixture(params=["sequential", "residual"])
def result(request: pytest.FixtureRequest, step: Technique, applied: Callable[..., Applied]) -> Applied:
    """The step applied to each tiny network."""
    return applied(step, request.param)


every_step = pytest.mark.parametrize("step", CASES, ids=str)
every_technique = pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.name)


# What a technique declares ---------------------------------------------------------------------------


def test_names_are_unique() -> None:
    names = [technique.name for technique in TECHNIQUES]
    assert len(set(names)) == len(names)
    assert all(technique_named(name).name == name for name in names)


@every_technique
def test_settings_have_sources_and_legal_grids(technique: type[Technique]) -> None:
    assert technique.source
    assert technique.version >= 1
    assert technique.stage in ("structure", "weights", "numbers", "training")
    steps = grid_steps(technique)
    assert len(set(steps)) == len(steps) >= 1
    for name, domain in technique.domains().items():
        assert len(set(domain.grid)) == len(domain.grid) >= 1
        assert [domain.check(name, value) for value in domain.grid] == list(domain.grid)
        assert domain.describe()
    assert all(field.metadata["source"] for field in fields(technique))


@every_technique
def test_unknown_and_illegal_settings_are_refused(technique: type[Technique]) -> None:
    with pytest.raises(AtollError, match=rf"{technique.name}: unknown setting 'nonsense'"):
        technique.from_settings({"nonsense": 1})
    for name in technique.domains():
        with pytest.raises(AtollError, match=rf"{technique.name}: {name}: got .*, allowed is "):
            technique.from_settings({name: "(none)"})  # no number, word or pattern


@every_technique
def test_a_pattern_that_means_no_layer_is_refused_by_the_plan(
    technique: type[Technique], trained: dict[str, nn.Module]
) -> None:
    if "layers" in technique.domains():
        with pytest.raises(AtollError, match="no layer matches 'nothing'"):
            technique.from_settings({"layers": "nothing"}).plan(trained["sequential"])


@every_technique
def test_settings_are_frozen(technique: type[Technique]) -> None:
    name = next(iter(technique.domains()))
    with pytest.raises(AttributeError):
        setattr(technique(), name, 1)


@every_step
def test_text_json_and_pickle_give_the_step_back(step: Technique) -> None:
    assert Recipe.parse(str(step)).steps == (step,)
    assert Recipe.from_json(json.loads(json.dumps([step.to_json()]))).steps == (step,)
    assert pickle.loads(pickle.dumps(step)) == step


@every_technique
def test_no_technique_names_another(technique: type[Technique]) -> None:
    """Neither by import nor by name: rules about orders are in order.py alone."""
    source = Path(inspect.getfile(technique))
    siblings = {path.stem for path in source.parent.glob("*.py")} - {source.stem, "__init__"}
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            imported = (node.module or "").split(".")
            assert not siblings & {*imported, *(alias.name for alias in node.names)}
            assert "techniques" not in imported
            assert node.level != 1, "imports a neighbour"
        if isinstance(node, ast.Constant):
            assert node.value not in siblings


# What it does ----------------------------------------------------------------------------------------


@every_step
def test_the_input_is_unchanged_and_shares_nothing(result: Applied) -> None:
    assert equal(result.before.state_dict(), result.state_before)
    theirs = {tensor.untyped_storage().data_ptr() for tensor in result.before.state_dict().values()}
    ours = {tensor.untyped_storage().data_ptr() for tensor in result.after.state_dict().values()}
    assert not ours & theirs
    assert not {id(module) for module in result.before.modules()} & {
        id(module) for module in result.after.modules()
    }


@every_step
def test_the_step_does_something(result: Applied) -> None:
    assert not equal(result.after.state_dict(), result.state_before)
    if result.step.stage != "training":
        changes = structure_changes(result.before, result.after)
        assert changes == result.decisions["structure"]
        if not changes:  # nothing there that suits it: it says so of every layer
            names = [name for name, _ in named_layers(result.before)]
            assert list(result.decisions["left_alone"]) == names


@every_step
def test_the_generator_alone_decides(result: Applied, new_context: Callable[..., Any]) -> None:
    torch.manual_seed(12345)  # the global generator plays no part
    again, decisions = result.step.apply(result.before, new_context(result.before))
    assert equal(again.state_dict(), result.after.state_dict())
    assert decisions == result.decisions


@every_step
def test_the_global_generator_is_left_alone(result: Applied, new_context: Callable[..., Any]) -> None:
    torch.manual_seed(1)
    result.step.plan(result.before)
    result.step.rebuild(result.before, result.decisions)
    drawn = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), drawn)


@every_step
def test_the_plan_is_what_is_carried_out(result: Applied) -> None:
    check_plan(result)
    assert equal(result.before.state_dict(), result.state_before)


def check_plan(result: Applied) -> None:
    """The plan is the structure that came out, or no layer of it is dearer."""
    for before in (result.before, to_meta(result.before)):
        planned = result.step.plan(before)
        assert all(tensor.is_meta for tensor in planned.state_dict().values())
        if result.step.plan_is_exact:
            assert structure(planned) == structure(result.after)
        else:
            bound, found = layer_costs(planned), layer_costs(result.after)
            assert set(bound) == set(found)
            for name, costs in found.items():
                assert all(least <= cost for least, cost in zip(bound[name], costs, strict=True)), name


def layer_costs(network: nn.Module) -> dict[str, tuple[int, int]]:
    """Returns multiply-accumulates and bytes of the weights of every layer."""
    names = {name for name, _ in named_layers(network)}
    costs: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for row in layer_table(network.eval(), input_shape_of(network)).rows:
        if row.path in names:
            macs, size = costs[row.path]
            costs[row.path] = (macs + row.cost.macs, size + row.cost.weight_bytes)
    return costs


@every_step
def test_every_bit_that_is_stored_is_counted_and_no_more(result: Applied, packed: Callable[..., Any]) -> None:
    check_bits(result.after, packed)


def check_bits(network: nn.Module, packed: Callable[..., Any]) -> None:
    """The weights packed into bits are as many as the layers say, and are read back from them exactly."""
    for name, layer in named_layers(network):
        bits = 0 if layer.bias is None else 32 * layer.bias.numel()
        for part, factor in layer.factors().items():
            stored = packed(factor)
            assert torch.equal(stored.decoded, factor.effective()), f"{name}.{part}"
            assert stored.bits == factor.payload_bits(), f"{name}.{part}"
            bits += stored.bits
        assert layer.payload_bits() == bits, name


@every_step
def test_layers_that_are_left_alone_are_named_with_the_reason(result: Applied) -> None:
    check_left_alone(result)


def check_left_alone(result: Applied) -> None:
    """Each layer that the step was pointed at was changed, or the decisions say why not."""
    reasons = result.decisions.get("left_alone", {})
    assert isinstance(reasons, dict)
    told = {path: reason for paths, reason in reasons.items() for path in paths.split(", ")}
    known = {name for name, _ in named_layers(result.before)}
    assert set(told) <= known
    assert all(isinstance(reason, str) and len(reason.split()) >= 2 for reason in told.values())
    if "layers" in result.step.domains():
        targeted = {name for name, _ in targeted_layers(result.before, result.step.scope)}
        assert targeted <= set(result.decisions["structure"]) | set(told)


@pytest.mark.parametrize("step", CHOICES, ids=str)
def test_every_named_value_works(
    step: Technique, applied: Callable[..., Applied], packed: Callable[..., Any], tmp_path: Path
) -> None:
    """Once, on the network with a shortcut and a depthwise convolution."""
    result = applied(step, "residual")
    assert Recipe.parse(str(step)).steps == (step,)
    assert equal(result.before.state_dict(), result.state_before)
    check_plan(result)
    check_bits(result.after, packed)
    check_left_alone(result)
    check_rebuilt(result, tmp_path)


@every_step
def test_decisions_and_tensors_give_the_network_back(result: Applied, tmp_path: Path) -> None:
    check_rebuilt(result, tmp_path)


def check_rebuilt(result: Applied, tmp_path: Path) -> None:
    """Decisions as JSON and tensors as safetensors are the network, bit for bit."""
    text = json.dumps(result.decisions)
    assert len(text) < LARGEST_DECISIONS_BYTES
    save_file(
        {name: t.contiguous() for name, t in result.after.state_dict().items()}, tmp_path / "step.safetensors"
    )
    rebuilt = result.step.rebuild(to_meta(result.before).to_empty(device="cpu"), json.loads(text))
    rebuilt.load_state_dict(load_file(tmp_path / "step.safetensors"))
    images = torch.randn(8, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        outputs = result.after.eval()(images)
        assert outputs.isfinite().all()
        assert torch.equal(rebuilt.eval()(images), outputs)
    assert structure(rebuilt) == structure(result.after)
    trainable = [name for name, p in result.after.named_parameters() if p.requires_grad]
    assert [name for name, p in rebuilt.named_parameters() if p.requires_grad] == trainable


@every_step
def test_layers_keep_their_names_and_the_outputs_are_finite(result: Applied) -> None:
    images = torch.randn(8, 1, 16, 16, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        outputs = result.after.eval()(images)
    assert outputs.shape == (8, 4)
    assert outputs.isfinite().all()
    if not result.step.replaces_network:
        grids = {"value_grids"}  # a program's own, once it has some
        assert structure(result.after).keys() - grids == structure(result.before).keys() - grids


@every_step
def test_the_network_comes_back_pickled(result: Applied) -> None:
    """Workers hand networks to each other."""
    again = pickle.loads(pickle.dumps(result.after))
    assert equal(again.state_dict(), result.after.state_dict())
    assert structure(again) == structure(result.after)


@every_step
def test_training_afterwards_reduces_the_loss(result: Applied, new_context: Callable[..., Any]) -> None:
    context = new_context(result.before, epochs=12)
    network = pickle.loads(pickle.dumps(result.after))
    before = context.loss(network)
    context.fit(network)
    assert context.loss(network) < max(before, 0.05)
    assert structure_changes(result.after, network) == {}


@every_step
def test_decisions_that_do_not_fit_are_told_in_a_sentence(
    step: Technique, trained: dict[str, nn.Module]
) -> None:
    if step.replaces_network:
        pytest.skip("a student is built from its settings alone")
    spec = {
        "type": "norm",
        "features": 4,
        "eps": 1e-5,
        "momentum": 0.1,
        "trained_scale": True,
        "output_grid": None,
    }
    with pytest.raises(AtollError, match=f"{step.name}: the decisions name 'conv9'"):
        step.rebuild(trained["sequential"], {"structure": {"conv9": spec}})
