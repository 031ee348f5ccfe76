"""What another study found: a lesson for the predictor, which this study's own results outweigh."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ...evaluators.ranking.against_baseline import Figures, cost_of, figure_of
from ...evaluators.ranking.figures import FIGURE
from ...evaluators.ranking.quality_terms import QualityTerms
from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe

#: costs that every plan has, and every record of a step
PLAN_COSTS = ("model_bytes", "macs", "latency_ms", "peak_memory_bytes", "parameters")


@dataclass(frozen=True)
class Lesson:
    """What a recipe gave in another study of the same task, beside the baseline there.

    Args:
        recipe: what was carried out, or the beginning of it.
        drop: how much worse the quality was, in its unit.
        shares: of the baseline's costs, by the names of `PLAN_COSTS`.
    """

    recipe: Recipe
    drop: float
    shares: Mapping[str, float]

    @classmethod
    def of(cls, recipe: Recipe, found: Figures, baseline: Figures) -> Self:
        """Takes it out of what was found after a recipe.

        Raises:
            AtollError: a figure is missing or not finite.
        """
        drop = QualityTerms.of(baseline).drop(figure_of(baseline, "quality"), figure_of(found, "quality"))
        least = {name: FIGURE[name].resolution for name in PLAN_COSTS}
        shares = {
            name: max(cost_of(found, name), least[name]) / max(cost_of(baseline, name), least[name])
            for name in PLAN_COSTS
        }
        return cls(recipe, drop, shares)

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON, for the journal."""
        return {"recipe": str(self.recipe), "drop": self.drop, "shares": dict(self.shares)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Reads what `to_json` gave.

        Raises:
            AtollError: it is no lesson, or its recipe is of another version of Atoll.
        """
        if not isinstance(value, Mapping) or not isinstance(value.get("shares"), Mapping):
            raise AtollError(f"a lesson of another study is {value!r:.80}: an object with shares is meant")
        shares = {name: figure_of(value["shares"], name, "lesson") for name in PLAN_COSTS}
        if min(shares.values()) <= 0:
            raise AtollError(f"a lesson of another study has the shares {shares}: they are above 0")
        return cls(Recipe.parse(str(value.get("recipe"))), figure_of(value, "drop", "lesson"), shares)
