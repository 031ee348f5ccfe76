"""The recipes that a recipe is compared with: its steps in other orders, and with each of them left out."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from random import Random

from ...spaces.errors import AtollError
from ...spaces.recipes.order import refusal
from ...spaces.recipes.recipe import Recipe

#: other orders that are run unless more are asked for: all of four steps, the papers' longest ensemble
MOST_ORDERS = 23
#: steps of which every order is looked at (5,040 of seven, within a second); of more some are drawn
_ALL_ORDERS_STEPS = 7
#: draws for one legal order, where not all are looked at, before it is said that no more were found
_DRAWS = 50

AS_FOUND, OTHER_ORDER, WITHOUT = "as found", "other order", "without"


@dataclass(frozen=True)
class Variant:
    """One recipe of the comparison.

    Args:
        kind: as found, other order, or without one step.
        recipe: legal.
        left_out: text of the step that is missing, "" where none is.
    """

    kind: str
    recipe: Recipe
    left_out: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.left_out}".strip()


@dataclass(frozen=True)
class Variants:
    """What is compared, and what is not.

    Args:
        chosen: the recipe itself, then without each of its steps, then in other orders.
        notes: what is not among them and why, a sentence each.
    """

    chosen: tuple[Variant, ...]
    notes: tuple[str, ...]


def variants_of(recipe: Recipe, most_orders: int = MOST_ORDERS) -> Variants:
    """Returns a recipe with those that it is compared with, the same ones every time.

    Args:
        recipe: legal, of two steps or more.
        most_orders: other orders at most, >= 0; of more so many are drawn at random, so that they stand for
            all of them.

    Raises:
        AtollError: it has fewer than two steps.

    >>> found = variants_of(Recipe.parse("svd(rank=8) -> cluster -> quantize(bits=8)"), most_orders=1)
    >>> [str(variant) for variant in found.chosen[:3]]
    ['as found', 'without svd(rank=8)', 'without cluster(clusters=16)']
    """
    if len(recipe) < 2:
        raise AtollError(
            f"got the recipe {str(recipe)!r}, which has no other order and of which nothing is left without "
            "its step: allowed are two steps or more"
        )
    notes = []
    shorter: dict[Recipe, Variant] = {}
    for place, step in enumerate(recipe):
        rest = Recipe(recipe.steps[:place] + recipe.steps[place + 1 :])
        why = refusal(rest.steps)
        if why is None:
            shorter.setdefault(rest, Variant(WITHOUT, rest, str(step)))
        else:
            notes.append(f"not run without {step}: {why}")
    orders, said = _other_orders(recipe, most_orders)
    others = [Variant(OTHER_ORDER, order) for order in orders]
    return Variants((Variant(AS_FOUND, recipe), *shorter.values(), *others), (*notes, *said))


def _other_orders(recipe: Recipe, most: int) -> tuple[list[Recipe], list[str]]:
    """Returns legal orders other than the recipe's own, and what is to be said of the rest."""
    if len(recipe) > _ALL_ORDERS_STEPS:
        some = list(_drawn(recipe, most))
        return some, [
            f"{len(some)} orders were drawn of the {math.factorial(len(recipe)):,} of so many steps"
        ]
    every = dict.fromkeys(map(Recipe, permutations(recipe.steps)))
    del every[recipe]
    refusals = {order: refusal(order.steps) for order in every}
    legal = [order for order, why in refusals.items() if why is None]
    reasons = [why for why in refusals.values() if why is not None]
    notes = []
    if reasons:
        notes.append(
            f"{len(reasons)} of {len(every)} other orders cannot be carried out, such as: {reasons[0]}"
        )
    if len(legal) > most:
        notes.append(f"{most} of {len(legal)} other legal orders were drawn: --orders {len(legal)} runs all")
        legal = sorted(Random(0).sample(legal, most), key=legal.index)
    return legal, notes


def _drawn(recipe: Recipe, most: int) -> Iterator[Recipe]:
    """Yields different legal orders, drawn at random, as far as they are found."""
    random, seen = Random(0), {recipe}
    for _ in range(_DRAWS * most):
        order = Recipe(tuple(random.sample(recipe.steps, len(recipe))))
        if order not in seen and refusal(order.steps) is None:
            seen.add(order)
            yield order
        if len(seen) > most:
            return
