"""What each idea of the sampler `atoll` is worth: the replayed search again with one of them switched off.

Twenty seeds on each table; see replayed_search.py for what is paid and what the target is.
"""

import statistics
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from unittest.mock import patch

from atoll.search.proposer import grown
from atoll.search.proposer.evidence import Evidence
from atoll.search.proposer.grown import GrowingProposer
from atoll.search.proposer.outlook import Outlook
from atoll.search.proposer.proposer import Told
from figures import report
from replayed_search import TASKS, TRIALS, Tabulated, searched, seconds_until
from search_table import RESULTS

SEEDS = 20

_hear, _learn = Evidence._hear, Evidence._learn


def _whole_trials_only(evidence: Evidence, results: list[Told]) -> None:
    """Hears of every trial as if it had told its end alone."""
    for told in results:
        ends = replace(told, after=told.after[-1:])
        steps = patch.object(type(told.recipe), "prefixes", lambda recipe: [recipe, recipe])
        with steps:
            _hear(evidence, [ends])
        evidence._told[-1] = told


def _costs_only(evidence: Evidence, *result: object, **options: object) -> None:
    """Learns what a recipe costs; of its drop nothing but what its size lets expect."""
    with patch.object(evidence._drops, "add"):
        _learn(evidence, *result, **options)  # type: ignore[arg-type]


#: by name: what switches an idea off
OFF: Mapping[str, Callable[[], AbstractContextManager[object]]] = {
    "nothing": nullcontext,
    "exact_prices": lambda: patch.object(Outlook, "figures", lambda outlook, recipe: None),
    "learned_quality": lambda: patch.object(Evidence, "_learn", _costs_only),
    "what_prefixes_tell": lambda: patch.object(Evidence, "_hear", _whole_trials_only),
    "growing": lambda: patch.object(GrowingProposer, "_all_next_steps", lambda proposer, recipe: ()),
    "changes_of_the_best": lambda: patch.object(grown, "CHANGED", 0),
    "gain_for_a_second": lambda: patch.object(Evidence, "seconds", lambda evidence: lambda step: 1e9),
    "weaker_first": lambda: patch.object(grown, "STRIDE", float("inf")),
    "exploration": lambda: patch.object(grown, "TURNS", 1 << 30),
    "patience": lambda: patch.object(grown, "PATIENT", 1 << 30),
}


def measure(task: str) -> None:
    """Replays all searches on the table of a task and prints the figures."""
    world = Tabulated.of(RESULTS / f"{task}.parquet")
    plain = {seed: searched(world, "tpe", seed, TRIALS, shares=False)[-1] for seed in range(SEEDS)}
    targets = {seed: end for seed, end in plain.items() if end.best is not None}
    for name, off in OFF.items():
        with off():
            shares = [
                seconds_until(searched(world, "atoll", seed, TRIALS), end.best or 0.0) / end.seconds
                for seed, end in targets.items()
            ]
        for title, value in (("median", statistics.median(shares)), ("worst", max(shares))):
            report(f"ideas/{task}/without_{name}_training_share_{title}", value, "share", None, "lower")


if __name__ == "__main__":
    for task in TASKS:
        measure(task)
