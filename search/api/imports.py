"""Studies of another store brought into one: as events of its journal, from which it can be made anew."""

import math
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...spaces.errors import AtollError
from ...spaces.machine.scratch import scratch_folder
from ...spaces.nearest import known_names
from ..store.driver_lock import living_driver
from ..store.events import INTERRUPTED, Event, Proposed, StudyDescribed, TrialEvent
from ..store.store import Store
from ..store.stored_rows import StudyRow, TrialRow
from ..terminal.store_option import DEFAULT_STORE
from .brought_trials import Key, joined, renamed, seen_once
from .past_events import events_of_rows

#: as a study file has it
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LOOKS = "SELECT trial, command, quality, looked_at FROM test_looks WHERE study = ?"
_KEYS = "SELECT trial, recipe_digest, seed, epochs_per_step FROM trials WHERE study = ?"


@dataclass(frozen=True)
class Imported:
    """What came of a study of another store.

    Args:
        study: its name there.
        name: its name here.
        new: trials that were not here.
        known: trials that were; of them only looks at the test split come in, each once.
    """

    study: str
    name: str
    new: int
    known: int


def import_studies(
    source: Path, into: Store, studies: Sequence[str] = (), name: str | None = None
) -> list[Imported]:
    """Brings studies of another store in, which is only read; nothing is run.

    A study of a name that is here too is joined with it where both have one definition: a trial of the same
    recipe, seed and budget counts once, ours. Others keep their names, or get new ones where a name is taken.

    Args:
        source: the other store, or the folder of an `atoll.duckdb`; of any version that can be read.
        into: where they are brought.
        studies: their names; all where none is given.
        name: of the one study here; its own where None.

    Raises:
        AtollError: there is no such store or study, a search runs in one of the two, a name is another
            study's here, or what is there is no store.
    """
    if name is not None and not _NAME.fullmatch(name):
        raise AtollError(f"--as {name[:100]}: allowed are letters, digits, . _ and -, at most 100")
    with scratch_folder() as folder, into.lock():
        events = _events(source, _copied(source, into, folder))
        chosen = _chosen(events, source, studies)
        if name is not None and len(chosen) != 1:
            raise AtollError(f"--as names one study, {source} has {len(chosen)}: say which with --study")
        ours = {row["study"]: row for row in into.studies()} if _is_there(into) else {}
        brought = [_brought(study, name or study, events[study], into, ours) for study in chosen]
        try:
            for _, found in brought:  # every name is looked at before the first is written
                into.journal.append_all(found)
        except ValueError as error:
            raise AtollError(f"{source} has what no store of Atoll has: {error!s:.200}") from error
        into.fold(wait_s=5.0)
    return [imported for imported, _ in brought]


def _is_there(store: Store) -> bool:
    return store.path.exists() or store.journal.size_bytes() > 0


def _copied(source: Path, into: Store, folder: Path) -> Store:
    """Returns the other store as a copy, in which its journal can be folded and its version raised."""
    other = Store(source / DEFAULT_STORE if source.is_dir() else source)
    files = [path for path in (other.path, other.journal_path) if path.is_file()]
    if not files:
        raise AtollError(f"no store at {other.path}: a DuckDB file of Atoll, or its folder, is needed")
    if into.path.resolve() == other.path.resolve():
        raise AtollError(f"{other.path} is the store that it would be brought into")
    if living_driver(other.lock_path) is not None:
        raise AtollError(f"a search runs in {other.path}: import it when that has ended")
    copy = Store(folder / DEFAULT_STORE)
    logs = (path.with_name(f"{path.name}.wal") for path in (other.path, copy.path))
    for there, here in ((other.path, copy.path), (other.journal_path, copy.journal_path), tuple(logs)):
        if there.is_file():
            shutil.copyfile(there, here)
    return copy


def _events(source: Path, copy: Store) -> dict[str, list[Event]]:
    """Returns what happened in each study: as the journal says, and as far as rows tell where it does not."""
    found: dict[str, list[Event]] = {}
    try:
        for event in copy.journal.read()[0]:
            found.setdefault(event.study, []).append(event)
        for row in copy.studies():
            told = found.get(row["study"], [])
            found[row["study"]] = _untold(copy, row, told) + told
    except AtollError as error:  # of a copy that nobody knows
        raise AtollError(str(error).replace(str(copy.path), str(source))) from error
    return found


def _untold(copy: Store, study: StudyRow, told: Sequence[Event]) -> list[Event]:
    """Returns events of the rows of which the journal does not tell: it was lost, or begun anew."""
    rows = copy.query(_KEYS, [study["study"]]).to_pylist()
    known = _trials(event for event in told if isinstance(event, Proposed))  # a later look tells little
    untold = {row["trial"] for row in rows if _key(row) not in known}
    if told and not untold:
        return []
    if not all(math.isfinite(row["epochs_per_step"]) for row in rows):
        raise AtollError(f"the store {copy.path} has a trial of a budget that is no number of epochs")
    found = events_of_rows(copy, study)
    return [event for event in found if not isinstance(event, TrialEvent) or event.trial in untold]


def _chosen(events: dict[str, list[Event]], source: Path, studies: Sequence[str]) -> list[str]:
    for study in studies:
        if study not in events:
            raise AtollError(f"no study {study!r} in {source}: {known_names(study, events)}")
    return list(dict.fromkeys(studies)) or list(events)


def _brought(
    study: str, name: str, events: list[Event], into: Store, ours: dict[str, StudyRow]
) -> tuple[Imported, list[Event]]:
    """Returns what is to be written of a study, and what that comes to.

    Raises:
        AtollError: another study has its name here.
    """
    theirs = _trials(events)
    if name not in ours:
        return Imported(study, name, len(theirs), 0), seen_once(renamed(name, events, {}), ())
    digests = {event.digest for event in events if isinstance(event, StudyDescribed) and event.digest}
    if digests != {ours[name]["digest"]}:
        raise AtollError(
            f"{into.path} has another study {name!r}, of another definition: bring this one in under another "
            f"name, --study {study} --as NAME"
        )
    rows = into.trials(name)
    over = {
        _key(row): row["trial"] for row in rows if row["status"] != "running" and row["reason"] != INTERRUPTED
    }
    found = joined(renamed(name, events, {_key(row): row["trial"] for row in rows}), set(over.values()))
    looks = into.query(_LOOKS, [name]).to_pylist()
    return Imported(study, name, len(theirs - over.keys()), len(theirs & over.keys())), seen_once(
        found, ((row["trial"], row["command"], row["quality"], row["looked_at"]) for row in looks)
    )


def _trials(events: Iterable[Event]) -> set[Key]:
    """Returns recipe, seed and budget of the trials of some events."""
    keys = (event.key for event in events if isinstance(event, TrialEvent))
    return {key[1:] for key in keys if key is not None}


def _key(row: TrialRow | Mapping[str, Any]) -> Key:
    return row["recipe_digest"], row["seed"], row["epochs_per_step"]
