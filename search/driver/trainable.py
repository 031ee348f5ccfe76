"""What runs in Ray's worker processes: nothing but what `work.py` has."""

import json
import os
from functools import partial
from typing import Any

import ray
from ray import tune

from ...evaluators.steps.evaluate import evaluate
from ...evaluators.steps.work import Evaluator
from ..live.positions import teller
from ..study.luggage import Luggage, unpack
from .work import carry_out, time_baseline


class TrialTrainable(tune.Trainable):
    """One trial of Ray is one piece of work; the process is used again for the next one."""

    def setup(
        self,
        config: dict[str, Any],
        evaluator: Evaluator | None = None,
        luggage: Luggage | None = None,
        tells: bool = False,
    ) -> None:
        """Takes the work; the evaluator stays for the life of the process.

        Args:
            config: holds the work, and the name of its trial.
            evaluator: runs it.
            luggage: files of the task, for machines that do not have them.
            tells: whether somebody wants to know where the work is.
        """
        self._luggage = luggage
        if not ray.get_gpu_ids():  # Ray leaves those in sight that it did not give; torch has not looked yet
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self._work, self._trial = config["work"], config["trial"]
        self._evaluator, self._tells = evaluator, tells
        self._is_timed = evaluator is not None

    def step(self) -> dict[str, Any]:
        """Carries the work out; whatever goes wrong in it is part of the outcome.

        Of a baseline that is still to be made the first result is what an epoch takes, said before it begins.
        """
        if not self._is_timed:
            self._is_timed = True  # a baseline is the first work of its process
            seconds = time_baseline(self._work, partial(unpack, self._luggage))
            if seconds is not None:
                return {**seconds}
        # As text: Ray flattens nested results.
        evaluator = self._evaluator
        if evaluator is None and self._tells:
            evaluator = partial(evaluate, told=teller(self._trial))
        outcome = carry_out(self._work, evaluator, partial(unpack, self._luggage))
        return {"outcome": json.dumps(outcome.to_json()), "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next piece of work into the same process."""
        self._work, self._trial = new_config["work"], new_config["trial"]
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Saves nothing: the step cache keeps what was trained."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Loads nothing."""
