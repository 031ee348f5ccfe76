"""Events made of rows: what happened in a study whose journal is lost, as far as its tables tell."""

from datetime import datetime
from typing import Any

from ..store import events
from ..store.rows import MEASURED, METRICS
from ..store.store import Store
from ..store.stored_rows import StudyRow, TrialRow, stored_value

_STEPS = """
    SELECT trial, position, step, technique, stage, epochs, seconds, quality, payload_bytes, model_bytes,
        packed_bytes, macs, latency_ms, peak_memory_bytes, parameters, cached, worker_pid, notes
    FROM steps WHERE study = ? AND (position > 0 OR recipe = 'baseline') ORDER BY trial, position
"""
#: of an end, what stands in a column of its own under the same name
_OF_AN_END = (
    *("reason", "interruptions", "objective", "violation", "seconds"),
    *("weights_digest", "artifact"),
)


def events_of_rows(store: Store, study: StudyRow) -> list[events.Event]:
    """Returns events from which a fold makes a study's rows again.

    Args:
        store: of this version.
        study: its row.
    """
    name = study["study"]
    told: dict[str, Any] = dict(study)
    parts = {part: told[part] for part in ("digest", "definition", "limits", "baseline", "reference")}
    found: list[events.Event] = [
        events.StudyDescribed(study=name, created_at=_moment(study["created_at"]), **parts)
    ]
    steps = _steps(store, name)
    for trial in store.trials(name):
        found += _of_trial(trial, steps.get(trial["trial"]))
    looks = store.query(
        "SELECT trial, command, quality, looked_at FROM test_looks WHERE study = ? ORDER BY looked_at", [name]
    ).to_pylist()
    for look in looks:
        found.append(events.LookedAtTest(study=name, **look | {"looked_at": _moment(look["looked_at"])}))
    return found


def _steps(store: Store, study: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in store.query(_STEPS, [study]).to_pylist():
        notes = row["notes"] and stored_value("notes", row["notes"], store.path)
        found.setdefault(row.pop("trial"), []).append(row | {"notes": notes})
    return found


def _of_trial(trial: TrialRow, steps: list[dict[str, Any]] | None) -> list[events.Event]:
    row: dict[str, Any] = dict(trial)
    found: list[events.Event] = [events.Proposed.of_row(row, parameters=row["proposal_parameters"])]
    worker = {name: row[name] for name in ("worker_pid", "node", "threads")}
    if row["started_at"] is not None:
        found.append(events.Started.of_row(row, started_at=_moment(row["started_at"]), **worker))
    if row["status"] != "running":
        is_cut_off = row["reason"] == events.INTERRUPTED
        found.append(
            events.Ended.of_row(
                row,
                status=events.INTERRUPTED if is_cut_off else row["status"],
                metrics=row["metrics"] or _figures(row, METRICS) or None,
                steps=steps,
                ended_at=_moment(row["ended_at"]),
                **{name: row[name] for name in _OF_AN_END},
                **worker,
            )
        )
    measured = _figures(row, MEASURED) | (row["measured"] or {})
    if measured:
        found.append(events.Measured.of_row(row, figures=measured))
    return found


def _figures(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    figures = {name: row[name] for name in names if row.get(name) is not None and name != "artifact"}
    return {name: _moment(one) if isinstance(one, datetime) else one for name, one in figures.items()}


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
