"""The recipes of a study: how many, and which of them its device rules out."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Any

from ...spaces.errors import AtollError
from ...spaces.recipes.order import count_recipes, sample
from ...spaces.recipes.recipe import Recipe
from ..driver.launch import pricer_of
from ..proposer.trial_scores import Judge
from ..study.study import Study

#: Recipes that are priced to see what the device rules out; tells 10 % from 15 %.
SAMPLES = 200


def legal_recipes(study: Study) -> int:
    """Returns how many recipes the study may propose."""
    longer = count_recipes(study.technique_types, study.max_steps, study.grids)
    if study.min_steps == 1:
        return longer
    return longer - count_recipes(study.technique_types, study.min_steps - 1, study.grids)


def legal_said(study: Study, legal: int) -> str:
    """Returns in words how many recipes the study may propose, and of how many steps."""
    if study.min_steps < study.max_steps:
        return f"{legal:,} of {study.min_steps} to {study.max_steps} steps"
    return f"{legal:,} of {study.max_steps} step{'s' * (study.max_steps != 1)}"


@dataclass(frozen=True)
class RuledOut:
    """Recipes drawn at random that the constraints rule out before any training.

    Args:
        priced: how many were drawn; 0 where every constraint needs training.
        rejected: how many of them.
        reasons: how many each constraint ruled out, the most first.
    """

    priced: int
    rejected: int
    reasons: Mapping[str, int]

    def __str__(self) -> str:
        if not self.priced:
            return "nothing: every constraint needs training to tell"
        if not self.rejected:
            return f"nothing of {self.priced} recipes drawn at random"
        said = ", ".join(f"{name} {count}" for name, count in self.reasons.items())
        return f"{self.rejected} of {self.priced} recipes drawn at random ({said})"


def ruled_out(study: Study, longest_s: float = inf) -> RuledOut:
    """Prices recipes drawn at random against the constraints that need no training.

    Args:
        study: whose space and device.
        longest_s: after which no further recipe is priced.
    """
    constraints = study.demands
    if all(one.needs_training for one in constraints):
        return RuledOut(0, 0, {})
    price = pricer_of(study)
    judge = Judge(constraints, {**price(Recipe()), "quality": 1.0})
    random = Random(study.seed)
    reasons: dict[str, int] = {}
    priced = rejected = 0
    started = time.monotonic()
    while priced < SAMPLES and (not priced or time.monotonic() - started < longest_s):
        recipe = sample(study.technique_types, random, study.max_steps, study.grids)
        broken = _broken(judge, price, recipe)
        priced += 1
        rejected += bool(broken)
        for constraint in broken:
            reasons[constraint] = reasons.get(constraint, 0) + 1
    return RuledOut(priced, rejected, dict(sorted(reasons.items(), key=lambda item: -item[1])))


def _broken(judge: Judge, price: Any, recipe: Recipe) -> Mapping[str, float]:
    try:
        verdict = judge.rejection(price(recipe))
    except AtollError:
        return {"cannot be planned": 1.0}
    return {} if verdict is None else verdict.violation
