"""Which orders are legal: against brute force, and the reasons in words."""

import re
import time
from collections.abc import Sequence
from itertools import permutations, product
from random import Random

import pytest
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.order import (
    Grids,
    check_order,
    count_recipes,
    grid_steps,
    is_legal,
    refusal,
    repair,
    sample,
)
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.technique.technique import Technique
from atoll.spaces.techniques import TECHNIQUES, technique_named
from hypothesis import given
from hypothesis import strategies as st

ALL_STEPS = [step for technique in TECHNIQUES for step in grid_steps(technique)]
SEQUENCES = st.lists(st.sampled_from(ALL_STEPS), max_size=7)
#: the six that the design wants in any position
FREE = ("prune_channels", "prune_weights", "tensor_train", "cluster", "quantize", "distill")


@given(SEQUENCES, st.integers(1, 4))
def test_repair_is_legal_idempotent_and_leaves_legal_recipes_alone(
    steps: list[Technique], max_steps: int
) -> None:
    repaired = repair(steps, max_steps)
    assert is_legal(repaired.steps)
    assert len(repaired) <= max_steps
    assert repair(repaired.steps, max_steps) == repaired
    if is_legal(steps) and len(steps) <= max_steps:
        assert repaired.steps == tuple(steps)
    left = iter(steps)  # in the order given: a subsequence
    assert all(any(step == other for other in left) for step in repaired)


@given(SEQUENCES)
def test_every_prefix_of_a_legal_order_is_legal(steps: list[Technique]) -> None:
    if is_legal(steps):
        assert all(is_legal(steps[:n]) for n in range(len(steps)))


def brute_force(techniques: Sequence[type[Technique]], max_steps: int, grids: Grids) -> int:
    steps = [step for technique in techniques for step in grid_steps(technique, grids)]
    return sum(
        is_legal(combination)
        for length in range(1, max_steps + 1)
        for combination in product(steps, repeat=length)
    )


#: techniques that others need or exclude, students, settings that rules treat alike, and layers in part
SPACES: dict[tuple[str, ...], Grids] = {
    ("cluster", "quantize", "binarize", "distill"): {"cluster": {"clusters": [4, 16]}},
    ("quantize", "quantization_offset", "prune_weights"): {
        "quantize": {"bits": [8], "layers": ["*", "conv*", "dense*"], "ends": ["extremes"]},
        "prune_weights": {"ratio": [0.5, 0.9]},
    },
    ("quantize", "prune_channels"): {
        "quantize": {"bits": [8, 4, 2], "first_last": ["same"], "layers": ["*", "conv*"]},
        "prune_channels": {"ratio": [0.25], "layers": ["*", "conv*"]},
    },
    ("distill", "binarize", "cluster"): {
        "distill": {"student": ["same", "compact_cnn"], "alpha": [0.5]},
        "binarize": {"layers": ["*", "conv*"]},
        "cluster": {"clusters": [2, 16], "layers": ["*", "conv*"]},
    },
    tuple(technique.name for technique in TECHNIQUES): {
        technique.name: {name: domain.grid[:1] for name, domain in technique.domains().items()}
        for technique in TECHNIQUES
    },
}


@pytest.mark.parametrize("max_steps", [1, 2, 3, 4])
@pytest.mark.parametrize("names", SPACES, ids=lambda names: f"{len(names)}-{names[0]}")
def test_recipes_are_counted_as_brute_force_counts_them(names: tuple[str, ...], max_steps: int) -> None:
    few = [technique_named(name) for name in names]
    assert count_recipes(few, max_steps, SPACES[names]) == brute_force(few, max_steps, SPACES[names])


def test_six_steps_are_counted_as_brute_force_counts_them() -> None:
    grids: Grids = {
        "quantize": {"bits": [8, 4], "first_last": ["same"], "layers": ["*", "dense"]},
        "prune_weights": {"ratio": [0.5]},
        "prune_channels": {"ratio": [0.5]},
    }
    few = [technique_named(name) for name in grids]
    assert count_recipes(few, 6, grids) == brute_force(few, 6, grids) > count_recipes(few, 5, grids)


def test_twelve_steps_are_counted_in_seconds_and_by_hand() -> None:
    """Two techniques that may come again, but not directly: they take turns, three and five settings."""
    grids: Grids = {
        "prune_weights": {"ratio": [0.1, 0.2, 0.3]},
        "prune_channels": {"ratio": [0.1, 0.2, 0.3, 0.4, 0.5]},
    }
    two = [technique_named(name) for name in ("prune_weights", "prune_channels")]
    a, b = (len(grid_steps(technique, grids)) for technique in two)
    taking_turns = [
        a ** ((n + 1) // 2) * b ** (n // 2) + b ** ((n + 1) // 2) * a ** (n // 2) for n in range(1, 13)
    ]
    assert count_recipes(two, 12, grids) == sum(taking_turns)
    started = time.process_time()
    assert count_recipes(TECHNIQUES, 12) > count_recipes(TECHNIQUES, 11)
    assert time.process_time() - started < 10


@pytest.mark.parametrize("length", [2, 3])
def test_the_free_techniques_go_in_any_order(length: int) -> None:
    refused = {
        names: refusal([technique_named(name)() for name in names])
        for names in permutations(FREE, length)
        if not is_legal([technique_named(name)() for name in names])
    }
    assert refused == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "cluster -> distill(student=compact_cnn)",
            r"builds a new network and would forget cluster\(clusters=16\): it can only be the first step",
        ),
        ("cluster -> cluster(clusters=8)", "directly after .* is one step written twice"),
        ("distill -> distill", "is one step written twice"),
        ("quantize -> cluster -> quantize(bits=4)", "quantize comes twice: what it leaves is still in force"),
        ("binarize -> quantize", "quantize.bits=8. after binarize: .* can take only 2 values already"),
        ("binarize -> prune_weights -> quantize(bits=2)", "can take only 2 values already"),
        ("binarize -> cluster", "can take only 2 values already"),
    ],
)
def test_refused_orders_say_why(text: str, reason: str) -> None:
    with pytest.raises(AtollError, match=reason):
        check_order(Recipe.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "baseline",
        "distill(student=compact_cnn) -> quantize(bits=2) -> distill",
        "prune_weights -> cluster -> prune_weights(ratio=0.9)",
        "quantize(bits=2) -> cluster -> binarize -> prune_weights",
        "binarize -> tensor_train -> prune_channels",
    ],
)
def test_unwise_orders_are_legal(text: str) -> None:
    recipe = Recipe.parse(text)
    assert check_order(recipe, max_steps=4) is recipe


def test_too_many_steps_are_refused() -> None:
    with pytest.raises(AtollError, match="got 3 steps, allowed are 2 at most"):
        check_order(Recipe.parse("cluster -> quantize -> distill"), max_steps=2)


def first_techniques(recipes: Sequence[Recipe]) -> set[str]:
    return {recipe.steps[0].name for recipe in recipes}


def test_samples_are_legal_varied_and_a_function_of_the_seed() -> None:
    drawn = [sample(TECHNIQUES, Random(seed)) for seed in range(200)]
    assert all(is_legal(recipe.steps) and 1 <= len(recipe) <= 4 for recipe in drawn)
    assert drawn == [sample(TECHNIQUES, Random(seed)) for seed in range(200)]
    first = {technique.name for technique in TECHNIQUES if technique().needs_stage is None}
    assert first_techniques(drawn) == first
    assert {len(recipe) for recipe in drawn} == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("quantize(bits=4, layers=conv*) -> quantize(bits=8, layers=dense*)", None),
        ("quantize(bits=4, layers=conv*) -> quantize(bits=8)", None),
        ("quantize(bits=4, layers=conv*) -> quantize(bits=8, layers=conv*)", "one step written twice"),
        ("quantize(bits=4) -> quantize(bits=8, layers=conv*)", "comes twice: .* once, or fewer values"),
        ("quantize(bits=4) -> quantize(bits=2, layers=conv*)", None),
        ("quantize(bits=8) -> cluster -> quantize(bits=4, layers=conv*) -> quantize(bits=2, layers=a)", None),
        ("quantize(bits=4, layers=conv*) -> quantize(bits=2, layers=conv*)", "one step written twice"),
        ("quantize(bits=4) -> distill -> quantize(bits=2)", "comes twice"),
        ("quantize(bits=16) -> quantize(bits=8, scheme=affine, layers=conv*)", None),
        ("cluster(codebook_bits=8) -> cluster(codebook_bits=4, layers=conv*)", None),
        (
            "cluster(clusters=32) -> cluster(clusters=8, layers=conv*)",
            "comes twice: .* give its final settings once$",
        ),
        ("prune_weights -> prune_weights(ratio=0.9, layers=conv*)", None),
        ("prune_weights -> prune_weights(ratio=0.9)", "one step written twice"),
        ("quantize(bits=4) -> distill -> quantize(bits=4, layers=conv*)", "comes twice"),
        ("binarize(layers=conv2) -> quantize(bits=8)", None),
        ("binarize -> quantize(bits=8, layers=conv*)", "can take only 2 values already"),
    ],
)
def test_layers_that_differ_make_steps_that_differ(text: str, reason: str | None) -> None:
    found = refusal(Recipe.parse(text).steps)
    assert found is None if reason is None else found is not None and re.search(reason, found)
