"""The table of what later steps do to earlier ones: computed from plans, true of what is carried out."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from atoll.spaces.recipes.order import refusal
from atoll.spaces.recipes.pair_table import (
    MARKS,
    PAIRS_FILE,
    PairFate,
    fates_of_all,
    markdown,
    matrix,
    pair_fates,
    reference_network,
)
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.technique.technique import Technique
from atoll.spaces.techniques import TECHNIQUES, technique_named
from torch import nn

NAMES = [technique.name for technique in TECHNIQUES]


def carried_out(network: nn.Module, text: str, context: Any) -> nn.Module:
    for step in Recipe.parse(text):
        network, _ = step.apply(network, context)
    return network


def rows_of(first: str, second: str) -> list[PairFate]:
    return [pair for pair in pair_fates() if (pair.first, pair.second) == (first, second)]


def test_every_ordered_pair_has_a_word() -> None:
    assert list(dict.fromkeys((pair.first, pair.second) for pair in pair_fates())) == [
        (first, second) for first in NAMES for second in NAMES
    ]
    for pair in pair_fates():
        steps = (technique_named(pair.first)(), technique_named(pair.second)())
        assert pair.refusal == refusal(steps)
        if pair.constraint is None:
            assert pair.fate is None and pair.layers == ()
        else:
            assert pair.fate in MARKS and pair.layers and pair.refusal is None


def test_what_a_first_step_leaves_is_told_in_all_its_pairs() -> None:
    """Nothing goes without a word: each legal pair speaks of the same things on the same layers."""
    for name in NAMES:
        told = {
            second: sorted((row.constraint, layer) for row in rows for layer in row.layers)
            for second in NAMES
            if (rows := rows_of(name, second)) and rows[0].refusal is None
        }
        assert len({str(places) for places in told.values()}) <= 1, told


def test_known_fates() -> None:
    (kept,) = rows_of("prune_channels", "quantize")
    assert (kept.constraint, kept.fate) == ("channels", "carried over")
    assert len(kept.layers) == 5
    masks = {row.fate: row.layers for row in rows_of("prune_weights", "tensor_train")}
    assert masks["dropped"] == ("classifier.dense1",)
    assert "features.conv1" in masks["carried over"]
    (form,) = rows_of("tensor_train", "prune_channels")
    assert (form.constraint, form.fate) == ("form", "imposed anew")
    assert all(row.constraint is None for row in rows_of("distill", "quantize"))
    (refused,) = rows_of("binarize", "quantize")
    assert "can take only 2 values already" in str(refused.refusal)


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.name)
def test_plans_and_networks_agree(
    technique: type[Technique], trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    """The table speaks the truth: the fates in a plan are those of the step when it is carried out."""
    given = trained["residual"]
    context = new_context(given, epochs=0.25)
    for text in ("tensor_train(fit_steps=0) -> prune_weights -> quantize", "prune_channels -> cluster"):
        earlier = Recipe.parse(text).steps
        step = technique()
        if refusal((*earlier, step)) is None:
            before = carried_out(given, text, context)
            after, _ = step.apply(before, context)
            planned = fates_of_all(given, before, step.plan(before))
            assert planned == fates_of_all(given, before, after) != {}


def test_a_lost_form_is_seen() -> None:
    given = reference_network()
    before = carried_out_plan(given, "tensor_train -> quantize")
    fates = fates_of_all(given, before, given)
    layers = [name for name, _ in before.named_modules() if name.startswith("classifier.dense")]
    assert fates["form"] == {"classifier.dense1": "dropped"}
    assert set(fates["activations"].values()) == set(fates["grid"].values()) == {"dropped"}
    assert set(layers) >= set(fates["form"])


def carried_out_plan(network: nn.Module, text: str) -> nn.Module:
    for step in Recipe.parse(text):
        network = step.plan(network)
    return network


def test_wider_and_narrower_activations_are_seen() -> None:
    given = reference_network()
    before = carried_out_plan(given, "quantize")
    after = carried_out_plan(given, "quantize")
    for layer in (after.get_submodule("features.conv1"), after.get_submodule("features.conv2")):
        layer.activation_bits = 16  # type: ignore[assignment]
    fates = fates_of_all(given, before, after)["activations"]
    assert fates["features.conv1"] == "imposed anew"
    assert fates["features.conv3"] == "carried over"


def test_signs_of_inputs_count_as_activations() -> None:
    given = reference_network()
    before = carried_out_plan(given, "binarize(activations=binary)")
    assert set(fates_of_all(given, before, before)["activations"].values()) == {"carried over"}
    assert set(fates_of_all(given, before, given)["activations"].values()) == {"dropped"}
    after = carried_out_plan(before, "prune_weights")
    assert set(fates_of_all(given, before, after)["activations"].values()) == {"carried over"}


def test_channels_that_come_back_are_seen() -> None:
    given = reference_network()
    before = carried_out_plan(given, "prune_channels")
    assert set(fates_of_all(given, before, given)["channels"].values()) == {"dropped"}


def test_the_matrix_says_it_in_marks() -> None:
    pairs = (
        PairFate("a", "a", refusal="twice"),
        PairFate("a", "b", "mask", "carried over", ("x",)),
        PairFate("a", "b", "mask", "dropped", ("y",)),
        PairFate("a", "b", "grid", "imposed anew", ("x", "y")),
        PairFate("b", "a"),
        PairFate("b", "b", refusal="twice"),
    )
    table = matrix(pairs)
    assert table.names == ("a", "b")
    assert table.left == {"a": ("mask", "grid"), "b": ()}
    assert table.cells == {("a", "a"): "–", ("a", "b"): "=x ~", ("b", "a"): "·", ("b", "b"): "–"}
    page = markdown(pairs)
    assert "| 1 `a`: mask, grid | – | `=x ~` |\n| 2 `b`: nothing | · | – |\n" in page
    assert "## What is refused\n\n- any technique directly after itself" in page
    refused = (PairFate("a", "c", refusal="no"), PairFate("b", "a", refusal="no"))
    assert "- `a -> c`, `b -> a`: no\n" in markdown((*pairs, *refused, PairFate("b", "c"), *alone("c")))
    assert "- `a -> b`: mask carried over on x; dropped on y\n- `a -> b`: grid imposed anew on x, y\n" in page


def alone(name: str) -> list[PairFate]:
    return [PairFate(name, second) for second in "abc"]


def test_the_committed_page_is_what_the_plans_say() -> None:
    assert PAIRS_FILE.read_text(encoding="utf-8") == markdown(pair_fates()), "run `make pairs`"


def test_the_table_moves_no_random_state() -> None:
    torch.manual_seed(1)
    pair_fates.__wrapped__(TECHNIQUES[:2])
    drawn = torch.rand(2)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(2), drawn)
