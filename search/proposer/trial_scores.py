"""Judges trials of one study: the objective on its frozen scales, and its constraints."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ...evaluators.ranking.against_baseline import Figures
from ...evaluators.ranking.demands import Demand, violations
from ...evaluators.ranking.goal import Goal
from .cost_objective import VERSION as OF_COSTS
from .cost_objective import CostObjective
from .objective import LINEAR, WeightedScore

#: Violation with which a failed trial is told: as bad as twice the bound.
FAILED_VIOLATION = 1.0


class Objective(Protocol):
    """Maps the figures of a candidate to one number, now and for good the same; higher is better."""

    @property
    def lowest_reference(self) -> float:
        """What a rejected or failed recipe is told with."""

    def __call__(self, metrics: Figures) -> float:
        """Returns the number; an AtollError where a figure that it needs is missing."""

    def to_json(self) -> dict[str, Any]:
        """Returns everything that the number depends on, for `objective_from_json`."""


def objective_from_json(value: Mapping[str, Any]) -> Objective:
    """Returns the objective that a store holds.

    Raises:
        AtollError: of an unknown version, or incomplete.
    """
    kind = CostObjective if value.get("version") == OF_COSTS else WeightedScore
    return kind.from_json(value)


@dataclass(frozen=True)
class Verdict:
    """Why a recipe is not worth a trial.

    Args:
        reason: for the reader.
        violation: by constraint, relative to its bound, > 0 where it is broken.
    """

    reason: str
    violation: dict[str, float]


@dataclass(frozen=True)
class Judge:
    """What a study demands.

    Args:
        constraints: of the study, and that its runtime loads the file.
        baseline: metrics of the baseline, to which drops and ratios refer.
        objective: None until the reference set is complete.
    """

    constraints: tuple[Demand, ...]
    baseline: Figures
    objective: Objective | None = None

    def of_costs(self, goal: Goal) -> "Judge":
        """Returns the judge that counts how often the goal's costs were halved; it needs no reference set."""
        return replace(self, objective=CostObjective.of(goal, self.baseline))

    def frozen(
        self,
        reference: Sequence[Figures | None],
        profile: str | Mapping[str, float],
        scale: str = LINEAR,
        quality_error: float = 0.0,
    ) -> "Judge":
        """Returns the judge with its scales frozen; a member without metrics takes the baseline's."""
        members = [self.baseline if metrics is None else metrics for metrics in reference]
        objective = WeightedScore.from_reference(members, profile, scale, quality_error)
        # As the store will give it back, keys in its order: sums then agree to the last bit after a restart.
        stored = json.loads(json.dumps(objective.to_json(), sort_keys=True))
        return replace(self, objective=objective_from_json(stored))

    def score(self, metrics: Figures) -> float | None:
        """Returns the objective, None before the scales are frozen."""
        return None if self.objective is None else self.objective(metrics)

    def violation(self, metrics: Figures) -> dict[str, float]:
        """Returns by how much each constraint is broken."""
        return violations(self.constraints, metrics, self.baseline)

    def rejection(self, price: Figures) -> Verdict | None:
        """Returns why a priced recipe cannot meet the constraints, even at the favourable end; else None."""
        priced = [one for one in self.constraints if not one.needs_training and one.is_priced(price)]
        broken = {str(one): one.violation(price, self.baseline, favourable=True) for one in priced}
        broken = {text: value for text, value in broken.items() if value > 0}
        if not broken:
            return None
        said = [one.explain(price, self.baseline, favourable=True) for one in priced if str(one) in broken]
        return Verdict("; ".join(said), broken)


def total_violation(violation: Mapping[str, float | None] | None) -> float:
    """Returns the sum of what is broken; 0 where everything is met."""
    known = (math.inf if value is None else value for value in (violation or {}).values())
    return math.fsum(max(0.0, value) for value in known)
