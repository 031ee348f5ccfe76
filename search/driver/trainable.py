"""What runs in Ray's worker processes: nothing but what `work.py` has."""

import json
import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import ray
from ray import tune

from ...evaluators.steps.evaluate import evaluate
from ...evaluators.steps.work import Evaluator, Outcome
from ..live.log import figures_after
from ..live.positions import teller
from ..study.luggage import Luggage, unpack
from .work import carry_out, joined, parts_of, time_baseline


class TrialTrainable(tune.Trainable):
    """One trial of Ray is one piece of work; the process is used again for the next one."""

    _parts: list[Mapping[str, Any]]

    def setup(
        self,
        config: dict[str, Any],
        evaluator: Evaluator | None = None,
        luggage: Luggage | None = None,
        tells: bool = False,
        logs: bool = False,
    ) -> None:
        """Takes the work; the evaluator stays for the life of the process.

        Args:
            config: holds the work, and the name of its trial.
            evaluator: runs it.
            luggage: files of the task, for machines that do not have them.
            tells: whether somebody wants to know where the work is.
            logs: whether somebody wants a result after every step.
        """
        self._luggage = luggage
        if not ray.get_gpu_ids():  # Ray leaves those in sight that it did not give; torch has not looked yet
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self._evaluator, self._tells, self._logs = evaluator, tells, logs
        self._is_timed = evaluator is not None
        self.reset_config(config)

    def step(self) -> dict[str, Any]:
        """Carries the work out, or its next step; whatever goes wrong in it is part of the outcome.

        Of a baseline that is still to be made the first result is what an epoch takes, said before it begins.
        """
        if not self._is_timed:
            self._is_timed = True  # a baseline is the first work of its process
            seconds = time_baseline(self._work, partial(unpack, self._luggage))
            if seconds is not None:
                return {**seconds}
        outcome = self._carried_out(self._parts.pop(0))
        if self._parts and outcome.status != "finished":
            outcome = self._carried_out(self._parts.pop())  # the whole has the last word on what is wrong
            self._parts = []
        self._outcomes.append(outcome)
        if self._parts:
            return {**figures_after(outcome)}
        whole = joined(self._outcomes)
        # As text: Ray flattens nested results.
        figures = figures_after(whole) if self._logs else {}
        return {**figures, "outcome": json.dumps(whole.to_json()), "done": True}

    def _carried_out(self, work: Mapping[str, Any]) -> Outcome:
        evaluator = self._evaluator
        if evaluator is None and self._tells:
            evaluator = partial(evaluate, told=teller(self._trial))
        return carry_out(work, evaluator, partial(unpack, self._luggage))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next piece of work into the same process."""
        self._work, self._trial = new_config["work"], new_config["trial"]
        self._parts = parts_of(self._work) if self._logs else [self._work]
        self._outcomes: list[Outcome] = []
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Saves nothing: the step cache keeps what was trained."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Loads nothing."""
