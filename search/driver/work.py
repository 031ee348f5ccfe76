"""The worker's edge: work comes in as plain JSON, and whatever goes wrong in it is part of its outcome."""

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...evaluators.cache_dir import cache_dir
from ...evaluators.steps.evaluate import evaluate, pipeline_for
from ...evaluators.steps.work import Evaluator, Outcome, Work
from ...spaces.errors import AtollError, MachineError

#: status of work that the machine, not the recipe, made impossible: it ends the search and no trial
STOPPED = "stopped"

#: So often is a trial run whose process is lost: somebody else may have killed one or two of them.
TRIES = 3


def time_baseline(
    work: Mapping[str, Any], before: Callable[[], None] = lambda: None
) -> dict[str, float] | None:
    """Returns how many seconds the baseline will take in this process, and an epoch of it, before it is made.

    Args:
        work: what `Work.to_json` gave.
        before: as for `carry_out`.

    Returns:
        as `Pipeline.time_baseline`; None for other work, for a baseline that is made already, and where it
        cannot be told: whatever is wrong then becomes part of the work's outcome.
    """
    try:
        before()
        whole = Work.from_json(work)
        if whole.recipe.steps:
            return None
        pipeline = pipeline_for(whole.settings, cache_dir())
        pipeline.at_once = whole.at_once
        return pipeline.time_baseline()
    except Exception:
        return None


def carry_out(
    work: Mapping[str, Any],
    evaluator: Evaluator | None = None,
    before: Callable[[], None] = lambda: None,
) -> Outcome:
    """Does a piece of work in this process: where exceptions, those of reading it too, become failures.

    Args:
        work: what `Work.to_json` gave.
        evaluator: `evaluators.steps.evaluate.evaluate` when None.
        before: what has to be done first, once; it fails as the work does.
    """
    started = time.perf_counter()
    here = {"worker_pid": os.getpid(), "node": platform.node(), "threads": work["settings"]["threads"]}
    try:
        before()
        return replace((evaluator or evaluate)(Work.from_json(work)), **here)
    except MachineError as error:
        return Outcome(STOPPED, str(error), **here)
    except AtollError as error:
        return Outcome.failed(str(error), seconds=time.perf_counter() - started, **here)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        return Outcome.failed(what, seconds=time.perf_counter() - started, **here)


def parts_of(work: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Returns a piece of work as one for every beginning of its recipe, the whole last.

    Carried out one after the other they come to the same: each finds the one before it in the step cache.
    """
    try:
        whole = Work.from_json(work)
    except AtollError:
        return [work]  # which will say why
    begun = [replace(whole, recipe=prefix, keep=False) for prefix in whole.recipe.prefixes()[1:-1]]
    return [*(one.to_json() for one in begun), work]


def joined(outcomes: Sequence[Outcome]) -> Outcome:
    """Returns what came of the whole of several parts, as if it had been carried out at once."""
    *before, whole = outcomes
    made = {one.steps[-1].position: one.steps[-1] for one in before if one.steps}
    steps = tuple(made.get(step.position, step) for step in whole.steps)
    seconds = [one.seconds for one in outcomes if one.seconds is not None]
    return replace(whole, steps=steps, seconds=sum(seconds) if seconds else None)
