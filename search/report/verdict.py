"""What a report says first: which recipe is the best, how good it is, and what its place rests on."""

from collections.abc import Mapping
from typing import Any

from ...evaluators.ranking.figures import FIGURE
from ...evaluators.ranking.finalists import said_on_test
from ...evaluators.ranking.quality_terms import QualityTerms
from ...spaces.errors import AtollError
from ..store.selection import BEST, choose_trial, stability_of
from ..store.store import Store
from ..store.stored_study import StoredStudy


def verdict(store: Store, study: StoredStudy) -> list[str]:
    """Returns sentences about a study's best recipe, which is the one that `atoll export best` takes.

    Args:
        store: where the study lives.
        study: of which; where nothing is the best, the first sentence says why.
    """
    trials = store.trials(study.name)
    try:
        best = choose_trial(store, study, BEST)
        rows = study.ranked(trials)
        row = next(row for row in rows if row["recipe"] == best["recipe"])
        stability = stability_of(study, trials, rows)
    except AtollError as error:
        text = str(error)
        return [_ended(text[:1].upper() + text[1:])]
    tested = said_on_test(row)
    return [
        _best(best["trial"], row),
        *([_ended(f"{best['trial']}, {tested}")] if tested else []),
        *map(_ended, stability.sentences if stability else ()),
    ]


def _best(trial: str, row: Mapping[str, Any]) -> str:
    """Returns the sentence on the best recipe, with what it costs beside the baseline."""
    terms, error, ratio = QualityTerms.of(row), row["quality_drop_error"], row["compression_ratio"]
    noise = f" ± {terms.apart(error)}" if error is not None else ""
    seeds = f" (mean of {row['n']} seeds)" if row["n"] > 1 else ""
    costs = [
        f"{FIGURE[name].title} {FIGURE[name].said(row[name])}"
        for name in ("model_bytes", "latency_ms", "peak_memory_bytes")
        if row.get(name) is not None
    ]
    smaller = f"{ratio:,.1f} times smaller than the baseline and " if ratio is not None else ""
    return (
        f"The best recipe is {row['recipe']}, trial {trial}: {smaller}"
        f"{terms.worse(row['quality_drop'])}{noise}{seeds}; {', '.join(costs)}."
    )


def _ended(text: str) -> str:
    return text + "." * (not text.endswith("."))
