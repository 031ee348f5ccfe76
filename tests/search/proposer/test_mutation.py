"""Changes of a recipe: legal, one change away, and every kind of change happens."""

from random import Random

from atoll.search.proposer.mutation import mutate
from atoll.spaces.recipes.order import grid_steps, is_legal
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques import TECHNIQUES
from hypothesis import given
from hypothesis import strategies as st

SPACE = {technique.name: grid_steps(technique) for technique in TECHNIQUES}
RECIPE = Recipe.parse("prune_channels(ratio=0.5) -> tensor_train(rank=8) -> quantize(bits=4)")


def changed(seed: int, recipe: Recipe = RECIPE, max_steps: int = 4) -> Recipe:
    return mutate(recipe, SPACE, Random(seed), max_steps)


@given(st.integers(0, 2**32), st.integers(3, 5))
def test_a_changed_recipe_is_legal_and_short_enough(seed: int, max_steps: int) -> None:
    recipe = changed(seed, max_steps=max_steps)
    assert is_legal(recipe.steps)
    assert len(recipe) <= max_steps
    # one change away; the repair may leave out another step that has no meaning any more
    assert len(set(RECIPE.steps) & set(recipe.steps)) >= len(RECIPE) - 2


@given(st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_change(seed: int) -> None:
    assert changed(seed) == changed(seed)


def test_every_kind_of_change_happens() -> None:
    found = [changed(seed) for seed in range(300)]
    appended = sum(recipe.steps[:3] == RECIPE.steps and len(recipe) == 4 for recipe in found)
    inserted = sum(len(recipe) == 4 and recipe.steps[:3] != RECIPE.steps for recipe in found)
    removed = sum(len(recipe) == 2 for recipe in found)
    swapped = sum(set(recipe.steps) == set(RECIPE.steps) and recipe != RECIPE for recipe in found)
    set_anew = sum(
        [s.name for s in recipe] == [s.name for s in RECIPE] and recipe != RECIPE for recipe in found
    )
    assert min(appended, inserted, removed, swapped, set_anew) > 0
    assert appended > inserted


def test_a_step_outside_the_space_is_kept() -> None:
    alone = Recipe.parse("tensor_train(rank=7)")
    space = {"quantize": SPACE["quantize"]}
    found = [mutate(alone, space, Random(seed), 4) for seed in range(20)]
    assert all(alone.steps[0] in recipe.steps for recipe in found)
    assert any(len(recipe) == 2 for recipe in found)
