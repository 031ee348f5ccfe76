"""How stable the first place of a leaderboard is: its lead beside the noise of seeds, and other weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from .finalists import Finalist, Lead, winner
from .leaderboard import BASELINE, ranking_of
from .ranking import OUR_METRICS, Role, profile_weights

#: of a weight: a change below is none, and one that leaves so little of it leaves nothing
_LAST_BITS = 1e-9


@dataclass(frozen=True)
class Overtaking:
    """The smallest change of one weight that brings another recipe first.

    Args:
        by: trial of that recipe.
        role: whose weight.
        change: of the weight, relative to what it is, above -1: beyond it the other recipe is first.
    """

    by: str
    role: Role
    change: float

    def __str__(self) -> str:
        percent = 100 * abs(self.change)
        amount = f"{percent:,.0f}" if percent >= 100 else f"{percent:.2g}"
        how = "grows" if self.change > 0 else "falls"
        return f"{self.by} comes first if the weight of {self.role} {how} by more than {amount} %"


@dataclass(frozen=True)
class Stability:
    """What the first place of a leaderboard rests on, the baseline left aside.

    Args:
        first, second: trials, which are shorter than their recipes.
        lead: of the first over the second in the score, a mean over the seeds where there are several.
        error: its standard error, paired seed by seed; None where one of the two was trained once.
        weighed: whether the score is one of weights; else it counts halvings.
        overtaking: None where no change of one weight brings another recipe first, or there is none.
        winner: trial of the finalist that wins; None where every recipe was trained once, or none of those
            that were not meets the constraints.
        meets: whether the first meets the constraints, without which it cannot win.
    """

    first: str
    second: str
    lead: float
    error: float | None
    weighed: bool
    overtaking: Overtaking | None
    winner: str | None = None
    meets: bool = True

    @classmethod
    def of(
        cls,
        rows: Sequence[Mapping[str, Any]],
        several: Sequence[Finalist],
        weighed: bool,
        overtaking: Overtaking | None,
    ) -> Self | None:
        """Returns that of a leaderboard, None where fewer than two recipes are ranked.

        Args:
            rows: the leaderboard, best first.
            several: those with several seeds.
            weighed: whether weights rank.
            overtaking: see `overtaking_of`.
        """
        ranked = [row for row in rows if row["recipe"] != BASELINE][:2]
        if len(ranked) < 2:
            return None
        first, second = ranked
        of = {one.row["trial"]: one for one in several}
        lead, error = first["score"] - second["score"], None
        if first["trial"] in of and second["trial"] in of:
            paired = Lead.of(of[first["trial"]], of[second["trial"]])
            lead, error = paired.score, paired.error
        able = [one for one in several if one.row["meets"]]
        best = winner(able).row["trial"] if able else None
        meets = bool(first.get("meets", True))
        return cls(first["trial"], second["trial"], lead, error, weighed, overtaking, best, meets)

    @property
    def is_clear(self) -> bool | None:
        """Whether the lead is more than the noise of the seeds; None where nobody knows that noise."""
        return None if self.error is None else self.lead > 0 and Lead(self.lead, self.error).is_clear

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the first place rests on, in words."""
        said = [self._said_of_lead + self._said_of_winner]
        if self.weighed:
            said.append(str(self.overtaking or "no change of one weight brings another recipe first"))
        return tuple(said)

    @property
    def _said_of_lead(self) -> str:
        if abs(self.lead) <= _LAST_BITS and (self.error or 0.0) <= _LAST_BITS:
            return f"{self.first} and {self.second} are level"
        unit = "of the score" if self.weighed else "halvings"
        said = f"{self.first} leads {self.second} by {self.lead:.2g} {unit}"
        if self.error is None:
            return f"{said}, by one seed: whether that is luck is not known"
        if self.is_clear and self.error <= _LAST_BITS:
            return f"{said}, the same with every seed"
        found = "more than their noise" if self.is_clear else "no more than their noise, so they are level"
        return f"{said} ± {self.error:.2g} (standard error over the seeds): {found}"

    @property
    def _said_of_winner(self) -> str:
        """Returns which finalist wins, where the lead alone does not say it."""
        if self.winner is None or (self.winner == self.first and self.is_clear is not False):
            return ""
        if not self.meets:
            return f"; of the finalists that meet the constraints {self.winner} wins"
        if self.is_clear is None:  # one of the two was trained once, and is no finalist
            return f"; of the finalists {self.winner} wins"
        which = "safer one" if self.winner in (self.first, self.second) else "safest"
        place = "is first" if self.winner == self.first else "wins"
        return f"; the {which}, {self.winner}, {place}: it is ahead on a bad day, a standard error worse"

    def to_json(self) -> dict[str, Any]:
        """Returns it as columns of the first recipe's row."""
        weight = self.overtaking
        return {
            "lead": {"over": self.second, "score": self.lead, "error": self.error, "is_clear": self.is_clear},
            "overtaken": weight and {"by": weight.by, "weight": weight.role, "change": weight.change},
        }


def overtaking_of(
    rows: Sequence[Mapping[str, Any]],
    baseline: Mapping[str, Any],
    profile: str | Mapping[str, float],
    scoring: str = "linear",
) -> Overtaking | None:
    """Returns the smallest relative change of one weight after which another recipe comes first.

    What a metric scores depends on no weight, so that the sums of weighted scores of two recipes (eq. 15) are
    level at one change of each weight. Dividing by the sum of the weights (eq. 16) changes no order.

    Args:
        rows: all of a leaderboard, best first, a `trial` each; the baseline is no recipe that could win.
        baseline, profile, scoring: that it was ranked with.

    Returns:
        None where no change does it; a weight of 0 has none.
    """
    weights, scores = profile_weights(profile), ranking_of(rows, baseline, profile, scoring).metric_scores
    counted = [(role, weights[role], scores[name]) for role, name in OUR_METRICS.items() if name in scores]
    recipes = [place for place, row in enumerate(rows) if row["recipe"] != BASELINE]
    if not recipes:
        return None
    first, *others = recipes
    found = []
    for other in others:
        behind = sum(weight * (score[first] - score[other]) for _, weight, score in counted)
        for role, weight, score in counted:
            if score[other] != score[first]:
                change = max(behind, 0.0) / (score[other] - score[first]) / weight
                found.append(Overtaking(rows[other]["trial"], role, change))
    possible = (one for one in found if one.change > _LAST_BITS - 1)
    return min(possible, key=lambda one: abs(one.change), default=None)
