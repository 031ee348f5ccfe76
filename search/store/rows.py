"""What an event does to the rows of the store: pure, so that folding a journal twice changes nothing.

Every event sets absolute values, never differences; the last event of a kind decides, whatever was folded
before it. So the rows are the same however the journal was cut into batches and however often a beginning of
it was folded.
"""

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from ...evaluators.ranking.figures import FIGURES
from ...evaluators.ranking.metrics import Metrics
from .events import (
    INTERRUPTED,
    Ended,
    Event,
    LookedAtTest,
    Measured,
    Proposed,
    Started,
    StudyDescribed,
    TrialEvent,
    TrialKey,
)

_LOG = logging.getLogger(__name__)

Row = dict[str, Any]
# The same four are the same trial: it is upserted, so that a restart or a second fold counts nothing twice.
KEY_FIELDS = ("study", "recipe_digest", "seed", "epochs_per_step")

_WRITER = json.JSONEncoder(sort_keys=True)

# Columns of trial_rows that an `ended` event's metrics fill under their own names.
METRICS = tuple(field.name for field in fields(Metrics))
_NO_METRICS = dict.fromkeys(METRICS)
# Columns of trial_rows that a `measured` event fills: read off the exported file, or predicted from it.
MEASURED = (
    *(name for figure in FIGURES if figure.source == "file" for name in figure.columns),
    "test_quality_at",
    "artifact",
)
# Who worked: said when a trial starts, and again when it ends, where that is known only then.
_WORKER = ("worker_pid", "node", "threads")


@dataclass
class Rows:
    """The rows that a batch of events touches: loaded, changed by `apply`, written back.

    Args:
        studies: rows of study_rows by name.
        trials: rows of trial_rows by key.
        steps: rows of step_rows of the trials that ended in this batch, replacing what is stored.
        looks: rows of test_look_rows by digest.
        names: key of the trial of that study and name.
    """

    studies: dict[str, Row] = field(default_factory=dict)
    trials: dict[TrialKey, Row] = field(default_factory=dict)
    steps: dict[TrialKey, list[Row]] = field(default_factory=dict)
    looks: dict[str, Row] = field(default_factory=dict)
    names: dict[tuple[str, str], TrialKey] = field(default_factory=dict)

    def load_trials(self, rows: Iterable[Row]) -> None:
        """Adds stored rows of trial_rows."""
        for row in rows:
            key = (row["study"], row["recipe_digest"], row["seed"], row["epochs_per_step"])
            self.trials[key] = row
            self.names[row["study"], row["trial"]] = key

    def apply(self, event: Event) -> None:
        """Changes the rows by one event; one of an unknown trial changes nothing, with a warning."""
        if isinstance(event, StudyDescribed):
            self._describe(event)
        elif isinstance(event, LookedAtTest):
            self._look(event)
        elif isinstance(event, TrialEvent):
            row = self._trial_row(event)
            if row is not None:
                self._change(row, event)

    def _describe(self, event: StudyDescribed) -> None:
        row = self._study_row(event.study)
        for name in ("definition", "limits", "baseline", "reference"):
            if getattr(event, name) is not None:
                row[name] = _json(getattr(event, name))
        if event.digest is not None:
            row["digest"] = event.digest
        if event.baseline is not None:
            row["baseline_model_bytes"] = event.baseline.get("model_bytes")
        _fill(row, "created_at", moment_of(event.created_at))

    def _change(self, row: Row, event: TrialEvent) -> None:
        if isinstance(event, Proposed):
            _fill(row, "proposal_parameters", _json(event.parameters))
        elif isinstance(event, Started):
            if (
                row["status"] != "finished"
            ):  # started once more, it keeps its result until the new one is there
                row.update(status="running", reason=None)
            row["started_at"] = moment_of(event.started_at)
            row.update({name: getattr(event, name) for name in _WORKER})
        elif isinstance(event, Ended):
            self._end(row, event)
        elif isinstance(event, Measured):
            for name in MEASURED:
                if name in event.figures:
                    value = event.figures[name]
                    row[name] = moment_of(value) if name.endswith("_at") else value
            row["measured"] = _json(json.loads(row.get("measured") or "{}") | event.figures)

    def _end(self, row: Row, event: Ended) -> None:
        row["interruptions"] = event.interruptions
        if event.status == INTERRUPTED:  # as if its driver had died; a result that it has stays
            if row["status"] != "finished":
                row.update(status="failed", reason=INTERRUPTED)
            return
        row.update(_NO_METRICS)
        row.update({name: value for name, value in (event.metrics or {}).items() if name in _NO_METRICS})
        row.update(
            status=event.status,
            reason=event.reason,
            objective=event.objective,
            violation=_json(event.violation),
            metrics=_json(event.metrics),
            seconds=event.seconds,
            ended_at=moment_of(event.ended_at),
        )
        for name in (*_WORKER, "weights_digest", "artifact"):
            if getattr(event, name) is not None:
                row[name] = getattr(event, name)
        if event.steps is not None:
            self.steps[_key(row)] = [_step_row(row, step) for step in event.steps]

    def _look(self, event: LookedAtTest) -> None:
        digest = hashlib.sha256(json.dumps(event.to_json(), sort_keys=True).encode()).hexdigest()
        self.looks[digest] = {
            "digest": digest,
            "study": event.study,
            "trial": event.trial,
            "command": event.command,
            "quality": event.quality,
            "looked_at": moment_of(event.looked_at),
        }

    def _study_row(self, name: str) -> Row:
        return self.studies.setdefault(name, {"study": name})

    def _trial_row(self, event: TrialEvent) -> Row | None:
        """Returns the row of the event's trial, made if it is new; the event names it by key or by name."""
        name = (event.study, event.trial)
        key = event.key or self.names.get(name)
        if key is None:
            _LOG.warning("the journal says %r of trial %s/%s, which it never proposed", event.kind, *name)
            return None
        _fill(self._study_row(event.study), "digest", event.study_digest)
        if key not in self.trials:
            self.trials[key] = dict(zip(KEY_FIELDS, key, strict=True)) | {
                "trial": event.trial,
                "status": "running",
            }
            self.names[name] = key
        row = self.trials[key]
        for part in ("recipe", "origin", "proposal"):  # what is there stays, whatever proposes it again
            _fill(row, part, getattr(event, part))
        return row


def _key(row: Row) -> TrialKey:
    return (row["study"], row["recipe_digest"], row["seed"], row["epochs_per_step"])


def _step_row(trial: Row, step: Row) -> Row:
    return step | {name: trial[name] for name in KEY_FIELDS} | {"notes": _json(step.get("notes"))}


def _fill(row: Row, name: str, value: Any) -> None:
    if row.get(name) is None:
        row[name] = value


def _json(value: Any) -> str | None:
    return None if value is None else _WRITER.encode(value)


def moment_of(text: Any) -> datetime | None:
    """Returns the moment that an event names, in UTC where no zone is said; None for what is none.

    Args:
        text: ISO 8601, or seconds since the epoch.
    """
    try:
        if isinstance(text, (int, float)):
            return datetime.fromtimestamp(text, UTC)
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
