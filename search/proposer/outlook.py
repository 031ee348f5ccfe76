"""What can be said of a recipe before it is trained: its price, and what it would be worth."""

from collections.abc import Callable
from dataclasses import dataclass

from ...evaluators.ranking.metrics import PlanFigures
from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from .lesson import Lesson
from .trial_scores import Judge

#: gives the plan-only figures of a recipe
Pricer = Callable[[Recipe], PlanFigures]


@dataclass(frozen=True)
class Outlook:
    """What a proposer may ask.

    Args:
        judge: of the study, with its objective.
        price: from the plan alone, in milliseconds.
        lessons: what other studies of the task found, where the study is to begin warm.
    """

    judge: Judge
    price: Pricer
    lessons: tuple[Lesson, ...] = ()

    def figures(self, recipe: Recipe) -> PlanFigures | None:
        """Returns the price, None where it cannot be planned or no trial of it would be run."""
        try:
            price = self.price(recipe)
            return None if self.judge.rejection(price) is not None else price
        except AtollError:
            return None
