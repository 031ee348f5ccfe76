"""What a driver writes down of its study: events for the journal, which make the rows of the store."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ...evaluators.ranking.metrics import Metrics
from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from ..proposer.trial_scores import Objective
from ..store.events import Ended, Event, Proposed, Started, StudyDescribed
from ..store.store import Store
from ..study.study import Study
from .trial import Trial

#: events read at a time, of which a few MB are held (own choice)
_READ_EVENTS = 1000


class StudyJournal:
    """Appends the events of one study; each is durable when the call returns.

    Args:
        study: what the events belong to.
        store: whose journal is written; the caller is its driver.
    """

    def __init__(self, study: Study, store: Store) -> None:
        self._study = study
        self._store = store

    def begun(self, warm_start: Mapping[str, Any] | None = None) -> None:
        """Writes the study's definition and limits, and what it took from other studies."""
        told = None if warm_start is None else dict(warm_start)
        self._append(self._described(created_at=_now(), warm_start=told))

    def warm_start(self) -> Mapping[str, Any] | None:
        """Returns what the study took from others when it began; None where no event says it."""
        for event in self._events():
            if isinstance(event, StudyDescribed) and event.warm_start is not None:
                return event.warm_start
        return None

    def search_ended(self, reason: str, finalists: Sequence[Recipe]) -> None:
        """Writes that only finalists follow, under the limits of now, why, and who they are."""
        told = {"reason": reason, "finalists": [str(recipe) for recipe in finalists]}
        self._append(self._described(ended=told))

    def finalists(self) -> list[Recipe] | None:
        """Returns the last finalists, told under the limits of now; None where proposals came after them."""
        found: list[Recipe] | None = None
        for event in self._events():
            if isinstance(event, StudyDescribed) and event.ended is not None:
                is_same = _ends(event.limits or {}) == _ends(self._study.given_limits())
                found = _recipes(event.ended.get("finalists")) if is_same else None
            elif isinstance(event, Proposed) and event.origin == "search":
                found = None
        return found

    def frozen(self, objective: Objective | None, members: Sequence[Trial], baseline: Metrics) -> None:
        """Writes the reference set, which begins with a baseline, and the objective that it froze.

        Args:
            objective: None where nothing could be frozen.
            members: trials of the reference set.
            baseline: what drops and ratios refer to.
        """
        figures = [None if member.metrics is None else member.metrics.to_json() for member in members]
        reference = {
            "members": [
                {"recipe": str(member.recipe), "status": member.status, "metrics": found}
                for member, found in zip(members, figures, strict=True)
            ],
            "objective": None if objective is None else objective.to_json(),
        }
        self._append(self._described(baseline=baseline.to_json(), reference=reference))

    def proposed(self, trial: Trial, parameters: Mapping[str, Any] | None) -> None:
        """Writes a trial's recipe, and the proposal as the optimiser knows it."""
        told = None if parameters is None else dict(parameters)
        self._append(Proposed(**self._about(trial), parameters=told))

    def started(self, trial: Trial) -> None:
        """Writes that a worker has it."""
        self._append(Started(**self._about(trial), started_at=_now()))

    def ended(self, trial: Trial) -> None:
        """Writes what came of a trial; once more with its score where that came later.

        Without steps (a trial of an earlier run) those that are stored stay.

        Raises:
            AtollError: it is not over.
        """
        if trial.outcome is None:
            raise AtollError(
                f"trial {trial.name} is {trial.status}: it has no end that could be written down"
            )
        trial.ended_at = trial.ended_at or _now()
        told = trial.outcome.to_json()
        if trial.steps_are_stored:
            told["steps"] = None
        self._append(
            Ended(
                **self._about(trial),
                **told,
                interruptions=trial.interruptions,
                objective=trial.objective,
                violation=trial.violation,
                ended_at=trial.ended_at,
            )
        )

    def interrupted(self, trial: Trial) -> None:
        """Writes that a trial's process was lost, and how often that makes it."""
        self._append(
            Ended(
                **self._about(trial),
                status="interrupted",
                interruptions=trial.interruptions,
                ended_at=_now(),
            )
        )

    def _events(self) -> Iterator[Event]:
        """Yields the events of the study, oldest first."""
        begin, end = -1, 0
        while end != begin:
            begin = end
            events, end = self._store.journal.read(begin, limit=_READ_EVENTS)
            yield from (event for event in events if event.study == self._study.study_name)

    def _described(self, **more: Any) -> StudyDescribed:
        study = self._study
        return StudyDescribed(
            study=study.study_name,
            digest=study.digest,
            definition=study.definition(),
            limits=study.given_limits(),
            **more,
        )

    def _about(self, trial: Trial) -> dict[str, Any]:
        """Returns what every event of a trial says, so that it is understood without the others."""
        return {
            "study": self._study.study_name,
            "study_digest": self._study.digest,
            "trial": trial.name,
            "recipe": str(trial.recipe),
            "recipe_digest": trial.recipe.digest,
            "seed": self._study.seed if trial.seed is None else trial.seed,
            "epochs_per_step": self._study.budget_epochs,
            "origin": trial.origin,
            "proposal": trial.proposal,
        }

    def _append(self, event: Event) -> None:
        self._store.journal.append(event)


def _ends(limits: Mapping[str, Any]) -> tuple[Any, ...]:
    """Returns when limits end a search; how many workers it has is another matter."""
    return tuple(limits.get(name) for name in ("ensembles", "trials", "time_minutes"))


def _recipes(texts: Any) -> list[Recipe] | None:
    try:
        return [Recipe.parse(str(text)) for text in texts]
    except (AtollError, TypeError):  # no list, or of another Atoll: they are chosen anew
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat()
