"""What the optimiser is told where a study wants costs as small as possible: how often they were halved."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ...evaluators.ranking.constraints import Figures
from ...evaluators.ranking.goal import Goal
from ...spaces.errors import AtollError

#: also tells it from an objective on the scales of a reference set, which has version 1
VERSION = 2


@dataclass(frozen=True)
class CostObjective:
    """Maps the figures of a candidate to how often the goal's costs were halved in all; higher is better.

    Args:
        goal: what is minimized.
        baseline: the baseline's figure of each of these costs.
    """

    goal: Goal
    baseline: dict[str, float]

    #: the baseline's own; what a rejected recipe is told with
    lowest_reference = 0.0

    @classmethod
    def of(cls, goal: Goal, baseline: Figures) -> Self:
        """Freezes the costs of the baseline, to which halvings refer.

        Raises:
            AtollError: one of them is missing, not finite, or negative.
        """
        goal.halvings(baseline, baseline)
        figures = baseline if isinstance(baseline, Mapping) else baseline.to_json()
        return cls(goal, {name: float(figures[name]) for name in goal.minimized})

    def __call__(self, metrics: Figures) -> float:
        """Returns the halvings.

        Raises:
            AtollError: a cost is missing, not finite, or negative.
        """
        return self.goal.halvings(metrics, self.baseline)

    def to_json(self) -> dict[str, Any]:
        """Returns everything that the number depends on."""
        return {"version": VERSION, "goal": self.goal.value, "baseline": dict(self.baseline)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Builds the objective from what `to_json` gave.

        Raises:
            AtollError: another version, or parts are missing.
        """
        if value.get("version") != VERSION:
            raise AtollError(f"the objective has version {value.get('version')!r}: known is {VERSION}")
        baseline = value.get("baseline")
        if not isinstance(baseline, Mapping):
            raise AtollError("the stored objective is incomplete: it has no baseline")
        return cls.of(Goal.parse(value.get("goal")), baseline)
