"""The story of a trial: what it was, what each step did, what came out of the cache, and where time went."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ...evaluators.ranking.leaderboard import BASELINE
from ...evaluators.ranking.quality_terms import QualityTerms
from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from ..store.selection import BEST, choose_trial
from ..store.store import Store
from ..store.stored_rows import TrialRow, stored_value
from ..store.stored_study import StoredStudy
from ..study.made_again import made_again, quoted

_ARROW = " -> "
Row = dict[str, Any]

_STEPS = """
    SELECT position, step, stage, epochs, seconds, cached, quality, payload_bytes, model_bytes, packed_bytes,
        macs, latency_ms, peak_memory_bytes, parameters, notes
    FROM steps WHERE study = ? AND trial = ? ORDER BY position
"""
#: where a step of the same recipe so far was made, the first time
_MADE = """
    SELECT position, array_to_string(string_split(recipe, ' -> ')[1:position], ' -> ') AS prefix,
        min_by(trial, (length(trial), trial)) AS trial
    FROM steps
    WHERE study = ? AND seed = ? AND epochs_per_step = ? AND position > 0 AND NOT cached
        AND starts_with(recipe, ?)
    GROUP BY position, prefix
"""


@dataclass(frozen=True)
class TrialStory:
    """What the store knows of a trial.

    Args:
        study: it belongs to.
        trial: its row.
        steps: a row for the baseline and one after every step, with `quality_drop` against the baseline of
            its seed, and `made_by`: the trial that made it first; None where it is not known.
        place: of its recipe on the study's own leaderboard: `rank`, `of`, `score`, `feasible`, `n`, means
            over seeds; None where it has none.
        siblings: trials of the same recipe: `trial`, `seed`, `epochs_per_step`, `status`, `quality`.
        broken: constraints that it breaks, with by how much, relative to the bound.
    """

    study: StoredStudy
    trial: TrialRow
    steps: list[Row]
    place: Row | None
    siblings: list[Row]
    broken: dict[str, float]

    @classmethod
    def of(cls, store: Store, study: StoredStudy, name: str) -> Self:
        """Reads the story of a trial, however that ended.

        Args:
            store, study: where it is.
            name: of the trial, its recipe, or `best`.

        Raises:
            AtollError: there is none.
        """
        row = any_trial(store, study, name)
        violation = row["violation"] if isinstance(row["violation"], Mapping) else {}
        return cls(
            study,
            row,
            _steps(store, row),
            _place(store, row),
            store.query(
                "SELECT trial, seed, epochs_per_step, status, quality FROM trials "
                "WHERE study = ? AND recipe = ? AND trial <> ? ORDER BY epochs_per_step, seed",
                [study.name, row["recipe"], row["trial"]],
            ).to_pylist(),
            {name: by for name, by in violation.items() if isinstance(by, (int, float)) and by > 0},
        )

    @property
    def terms(self) -> QualityTerms:
        """In which its quality is read."""
        return QualityTerms.of(self.trial if self.trial["quality_name"] else self.study.baseline)

    @property
    def seconds_here(self) -> float:
        """Of the steps that it made itself."""
        return sum(step["seconds"] or 0.0 for step in self._own if not step["cached"])

    @property
    def seconds_saved(self) -> float:
        """Of the steps that came out of the cache."""
        return sum(step["seconds"] or 0.0 for step in self._own if step["cached"])

    @property
    def _own(self) -> list[Row]:
        return [step for step in self.steps if step["position"] > 0 or self.trial["recipe"] == BASELINE]

    @property
    def commands(self) -> list[str]:
        """That train it again; none where the study does not say of what task it is."""
        if not self.study.definition.get("task"):
            return []
        return made_again(self.study.definition, self.trial)

    @property
    def export(self) -> str | None:
        """The command that makes its file, None where there is nothing to export."""
        if self.trial["status"] != "finished":
            return None
        return f"atoll export {self.trial['trial']} --study {quoted(self.study.name)}"


def any_trial(store: Store, study: StoredStudy, name: str) -> TrialRow:
    """Returns the row of a trial by its name, its recipe or `best`; of several a finished one.

    Raises:
        AtollError: the study has none.
    """
    if name == BEST:
        return choose_trial(store, study, name)
    trials = store.trials(study.name)
    found = [row for row in trials if name in (row["trial"], row["recipe"])]
    if not found:
        known = known_names(name, [*(row["trial"] for row in trials), BEST])
        raise AtollError(f"no trial {name!r} in study {study.name!r}; {known}")
    return next((row for row in found if row["status"] == "finished"), found[0])


def _steps(store: Store, trial: TrialRow) -> list[Row]:
    """Returns the steps, the baseline first, each with its drop and the trial that made it."""
    rows = store.query(_STEPS, [trial["study"], trial["trial"]]).to_pylist()
    listed = trial["recipe"].split(_ARROW)
    made = _made(store, trial, listed[0]) if any(row["cached"] for row in rows) else {}
    terms = QualityTerms.of(trial)
    before = next((row["quality"] for row in rows if row["position"] == 0), None)
    for row in rows:
        if row["notes"] is not None:
            row["notes"] = stored_value("notes", row["notes"], store.path)
        after = row["quality"] if row["position"] else None
        row["quality_drop"] = None if before is None or after is None else terms.drop(before, after)
        prefix = _ARROW.join(listed[: row["position"]])
        row["made_by"] = made.get(prefix) if row["cached"] else trial["trial"]
    return rows


def _made(store: Store, trial: TrialRow, first: str) -> dict[str, str]:
    key = [trial["study"], trial["seed"], trial["epochs_per_step"], first]
    return {row["prefix"]: row["trial"] for row in store.query(_MADE, key).to_pylist()}


def _place(store: Store, trial: TrialRow) -> Row | None:
    """Returns its recipe's row of `ranked_trials`, with how many recipes are ranked."""
    rows = store.query(
        "SELECT *, (SELECT count(rank) FROM ranked_trials WHERE study = ?) AS of "
        "FROM ranked_trials WHERE study = ? AND recipe = ?",
        [trial["study"], trial["study"], trial["recipe"]],
    ).to_pylist(maps_as_pydicts="strict")
    return rows[0] if rows and rows[0]["epochs_per_step"] == trial["epochs_per_step"] else None
