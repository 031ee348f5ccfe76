"""One suite that every technique has to pass, on every tiny network."""

import ast
import inspect
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import torch
from atoll.spaces.errors import AtollError
from atoll.spaces.layers.structure import structure, structure_changes, to_meta
from atoll.spaces.order import grid_steps
from atoll.spaces.recipe import Recipe
from atoll.spaces.technique import Decisions, Technique
from atoll.spaces.techniques import TECHNIQUES, technique_named
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

#: each technique at its defaults and at the last point of its search grid, which differs most
CASES = list(
    dict.fromkeys(step for technique in TECHNIQUES for step in (technique(), grid_steps(technique)[-1]))
)
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
        assert structure_changes(result.before, result.after) == result.decisions["structure"] != {}


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
    planned = result.step.plan(result.before)
    assert all(tensor.is_meta for tensor in planned.state_dict().values())
    assert result.step.plan_is_exact, "compare the layer tables of a plan that is only a bound"
    assert structure(planned) == structure(result.after)
    from_meta = result.step.plan(to_meta(result.before))
    assert structure(from_meta) == structure(result.after)
    assert equal(result.before.state_dict(), result.state_before)


@every_step
def test_decisions_and_tensors_give_the_network_back(result: Applied, tmp_path: Path) -> None:
    text = json.dumps(result.decisions)
    assert len(text) < LARGEST_DECISIONS_BYTES
    save_file(
        {name: t.contiguous() for name, t in result.after.state_dict().items()}, tmp_path / "step.safetensors"
    )
    rebuilt = result.step.rebuild(to_meta(result.before).to_empty(device="cpu"), json.loads(text))
    rebuilt.load_state_dict(load_file(tmp_path / "step.safetensors"))
    images = torch.randn(8, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        assert torch.equal(rebuilt.eval()(images), result.after.eval()(images))
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
        assert list(structure(result.after)) == list(structure(result.before))


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
