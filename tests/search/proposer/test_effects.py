"""What steps do, learned: the posterior of a linear model, held against its definition."""

from typing import Any

import numpy as np
import pytest
from atoll.search.proposer.effects import Lessons, Words, features
from atoll.spaces.recipes.recipe import Recipe

TEXTS = """svd(rank=8); quantize(bits=8); quantize(bits=4); svd(rank=8) -> quantize(bits=8);
    svd(rank=4) -> quantize(bits=8); cluster(clusters=8) -> distill; svd(rank=8) -> cluster -> distill"""
RECIPES = [Recipe.parse(text) for text in TEXTS.split(";")]
NOISE = 0.3


def taught(recipes: list[Recipe], figures: list[list[float]]) -> tuple[Words, Lessons]:
    words, lessons = Words(), Lessons(len(figures[0]), NOISE)
    for recipe, figure in zip(recipes, figures, strict=True):
        lessons.add(words.learn(recipe), figure)
    return words, lessons


def dense(words: Words, recipes: list[Recipe]) -> tuple[Any, Any]:
    """Returns their rows over all columns, and the variance of what has none."""
    rows, unknown = np.zeros((len(recipes), len(words))), np.zeros(len(recipes))
    for place, recipe in enumerate(recipes):
        columns, weights = words.row(recipe)
        rows[place, columns[columns >= 0]] = weights[columns >= 0]
        unknown[place] = (weights[columns < 0] ** 2).sum()
    return rows, unknown


def said(words: Words, lessons: Lessons, recipes: list[Recipe]) -> tuple[Any, Any]:
    effects, rows = lessons.learned(len(words)), [words.row(recipe) for recipe in recipes]
    return effects.means(rows), effects.spreads(rows)


def test_the_posterior_is_that_of_a_normal_linear_model() -> None:
    """Its definition, with dense matrices: covariance (I + X'X / s^2)^-1, mean covariance X'y / s^2."""
    figures = np.random.default_rng(0).normal(size=(len(RECIPES), 2))
    words, lessons = taught(RECIPES, figures.tolist())
    asked = [*RECIPES, Recipe.parse("svd(rank=16) -> quantize(bits=4)")]
    rows, unknown = dense(words, asked)
    known, nothing = dense(words, RECIPES)
    assert unknown[-1] == pytest.approx(
        sum(weight**2 for weight in features(asked[-1]).values()) - (rows[-1] ** 2).sum()
    )
    assert not nothing.any()
    covariance = np.linalg.inv(np.eye(known.shape[1]) + known.T @ known / NOISE**2)
    means, spreads = said(words, lessons, asked)
    assert means == pytest.approx(rows @ covariance @ known.T @ figures / NOISE**2)
    assert spreads == pytest.approx(np.sqrt(np.einsum("ij,jk,ik->i", rows, covariance, rows) + unknown))


def test_the_order_of_results_and_what_was_taken_away_leave_no_trace() -> None:
    """Not in the last bit: `Lessons` adds whole numbers."""
    words, figures = Words(), np.random.default_rng(1).normal(size=(len(RECIPES), 1)).tolist()
    rows = [words.learn(recipe) for recipe in RECIPES]
    one, other = Lessons(1, NOISE), Lessons(1, NOISE)
    for place in range(len(RECIPES)):
        one.add(rows[place], figures[place])
    for place in reversed(range(len(RECIPES))):
        other.add(rows[place], figures[place])
        other.add(rows[0], [0.1], noises=2.0)
        other.add(rows[0], [0.1], noises=2.0, times=-1)
    assert (one.learned(len(words)).precision == other.learned(len(words)).precision).all()
    assert (one.learned(len(words)).sums == other.learned(len(words)).sums).all()


def test_what_is_said_of_a_recipe_does_not_depend_on_what_else_is_asked() -> None:
    words, lessons = taught(RECIPES, np.random.default_rng(2).normal(size=(len(RECIPES), 2)).tolist())
    means, spreads = said(words, lessons, RECIPES)
    for place, recipe in enumerate(RECIPES):
        mean, spread = said(words, lessons, [recipe])
        assert (mean[0] == means[place]).all() and spread[0] == spreads[place]


def test_nothing_learned_expects_nothing_and_knows_nothing() -> None:
    means, spreads = said(Words(), Lessons(1, NOISE), [RECIPES[3]])
    assert means.tolist() == [[0.0]]
    assert spreads[0] == pytest.approx(np.sqrt(sum(weight**2 for weight in features(RECIPES[3]).values())))


def test_effects_that_add_up_are_recovered_and_carry_over() -> None:
    """A halving a technique, whatever comes before: seen alone and in pairs, a triple follows."""
    alone = {"svd(rank=8)": 1.0, "quantize(bits=8)": 2.0, "cluster(clusters=8)": 0.5}
    pairs = [f"{one} -> {other}" for one in alone for other in alone if one != other]
    recipes = [Recipe.parse(text) for text in (*alone, *pairs)]
    figures = [[sum(alone[str(step)] for step in recipe)] for recipe in recipes]
    words, lessons = Words(), Lessons(1, 0.01)
    for recipe, figure in zip(recipes, figures, strict=True):
        lessons.add(words.learn(recipe), figure)
    triple = Recipe.parse("svd(rank=8) -> cluster(clusters=8) -> quantize(bits=8)")
    means, spreads = said(words, lessons, [triple])
    assert means[0, 0] == pytest.approx(3.5, abs=0.05)
    assert spreads[0] < 0.3


def test_an_order_is_told_from_another() -> None:
    one, other = (Recipe.parse(text) for text in ("svd -> quantize", "quantize -> svd"))
    assert features(one) != features(other)


def test_more_results_never_make_it_less_sure() -> None:
    words, lessons = Words(), Lessons(1, NOISE)
    before = np.inf
    for recipe in RECIPES:
        lessons.add(words.learn(recipe), [0.0])
        _, spreads = said(words, lessons, [RECIPES[-1]])
        assert spreads[0] <= before + 1e-12
        before = spreads[0]
