"""Searches over what a store has: nothing is trained, and nothing is written that could be taken for real."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ...evaluators.ranking.metrics import Metrics
from ...evaluators.steps.pipeline_result import StepRecord
from ...evaluators.steps.work import Outcome, Work
from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from ..driver.campaign import Campaign
from ..driver.proposals import lessons_elsewhere
from ..driver.runner import drive_here
from ..driver.study_journal import StudyJournal
from ..driver.trial import Trial
from ..store.store import Store
from ..study.same_study import same_task, trained_alike
from ..study.study import Study

#: seed of the trials, and digest of the baseline's weights: what is compared has to have both in common
_Kind = tuple[int, str | None]
_STEP = tuple(field.name for field in fields(StepRecord) if field.name != "notes")


@dataclass
class StoredTrials:
    """The finished trials of a store as a world for searches: it evaluates by looking up.

    Args:
        place: the store, for messages.
        seed: that the trials were trained with, which need not be the search's.
        outcomes: by recipe, with the baseline's.
        warm_start: what the study took from others in this store as it began, or would take if it began
            there now; None for one that begins cold.
        seconds: of training that the trials told so far took, a beginning that they share counted once.
        told_at_s: when each was told, in these seconds.
    """

    place: Path
    seed: int
    outcomes: Mapping[Recipe, Outcome]
    warm_start: Mapping[str, Any] | None = None
    seconds: float = 0.0
    told_at_s: dict[Recipe, float] = field(default_factory=dict)
    _trained: set[Recipe] = field(default_factory=set)

    @classmethod
    def of(cls, store: Store, study: Study) -> "StoredTrials":
        """Takes the trials of the study's task, device, budget and loss that share a baseline.

        Those of the study's own seed where there are some, else those of the seed with most.

        Raises:
            AtollError: there is no finished baseline of that task, device, budget and loss.
        """
        kinds: dict[_Kind, dict[Recipe, Outcome]] = {}
        for row in store.studies():
            definition = row["definition"] or {}
            is_alike = same_task(definition, study.task) and trained_alike(definition, study.definition())
            if is_alike and definition.get("device") == study.device:
                for kind, found in _by_kind(store, row["study"], study.budget_epochs).items():
                    kinds.setdefault(kind, {}).update(found)
        if not kinds:
            raise AtollError(
                f"the store {store.path} has no finished baseline of the task {study.task!r} on "
                f"{study.device} with {study.budget_epochs:g} epochs a step, trained as this study trains "
                f"(loss, epochs of single techniques, their versions), which a replay needs"
            )
        kind = max(kinds, key=lambda one: (one[0] == study.seed, len(kinds[one])))
        told = None
        if study.warm_start:
            told = StudyJournal(study, store).warm_start() or lessons_elsewhere(store, study)
        return cls(store.path, kind[0], kinds[kind], told)

    @property
    def recipes(self) -> frozenset[Recipe]:
        """Those that can be looked up."""
        return frozenset(self.outcomes)

    def __call__(self, work: Work) -> Outcome:
        """Looks a recipe up.

        Raises:
            AtollError: the store has no finished trial of it.
        """
        outcome = self._of(work.recipe)
        for prefix, step in zip(work.recipe.prefixes()[1:], outcome.steps, strict=False):
            self.seconds += 0.0 if prefix in self._trained else step.seconds
            self._trained.add(prefix)
        if not outcome.steps or not work.recipe.steps:
            self.seconds += outcome.seconds or 0.0
        self.told_at_s[work.recipe] = self.seconds
        return outcome

    def price(self, recipe: Recipe) -> Any:
        """Returns the figures that the store has of a recipe: a plan's and more.

        Raises:
            AtollError: it has none: nothing is trained for it.
        """
        metrics = self._of(recipe).metrics
        assert metrics is not None  # those that finished alone are taken
        return metrics.to_json()

    def _of(self, recipe: Recipe) -> Outcome:
        if recipe not in self.outcomes:
            raise AtollError(
                f"the {len(self.outcomes)} trials of {self.place} that are replayed have no {str(recipe)!r}, "
                "and a replay trains nothing"
            )
        return self.outcomes[recipe]


def _by_kind(store: Store, study: str, epochs: float) -> dict[_Kind, dict[Recipe, Outcome]]:
    """Returns the finished trials of a study with a budget, by seed and baseline."""
    steps: dict[str, list[Any]] = {}
    for step in store.steps_of_study(study):
        steps.setdefault(step["trial"], []).append(step)
    rows = [
        row for row in store.trials(study) if row["status"] == "finished" and row["epochs_per_step"] == epochs
    ]
    kinds: dict[int, _Kind] = {
        row["seed"]: (row["seed"], row["weights_digest"]) for row in rows if row["origin"] == "baseline"
    }
    found: dict[_Kind, dict[Recipe, Outcome]] = {}
    for row in rows:
        with suppress(
            AtollError
        ):  # of another version, or figures that are not whole: as if it were not there
            trial = Trial.from_row(row, steps.get(row["trial"], []))
            if trial.outcome is not None and isinstance(trial.metrics, Metrics) and row["seed"] in kinds:
                records = _records(steps.get(row["trial"], ()) if trial.after else ())
                outcome = replace(trial.outcome, steps=records)
                found.setdefault(kinds[row["seed"]], {})[trial.recipe] = outcome
    return found


def _records(rows: Iterable[Mapping[str, Any]]) -> tuple[StepRecord, ...]:
    return tuple(StepRecord(**{name: row[name] for name in _STEP}, notes={}) for row in rows)


def replay(study: Study, stored: StoredTrials, place: Store) -> Campaign:
    """Searches among stored trials, in this process, as one worker would; limits of time count training.

    Args:
        study: what is searched; a recipe that is not stored is rejected with that reason.
        stored: what is looked up.
        place: an empty store that is thrown away afterwards: its rows look like real ones.

    Returns:
        the campaign.
    """
    # further seeds of finalists are seldom stored, and a recipe is looked up whatever its seed
    study = study.model_copy(update={"finalist_seeds": 1})
    with place.lock():
        if stored.warm_start is not None:
            StudyJournal(study, place).begun(stored.warm_start)
        campaign = Campaign(study, place, stored.price, clock=lambda: stored.seconds, recipes=stored.recipes)
        drive_here(campaign, stored)
        place.recover()
    return campaign
