"""What steps do, learned: the posterior of a linear model, held against its definition."""

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


def test_the_posterior_is_that_of_a_normal_linear_model() -> None:
    """Its definition, with dense matrices: covariance (I + X'X / s^2)^-1, mean covariance X'y / s^2."""
    figures = np.random.default_rng(0).normal(size=(len(RECIPES), 2))
    words, lessons = taught(RECIPES, figures.tolist())
    asked = [*RECIPES, Recipe.parse("svd(rank=16) -> quantize(bits=4)")]
    rows, unknown = words.rows(asked)
    known, nothing = words.rows(RECIPES)
    assert unknown[-1] == pytest.approx(
        sum(weight**2 for weight in features(asked[-1]).values()) - (rows[-1] ** 2).sum()
    )
    assert not nothing.any()
    covariance = np.linalg.inv(np.eye(known.shape[1]) + known.T @ known / NOISE**2)
    means, spreads = lessons.learned().predict(rows, unknown)
    assert means == pytest.approx(rows @ covariance @ known.T @ figures / NOISE**2)
    assert spreads == pytest.approx(np.sqrt(np.einsum("ij,jk,ik->i", rows, covariance, rows) + unknown))


def test_nothing_learned_expects_nothing_and_knows_nothing() -> None:
    words, lessons = Words(), Lessons(1, NOISE)
    recipe = RECIPES[3]
    means, spreads = lessons.learned().predict(*words.rows([recipe]))
    assert means.tolist() == [[0.0]]
    assert spreads[0] == pytest.approx(np.sqrt(sum(weight**2 for weight in features(recipe).values())))


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
    means, spreads = lessons.learned().predict(*words.rows([triple]))
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
        _, spreads = lessons.learned().predict(*words.rows([RECIPES[-1]]))
        assert spreads[0] <= before + 1e-12
        before = spreads[0]
