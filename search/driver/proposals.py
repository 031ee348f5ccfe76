"""The searcher's part of a study: what it proposes, and what is rejected before it costs a trial."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from ...evaluators.steps.work import Outcome
from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from ..proposer.lesson import Lesson
from ..proposer.outlook import Outlook, Pricer
from ..proposer.proposer import Told, new_proposer
from ..proposer.space import Space
from ..proposer.trial_scores import FAILED_VIOLATION, Judge, Verdict, total_violation
from ..store.store import Store
from ..store.stored_study import StoredStudy
from ..study.same_study import same_task, trained_alike
from ..study.study import Study
from .seeds import Seeds
from .stopping import told_rejections
from .trial import Trial
from .trials import Trials

#: results of other studies that one begins with at most (own choice: a second of learning, 250 kB of journal)
MOST_LESSONS = 1000


class Proposals:
    """Makes trials of the searcher's proposals, one after the other.

    Args:
        study: what is searched.
        trials: of the study; proposals are added to them.
        seeds: say what a recipe is worth over all seeds that it has.
        fixed: the recipes that the study runs first, in their order.
        pricer: gives the plan-only figures of a recipe; None rejects nothing.
        recipes: those that can be evaluated at all; None for every one.
    """

    def __init__(
        self,
        study: Study,
        trials: Trials,
        seeds: Seeds,
        fixed: Sequence[Recipe],
        pricer: Pricer | None = None,
        recipes: frozenset[Recipe] | None = None,
    ) -> None:
        #: why there will be no more of them
        self.end_reason: str | None = None
        #: what other studies found, where this one begins warm
        self.lessons: tuple[Lesson, ...] = ()
        self._trials, self._seeds = trials, seeds
        # The history of the last call, for whom, and the places of its members in order: it mostly grows.
        self._history: list[Told] = []
        self._places: list[tuple[bool, int, int, str]] = []
        self._heard = 0
        self._heard_for: tuple[Judge, int] | None = None
        self._pricer = pricer
        self._order = {recipe: position for position, recipe in enumerate(fixed)}
        self._proposer = new_proposer(
            study.sampler,
            Space(study.technique_types, study.min_steps, study.max_steps, study.grids, recipes),
            study.seed,
        )

    def next(self, judge: Judge) -> Trial | None:
        """Returns the next proposal as a trial, waiting or rejected; None, with `end_reason`, is the end."""
        n = self._trials.next_proposal
        pending = [trial.recipe for trial in self._trials.running]
        outlook = None if self._pricer is None else Outlook(judge, self._pricer, self.lessons)
        recipe = self._proposer.propose(n, self.history(judge), pending, self._trials.recipes, outlook)
        if recipe is None:
            rejected = told_rejections(self._trials, at_least=1)
            self.end_reason = "; ".join(filter(None, (self._proposer.exhausted, rejected)))
            return None
        trial = self._trials.create(recipe, "search", proposal=n)
        verdict = self._verdict(recipe, judge)
        if verdict is None:
            return trial
        trial.take(Outcome("rejected", verdict.reason))
        trial.violation = verdict.violation
        return trial

    def parameters(self, trial: Trial) -> dict[str, Any] | None:
        """Returns a proposal as the optimiser knows it, None for other trials."""
        return None if trial.proposal is None else self._proposer.parameters(trial.recipe)

    def history(self, judge: Judge) -> list[Told]:
        """Returns what the optimiser knows: fixed recipes in their order, then proposals in theirs."""
        if self._heard_for != (judge, self._trials.restarts):
            self._heard_for = (judge, self._trials.restarts)
            self._history, self._places, self._heard = [], [], 0
        over = self._trials.over
        for trial in islice(over.values(), self._heard, None):
            # a further seed changes what is known of its recipe
            own = trial if trial.seed is None else self._trials.of(trial.recipe)
            if own is None or not own.recipe.steps or own.origin == "evaluate":
                continue
            told, place = self._told(own, judge), self._place(own)
            index = bisect_left(self._places, place)
            if told is not None and self._places[index : index + 1] == [place]:
                self._history[index] = told
            elif told is not None and trial is own:
                self._places.insert(index, place)
                self._history.insert(index, told)
        self._heard = len(over)
        return list(self._history)

    def _told(self, trial: Trial, judge: Judge) -> Told | None:
        objective = judge.objective
        if objective is None:
            return None
        if trial.status != "finished":
            violation = total_violation(trial.violation) or FAILED_VIOLATION
            return Told(trial.recipe, objective.lowest_reference, violation, failed=trial.status == "failed")
        metrics = self._seeds.mean(trial, judge)
        if metrics is None:  # it diverges with another seed
            return Told(trial.recipe, objective.lowest_reference, FAILED_VIOLATION, trial.after, failed=True)
        if metrics is not trial.metrics:
            last = [replace(after, quality=metrics.quality) for after in trial.after[-1:]]
            violation = total_violation(judge.violation(metrics))
            return Told(trial.recipe, objective(metrics), violation, (*trial.after[:-1], *last))
        score = objective.lowest_reference if trial.objective is None else trial.objective
        return Told(trial.recipe, score, total_violation(trial.violation), trial.after)

    def _place(self, trial: Trial) -> tuple[bool, int, int, str]:
        fixed = self._order.get(trial.recipe, len(self._order))
        return trial.proposal is not None, trial.proposal or 0, fixed, trial.name

    def _verdict(self, recipe: Recipe, judge: Judge) -> Verdict | None:
        """Prices a recipe; what cannot even be planned is rejected too."""
        if self._pricer is None:
            return None
        try:
            return judge.rejection(self._pricer(recipe))
        except AtollError as error:
            return Verdict(str(error), {"plan": FAILED_VIOLATION})


def lessons_elsewhere(store: Store, study: Study) -> dict[str, Any]:
    """Returns what other studies of the same task found, the newest `MOST_LESSONS` results, as plain JSON.

    Args:
        store: that may have some.
        study: that is to begin warm.
    """
    found: dict[tuple[str, Recipe, int, float], Lesson] = {}
    for row in store.studies():
        definition = row["definition"] or {}
        if row["study"] != study.study_name and _teaches(definition, study):
            try:
                baseline = StoredStudy.from_row(row).baseline
            except AtollError:  # of a newer Atoll, or damaged: it teaches nothing
                continue
            for step in store.steps_of_study(row["study"]) if baseline else ():
                with suppress(AtollError, IndexError):  # a technique that this Atoll does not know
                    recipe = Recipe.parse(str(step["recipe"])).prefixes()[step["position"]]
                    key = (row["study"], recipe, step["seed"], step["epochs_per_step"])
                    # further seeds of finalists have baselines of their own
                    if recipe.steps and step["position"] > 0 and step["seed"] == definition.get("seed"):
                        found[key] = Lesson.of(recipe, step, baseline)
    newest = list(found.items())[-MOST_LESSONS:]
    return {
        "studies": list(dict.fromkeys(name for (name, *_), _ in newest)),
        "lessons": [lesson.to_json() for _, lesson in newest],
    }


def _teaches(definition: Mapping[str, Any], study: Study) -> bool:
    """Whether what steps gave under a definition says what they will give in a study."""
    return same_task(definition, study.task) and trained_alike(definition, study.definition())


def lessons_of(told: Mapping[str, Any]) -> tuple[Lesson, ...]:
    """Reads what `lessons_elsewhere` gave; what is no lesson to this Atoll is left aside."""
    given, found = told.get("lessons"), []
    for one in given if isinstance(given, list) else ():
        with suppress(AtollError):
            found.append(Lesson.from_json(one))
    return tuple(found)
