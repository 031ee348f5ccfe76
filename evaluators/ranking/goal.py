"""What a search is for: the papers' weighted score, or some costs as small as possible."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from .constraints import Figures, figure_of
from .figures import FIGURE, METRICS

SCORE = "score"
#: goals that have a name, and the costs whose product each makes as small as it can
NAMED: Mapping[str, tuple[str, ...]] = {
    SCORE: (),
    "smallest": ("model_bytes",),
    "fastest": ("latency_ms",),
    "least_memory": ("peak_memory_bytes",),
}
#: what may be minimized: known of every candidate, and better when smaller
COSTS: tuple[str, ...] = tuple(
    figure.name
    for figure in METRICS
    if not (figure.higher_is_better or figure.of_quality or figure.needs_training)
)
_MINIMIZE, _TIMES = "minimize", "*"


@dataclass(frozen=True)
class Goal:
    """What makes one candidate better than another, both being within the constraints.

    Args:
        minimized: costs whose product is to be as small as possible; none where the weighted score decides.

    Raises:
        AtollError: a cost that is unknown, that more is better of, or that stands twice.

    >>> goal = Goal.parse({"minimize": "latency_ms * model_bytes"})
    >>> goal.halvings({"latency_ms": 5, "model_bytes": 100}, {"latency_ms": 10, "model_bytes": 800})
    4.0
    >>> str(Goal.parse("smallest")), str(goal)
    ('smallest', 'minimize latency_ms * model_bytes')
    """

    minimized: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.minimized:
            if name not in COSTS:
                raise AtollError(f"goal: cannot minimize {name!r}: {known_names(name, COSTS)}")
        if len(set(self.minimized)) < len(self.minimized):
            raise AtollError(f"goal: {f' {_TIMES} '.join(self.minimized)} names a metric twice")

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Reads what a study says: a name, or `{minimize: METRIC}` and `{minimize: METRIC * METRIC}`.

        Raises:
            AtollError: it is neither, or as the class.
        """
        if isinstance(value, str):
            if value not in NAMED:
                raise AtollError(
                    f"goal: got {value!r}; {known_names(value, NAMED)}, or {_MINIMIZE}: with a metric"
                )
            return cls(NAMED[value])
        costs = value.get(_MINIMIZE) if isinstance(value, Mapping) and len(value) == 1 else None
        if not isinstance(costs, str):
            raise AtollError(
                f"goal: got {value!r:.80}, allowed are {', '.join(NAMED)}, or {_MINIMIZE}: with a metric or "
                f"a product of metrics such as latency_ms {_TIMES} model_bytes"
            )
        return cls(tuple(name.strip() for name in costs.split(_TIMES)))

    @property
    def is_score(self) -> bool:
        """Whether the papers' weighted score decides, on scales that the reference set gives."""
        return not self.minimized

    @property
    def value(self) -> str | dict[str, str]:
        """The shortest form that `parse` reads."""
        named = next((name for name, costs in NAMED.items() if costs == self.minimized), None)
        return named or {_MINIMIZE: f" {_TIMES} ".join(self.minimized)}

    def __str__(self) -> str:
        value = self.value
        return value if isinstance(value, str) else f"{_MINIMIZE} {value[_MINIMIZE]}"

    def halvings(self, metrics: Figures, baseline: Figures) -> float:
        """Returns how many times the product of the costs was halved, against the baseline.

        A halving is worth the same at any size and in every cost. What is less than a metric can tell (a
        byte) counts as that.

        Raises:
            AtollError: a cost is missing, not finite, or negative.
        """
        return math.fsum(
            math.log2(_cost(baseline, name, "baseline") / _cost(metrics, name, "candidate"))
            for name in self.minimized
        )


def _cost(metrics: Figures, name: str, whose: str) -> float:
    figure = figure_of(metrics, name, whose)
    if figure < 0:
        raise AtollError(f"{name} of the {whose} is {figure:g}: a cost is 0 or more")
    return max(figure, FIGURE[name].resolution)
