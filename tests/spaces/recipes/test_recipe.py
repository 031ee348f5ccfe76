"""Recipes: text and JSON round trips, canonical printing, digests, and where a text does not parse."""

import pickle
from functools import partial
from hashlib import sha256
from typing import Any

import pytest
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.technique.domains import Choice, Domain, Float, Int
from atoll.spaces.technique.technique import Technique
from atoll.spaces.techniques import TECHNIQUES
from hypothesis import given
from hypothesis import strategies as st


def legal_values(domain: Domain) -> st.SearchStrategy[Any]:
    if isinstance(domain, Float):
        return st.floats(domain.low, domain.high, exclude_min=domain.open_ends, exclude_max=domain.open_ends)
    if isinstance(domain, Int):
        return st.integers(domain.low, domain.high)
    return st.sampled_from(domain.values if isinstance(domain, Choice) else domain.grid)


def steps_of(technique: type[Technique]) -> st.SearchStrategy[Technique]:
    settings = {name: legal_values(domain) for name, domain in technique.domains().items()}
    return (
        st.fixed_dictionaries(settings).filter(partial(goes_together, technique)).map(technique.from_settings)
    )


def goes_together(technique: type[Technique], settings: dict[str, Any]) -> bool:
    """Whether settings that are legal by themselves are so together."""
    try:
        technique.from_settings(settings)
    except AtollError:
        return False
    return True


RECIPES = st.lists(st.sampled_from(TECHNIQUES).flatmap(steps_of), max_size=5).map(
    lambda steps: Recipe(tuple(steps))
)


@given(RECIPES)
def test_text_json_and_pickle_give_the_recipe_back(recipe: Recipe) -> None:
    assert Recipe.parse(str(recipe)) == recipe
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert pickle.loads(pickle.dumps(recipe)) == recipe


@given(RECIPES, RECIPES)
def test_digests_are_equal_exactly_where_recipes_are(first: Recipe, second: Recipe) -> None:
    assert (first.digest == second.digest) == (first == second)
    assert Recipe.parse(str(first)).digest == first.digest


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("baseline", "baseline"),
        ("  quantize ", "quantize(bits=8)"),
        ("quantize()", "quantize(bits=8)"),
        ("quantize(bits = 4.0)", "quantize(bits=4)"),
        ("quantize(first_last=int8,bits=4)", "quantize(bits=4)"),
        ("quantize(first_last='same')", "quantize(bits=8, first_last=same)"),
        ("prune_channels(ratio=5e-1)->cluster", "prune_channels(ratio=0.5) -> cluster(clusters=16)"),
        (
            "tensor_train(rank=4, in_dims=16x8x16x8, out_dims=4x2x4x2)",
            "tensor_train(rank=4, in_dims=16x8x16x8, out_dims=4x2x4x2)",
        ),
        ("binarize", "binarize"),
    ],
)
def test_printing_is_canonical(text: str, canonical: str) -> None:
    assert str(Recipe.parse(text)) == canonical


def test_the_digest_is_the_same_everywhere() -> None:
    """SHA-256 of what was written and is not default, so that settings added later change nothing."""
    text = "prune_channels(ratio=0.25) -> tensor_train(rank=4) -> quantize(bits=4, first_last=same)"
    written = (
        '[{"settings":{"ratio":0.25},"technique":"prune_channels","version":2},'
        '{"settings":{},"technique":"tensor_train","version":1},'
        '{"settings":{"bits":4,"first_last":"same"},"technique":"quantize","version":1}]'
    )
    assert Recipe.parse(text).digest == sha256(written.encode()).hexdigest()
    assert Recipe.parse("baseline").digest == sha256(b"[]").hexdigest()


def test_settings_written_out_at_their_defaults_change_no_digest() -> None:
    assert Recipe.parse("quantize(bits=8, first_last=int8)").digest == Recipe.parse("quantize").digest
    assert Recipe.parse("quantize(bits=4)").digest != Recipe.parse("quantize").digest


def test_prefixes_run_from_the_baseline_to_the_whole() -> None:
    recipe = Recipe.parse("cluster -> quantize -> distill")
    assert [len(prefix) for prefix in recipe.prefixes()] == [0, 1, 2, 3]
    assert str(recipe.prefixes()[0]) == "baseline"
    assert recipe.prefixes()[-1] == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got an empty text, allowed is 'baseline' or steps joined by '->'"),
        ("   ", "got an empty text"),
        ("cluster ->", "step 2 of 'cluster ->': got '', allowed is technique"),
        ("cluster -> -> binarize", "step 2 of 'cluster -> -> binarize'"),
        ("cluster -> quantise", "step 2 of .* unknown technique 'quantise'; did you mean 'quantize'"),
        ("baseline -> cluster", "step 1 of .* unknown technique 'baseline'"),
        ("cluster(16)", "step 1 of .*: got '16', allowed is setting=value"),
        ("cluster(clusters=16", r"step 1 of .*: got 'cluster\(clusters=16', allowed is technique"),
        ("cluster(k=16)", "step 1 of .* unknown setting 'k'"),
        ("cluster(clusters=1)", "cluster: clusters: got 1, allowed is a whole number from 2 to 256"),
        ("cluster(clusters=8, clusters=9)", "setting 'clusters' is given twice"),
        ("cluster(clusters=)", "allowed is setting=value"),
        ("prune_weights(ratio=1.0)", "ratio: got 1.0, allowed is a number between 0 and 1"),
        ("prune_weights(ratio=" + "(" * 5000 + ")", "ratio: got"),
        ("tensor_train(in_dims=4x4)", "tensor_train: got in_dims=4x4 and out_dims=auto"),
        ("tensor_train(in_dims=4x4, out_dims=4x4x4)", "allowed are both auto, or both with the same number"),
        ("quantize(bits=8); import os", "step 1 of .*allowed is technique"),
    ],
)
def test_what_does_not_parse_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(AtollError, match=message):
        Recipe.parse(text)


@given(st.text(max_size=40))
def test_no_text_ends_in_another_error(text: str) -> None:
    try:
        Recipe.parse(text)
    except AtollError as error:
        assert str(error)


def test_json_of_another_version_is_refused() -> None:
    (step,) = Recipe.parse("cluster").to_json()
    with pytest.raises(AtollError, match="cluster: got version 99, allowed is version 1"):
        Recipe.from_json([{**step, "version": 99}])


def test_json_without_its_parts_is_refused() -> None:
    with pytest.raises(AtollError, match="a step without 'version'"):
        Recipe.from_json([{"technique": "cluster"}])


@pytest.mark.parametrize("text", ["quantize(bits=8)", "mixed_precision(bits=4.0)"])
def test_settings_learned_later_leave_recipes_and_digests_as_they_were(text: str) -> None:
    recipe = Recipe.parse(text)
    (told,) = recipe.identity()
    assert str(recipe) == text and told["version"] == 1 and told["settings"] == {}
    old = [{**step, "settings": {"bits": step["settings"]["bits"]}} for step in recipe.to_json()]
    assert Recipe.from_json(old) == recipe


@pytest.mark.parametrize("name", ["1.10", "1.1", "1e3", "0x10", "1_0", "0", "True", "'1.10'", "1.10|2.1"])
def test_names_of_layers_that_look_like_numbers_stay_as_written(name: str) -> None:
    recipe = Recipe.parse(f"quantize(bits=8, layers={name})")
    assert recipe.steps[0].scope == name.strip("'")
    assert Recipe.parse(str(recipe)) == recipe == Recipe.from_json(recipe.to_json())


def test_a_number_in_place_of_a_name_is_refused() -> None:
    step = Recipe.parse("quantize(bits=8)").to_json()[0]
    step["settings"]["layers"] = 1.10
    with pytest.raises(AtollError, match=r"layers: got the number 1.1, allowed are names: put it in quotes"):
        Recipe.from_json([step])
