"""Lets Ray Tune ask the campaign what to run, and tells the campaign what came of it."""

import json
from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from ...evaluators.steps.work import Outcome
from ..live.log import Log, parameters_of
from ..store.events import INTERRUPTED
from .campaign import Campaign


class RecipeSearcher(Searcher):
    """Ray's searcher over a campaign; lives in the driver alone.

    Ray writes searchers into its snapshots: this one leaves itself out, because the truth is in the store.

    Args:
        campaign: says what is next.
        workers: trials at a time.
        tick: called often in the driver's loop: folds the journal, shows the progress.
        check: ends the search if Ray is gone: with it went the workers, which is no fault of their trials.
        log: hears what becomes of trials; None for nobody.
    """

    def __init__(
        self,
        campaign: Campaign,
        workers: int,
        tick: Callable[[], None] = lambda: None,
        check: Callable[[], None] = lambda: None,
        log: Log | None = None,
    ) -> None:
        super().__init__()
        self.check = check
        self.campaign = campaign
        self.workers = workers
        self.tick = tick
        self.log = log
        #: what ended the search from inside, to be raised when Ray has returned
        self.error: BaseException | None = None
        #: whether nothing new is to begin
        self.is_asked_to_end = False
        self._names: dict[str, str] = {}

    def suggest(  # type: ignore[override]  # Ray declares no type for FINISHED, which is a str
        self, trial_id: str
    ) -> dict[str, Any] | str | None:
        """Returns the next piece of work, None to wait, or FINISHED."""
        if self.error is not None:
            return self.FINISHED
        try:
            self.check()
            self.tick()
            if self.is_asked_to_end:
                return self.FINISHED
            if len(self.campaign.trials.running) >= self.workers:
                return None
            trial = self.campaign.next()
            if trial is not None:
                self._names[trial_id] = trial.name
                if self.log is not None:
                    seed = self.campaign.study.seed if trial.seed is None else trial.seed
                    self.log.begun(trial.name, parameters_of(trial.recipe, origin=trial.origin, seed=seed))
                return {"work": self.campaign.work(trial).to_json(), "trial": trial.name}
            return self.FINISHED if self.campaign.is_over else None
        except Exception as error:
            return self._end_by(error)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Hears what the baseline takes, and what to log; a trial's outcome counts when it is complete."""
        if "epoch_s" in result:
            self.campaign.epoch_s, self.campaign.baseline_s = result["epoch_s"], result["baseline_s"]
            self.tick()
        elif self.log is not None and "outcome" not in result:
            self.log.stepped(self._names[trial_id], result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Makes the result durable, then learns from it."""
        name = self._names.pop(trial_id, None)
        if name is None or self.error is not None:
            return
        try:
            if error:
                self.check()
            found = None if error else (result or {}).get("outcome")
            trial = self.campaign.end(name, _outcome(found))
            if self.log is not None:
                if result is not None and found is not None:
                    self.log.stepped(name, {**result, "objective": trial.objective})
                self.log.ended(name, trial.status == "finished")
                self.log.tell()
            self.tick()
        except Exception as problem:
            self._end_by(problem)

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Says that this searcher itself keeps to the number of workers."""
        self.workers = max_concurrent
        return True

    def save(self, checkpoint_path: str) -> None:
        """Saves nothing."""

    def restore(self, checkpoint_path: str) -> None:
        """Restores nothing."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Searcher, ())

    def __deepcopy__(self, _memo: dict[int, Any]) -> "RecipeSearcher":
        return self

    def _end_by(self, error: BaseException) -> str:
        self.error = self.error or error
        return self.FINISHED


def _outcome(text: str | None) -> Outcome:
    return Outcome(INTERRUPTED) if text is None else Outcome.from_json(json.loads(text))
