"""Calls of a network that its plans remember: what a plan is then read as is what it is read as without."""

from copy import deepcopy
from dataclasses import fields

import pytest
from atoll.spaces.graph.graph import Operation
from atoll.spaces.graph.reading import trace
from atoll.spaces.graph.tracing import calls_of, remember_calls
from atoll.spaces.layers.structure import input_shape_of, to_meta
from atoll.spaces.recipes.recipe import Recipe
from torch import nn

RECIPES = (
    "prune_channels(ratio=0.5)",
    "tensor_train(rank=4) -> prune_channels -> tucker(rank=0.5) -> quantize(bits=4)",
    "cluster -> binarize",
    "distill(student=compact_cnn) -> quantize",
)


def read(network: nn.Module) -> list[tuple[object, ...]]:
    operations = trace(network, input_shape_of(network)).operations
    names = [field.name for field in fields(Operation) if field.name not in ("module", "grids", "constant")]
    told = [tuple(getattr(one, name) for name in names) for one in operations]
    return [(*one, type(op.module), len(op.grids)) for one, op in zip(told, operations, strict=True)]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_plan_is_read_alike_by_remembered_calls(recipe: str, network: nn.Module) -> None:
    remembered, anew = remember_calls(to_meta(network).eval()), to_meta(network).eval()
    for step in Recipe.parse(recipe):
        remembered, anew = step.plan(remembered).eval(), step.plan(anew).eval()
        assert read(remembered) == read(anew)


def test_copies_share_them_and_another_network_has_its_own(trained: dict[str, nn.Module]) -> None:
    network, program = trained["sequential"], trained["residual"]
    remembered = remember_calls(to_meta(network).eval())
    known = calls_of(remembered)
    assert calls_of(to_meta(deepcopy(remembered))) is known
    assert calls_of(network) is not known and calls_of(network) is not calls_of(network)
    assert calls_of(to_meta(remember_calls(program))) is calls_of(program)
    (student,) = Recipe.parse("distill(student=compact_cnn)")
    assert calls_of(student.plan(remembered)) is not known
