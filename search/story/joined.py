"""Several studies of one task as one leaderboard, each recipe beside the baseline of its own study."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...evaluators.ranking.leaderboard import BASELINE, ranking_of
from ...spaces.errors import AtollError
from ..store.stored_rows import LeaderboardRow
from ..store.stored_study import StoredStudy

#: of a definition, what has to be the same for figures to mean the same
_SHARED = ("task", "device")


def ranked_together(
    studies: Sequence[StoredStudy],
    trials: Sequence[Sequence[Mapping[str, Any]]],
    profile: str | Mapping[str, float] | None = None,
    all: bool = False,
    scoring: str | None = None,
) -> list[LeaderboardRow]:
    """Returns one leaderboard of several studies, best first; its trials are called STUDY/TRIAL.

    Each recipe is held to the constraints of its own study. The first study says how they are ranked, and its
    baseline stands for all; qualities are shifted as the baselines of their seeds are.

    Args:
        studies: one or more.
        trials: of each, as for `StoredStudy.ranked`.
        profile, all, scoring: see `StoredStudy.ranked`.

    Raises:
        AtollError: as `StoredStudy.ranked`; or they have different tasks, devices or goals.
    """
    first = studies[0]
    if len(studies) == 1:
        return first.ranked(trials[0], profile, all, scoring)
    by_goal = first.ranks_by_goal(profile, scoring)
    for other in studies[1:]:
        _check_comparable(first, other, by_goal)
    rows: list[dict[str, Any]] = []
    for study, own in zip(studies, trials, strict=True):
        for row in study.ranked(own, profile or first.profile if not by_goal else None, all, scoring):
            if row["recipe"] != BASELINE:
                rows.append({**row, "trial": f"{study.name}/{row['trial']}", "study": study.name})
            elif study is first:
                rows.append(dict(row))
    if by_goal:
        scores = [row["score"] for row in rows]  # halvings, each against the baseline of its own study
        ranks = [1 + sum(other > score for other in scores) for score in scores]
    else:
        baseline = first.baseline_figures(trials[0])
        ranking = ranking_of(rows, baseline, profile or first.profile, scoring or "linear")
        scores, ranks = list(ranking.scores), list(ranking.ranks)
    for place, joined in enumerate(rows):
        joined.update(rank=ranks[place], score=scores[place])
    return cast(list[LeaderboardRow], sorted(rows, key=lambda row: (row["rank"], -row["score"])))


def _check_comparable(first: StoredStudy, other: StoredStudy, by_goal: bool) -> None:
    if by_goal and other.goal != first.goal:
        raise AtollError(
            f"studies {first.name!r} and {other.name!r} have the goals {first.goal} and {other.goal}: "
            "--profile ranks both by one score"
        )
    for part in _SHARED:
        one, two = (study.definition.get(part) for study in (first, other))
        if one != two:
            raise AtollError(
                f"studies {first.name!r} and {other.name!r} have the {part}s {one} and {two}: those of one "
                f"{part} can be ranked together"
            )
