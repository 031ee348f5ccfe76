"""When a study ends: the rules, each of which looks at where the study stands."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from ..study.limits import Limits
from .trials import Trials

#: After so many in a row the study ends and names the constraint (own choice: each costs milliseconds of
#: pricing, so all cost seconds, and of so many a space that can meet the constraint would have shown one).
REJECTIONS_IN_A_ROW = 1000


@dataclass(frozen=True)
class SoFar:
    """Where a study stands.

    Args:
        trials: all of the study.
        limits: that it was given.
        elapsed_s: since the command began.
    """

    trials: Trials
    limits: Limits
    elapsed_s: float


class StoppingRule(Protocol):
    """Says whether a study goes on.

    An answer is a function of what is passed: of no earlier question, and asking changes nothing. A rule
    whose limit is not set never says anything. Once it has a reason to end it keeps one while trials only
    end and time only passes, and every reason is part of a sentence for people. Trials that run are always
    finished: `end` speaks of what would start, and `holds` of what may be one too many when they are done.
    """

    #: whether it also keeps the recipes that every study runs first from starting
    stops_fixed: bool

    def end(self, so_far: SoFar) -> str | None:
        """Returns why nothing will start any more, None where something may."""

    def holds(self, so_far: SoFar) -> bool:
        """Whether nothing may start now, since what is running may reach the limit."""


class TimeLimit:
    """Ends a study after so many minutes of this command."""

    stops_fixed = True

    def end(self, so_far: SoFar) -> str | None:
        """Returns that the time is over."""
        minutes = so_far.limits.time_minutes
        if minutes is None or so_far.elapsed_s < minutes * 60:
            return None
        return f"the time limit of {minutes:g} minutes is reached"

    def holds(self, so_far: SoFar) -> bool:
        """Time alone passes."""
        return False


@dataclass(frozen=True)
class CountLimit:
    """Ends a study after so many trials of a kind.

    Args:
        kind: name of the limit, and of what is counted, in the plural.
        done, running: count them.
    """

    kind: str
    done: Callable[[Trials], int]
    running: Callable[[Trials], int]
    stops_fixed = False

    def end(self, so_far: SoFar) -> str | None:
        """Returns that so many are done."""
        limit = getattr(so_far.limits, self.kind)
        if limit is None:
            return None
        done = self.done(so_far.trials)
        return None if done < limit else f"{done} {self.kind} are done"

    def holds(self, so_far: SoFar) -> bool:
        """Whether as many are done or running."""
        limit = getattr(so_far.limits, self.kind)
        return limit is not None and self.done(so_far.trials) + self.running(so_far.trials) >= limit


class Rejections:
    """Ends a study whose constraints nothing seems to meet: after `REJECTIONS_IN_A_ROW` proposals."""

    stops_fixed = False

    def end(self, so_far: SoFar) -> str | None:
        """Returns how many were rejected, and what rejects most."""
        return told_rejections(so_far.trials, REJECTIONS_IN_A_ROW)

    def holds(self, so_far: SoFar) -> bool:
        """A rejected proposal never ran."""
        return False


#: In the order in which they are asked; the first that ends a study gives the reason.
RULES: tuple[StoppingRule, ...] = (
    TimeLimit(),
    CountLimit(
        "trials", lambda trials: trials.count("finished", "failed"), lambda trials: trials.count("running")
    ),
    CountLimit(
        "ensembles", lambda trials: trials.ensembles("finished"), lambda trials: trials.ensembles("running")
    ),
    Rejections(),
)


def told_rejections(trials: Trials, at_least: int) -> str | None:
    """Tells of the last proposals where all of so many were rejected; which constraint did it the most."""
    searched = (trial for trial in reversed(list(trials.values())) if trial.origin == "search")
    row = list(takewhile(lambda trial: trial.status == "rejected", searched))
    if len(row) < at_least:
        return None
    counts: dict[str, int] = {}
    for trial in reversed(row):
        for constraint in trial.violation or {}:
            counts[constraint] = counts.get(constraint, 0) + 1
    worst = max(counts, key=lambda constraint: counts[constraint], default="?")
    return (
        f"{len(row)} proposals in a row cannot meet the constraints; "
        f"{worst!r} rejects the most ({counts.get(worst, 0)}): loosen it or choose another device"
    )
