"""A study as a store has it: the parts of its row that others rely on, read once and checked."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from shlex import quote
from types import NoneType
from typing import Any, Self, cast

from ...evaluators.ranking.demands import Demand, demands
from ...evaluators.ranking.goal import SCORE, Goal
from ...evaluators.ranking.leaderboard import leaderboard, leaderboard_by_goal, nearest_miss
from ...hw_models.devices.device_folder import runtime_of
from ...hw_models.runtimes.runtime import Runtime
from ...spaces.errors import AtollError
from .stored_rows import LeaderboardRow, RecipeRow, StudyRow, brief

#: of a definition that names no profile: equal weights
_PROFILE = "balanced"


@dataclass(frozen=True)
class StoredStudy:
    """What a store knows of a study: how it is ranked, what it demands, what it refers to.

    Args:
        name: whatever somebody called it; nothing is decided by it.
        digest: of the definition as it began; None where nobody wrote it down.
        definition: what decides its outcome, as JSON; empty where it is lost.
        limits: when it ends, as JSON.
        constraints: what a winner must meet, that the study's runtime loads it too.
        goal: what makes one candidate better than another.
        profile: weight profile by name, or weights by role.
        baseline: figures of the baseline; empty before it ended.
        objective: the frozen scales, as `Objective.to_json` gives them; None before.
        counts: trials by status: finished, failed, rejected, running.
        created_at: when it began.
    """

    name: str
    digest: str | None
    definition: Mapping[str, Any]
    limits: Mapping[str, Any]
    constraints: tuple[Demand, ...]
    goal: Goal
    profile: str | Mapping[str, float]
    baseline: Mapping[str, Any]
    objective: Mapping[str, Any] | None
    counts: Mapping[str, int]
    created_at: datetime | None

    @classmethod
    def from_row(cls, row: StudyRow) -> Self:
        """Reads a row of the view `studies`.

        Raises:
            AtollError: a part of the definition is not what it is for.
        """
        name, definition = row["study"], row["definition"] or {}
        for part, (wanted, is_right) in _PARTS.items():
            if definition.get(part) is not None and not is_right(definition[part]):
                raise AtollError(
                    f"{part} in the definition of study {name!r} of the store is {brief(definition[part])}, "
                    f"it has to be {wanted}"
                )
        try:
            constraints = demands(definition.get("constraints") or (), _runtime(definition))
            goal = Goal.parse(definition.get("goal") or SCORE)
        except AtollError as error:
            raise AtollError(f"the definition of study {name!r} of the store: {error}") from error
        objective = (row["reference"] or {}).get("objective")
        if not isinstance(objective, (dict, NoneType)):
            raise AtollError(f"the scales of study {name!r} of the store are {brief(objective)}")
        return cls(
            name=name,
            digest=row["digest"],
            definition=definition,
            limits=row["limits"] or {},
            constraints=constraints,
            goal=goal,
            profile=definition.get("profile") or _PROFILE,
            baseline=row["baseline"] or {},
            objective=objective,
            counts={
                "finished": row["finished"],
                "failed": row["failed"],
                "rejected": row["rejected"],
                "running": row["running"],
            },
            created_at=row["created_at"],
        )

    @property
    def task(self) -> str:
        """Name of its task; an AtollError where the store does not say, as with the next three."""
        return self._said("task")

    @property
    def device(self) -> str:
        """Name of the device that prices its trials."""
        return self._said("device")

    @property
    def seed(self) -> int:
        """Of everything random."""
        return self._said("seed")

    @property
    def epochs_per_step(self) -> float:
        """Passes over the training split after every step."""
        return self._said("epochs_per_step")

    def _said(self, part: str) -> Any:
        if self.definition.get(part) is None:
            raise AtollError(f"the definition of study {self.name!r} of the store has no {part}")
        return self.definition[part]

    def baseline_figures(self, trials: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        """Returns the baseline's figures, with the name of its trial where the study ran it.

        Raises:
            AtollError: the study has no finished baseline yet.
        """
        baselines = (row for row in trials if row["origin"] == "baseline" and row["status"] == "finished")
        figures: dict[str, Any] = {**next(baselines, {}), **self.baseline}
        if not figures:
            raise AtollError(
                f"study {self.name!r} has no finished baseline yet, to which all ratios refer: "
                f"wait for it, or continue the study with `atoll resume {quote(self.name)}`"
            )
        return figures

    def ranks_by_goal(
        self, profile: str | Mapping[str, float] | None = None, scoring: str | None = None
    ) -> bool:
        """Whether costs alone rank it; a profile or a scoring rule asks for the papers' score."""
        return profile is None and scoring is None and not self.goal.is_score

    def ranked(
        self,
        trials: Iterable[Mapping[str, Any]],
        profile: str | Mapping[str, float] | None = None,
        all: bool = False,
        scoring: str | None = None,
    ) -> list[LeaderboardRow]:
        """Returns the leaderboard of its finished trials by its goal, the baseline among them.

        Args:
            trials: of this study, with what `leaderboard` needs; those that are not finished are left out.
            profile, scoring: rank by the papers' score, whatever the goal; see `leaderboard`.
            all: see `leaderboard`.

        Raises:
            AtollError: as `leaderboard`, and there is no finished baseline yet.
        """
        trials = list(trials)
        baseline = self.baseline_figures(trials)
        if self.ranks_by_goal(profile, scoring):
            rows = leaderboard_by_goal(trials, baseline, self.goal, self.constraints, all)
        else:
            rows = leaderboard(
                trials, baseline, profile or self.profile, self.constraints, all, scoring or "linear"
            )
        return cast(list[LeaderboardRow], rows)

    def nearest_miss(self, trials: Iterable[Mapping[str, Any]]) -> RecipeRow | None:
        """Returns the recipe that misses its constraints by least, None where one meets all or none finished.

        Raises:
            AtollError: there is no finished baseline yet.
        """
        trials = list(trials)
        row = nearest_miss(trials, self.baseline_figures(trials), self.constraints)
        return cast(RecipeRow | None, row)


def _runtime(definition: Mapping[str, Any]) -> Runtime | None:
    """Returns what runs the files of a study; None where it names nothing, and its device is not here."""
    if definition.get("runtime"):
        return Runtime.named(definition["runtime"])
    try:
        return runtime_of(definition.get("device") or "")
    except AtollError:
        return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_profile(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, dict) and all(map(_is_number, value.values())))


def _is_goal(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, dict) and all(map(_is_text, value.values())))


#: parts of a definition that are read before the whole is checked against today's rules
_PARTS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "task": ("a text", _is_text),
    "device": ("a text", _is_text),
    "runtime": ("a text", _is_text),
    "seed": ("a number", _is_number),
    "epochs_per_step": ("a number", _is_number),
    "profile": ("a name or weights", _is_profile),
    "goal": ("a name or what to minimize", _is_goal),
    "constraints": ("a list of texts", _is_texts),
}
