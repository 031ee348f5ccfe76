"""Trials of another study as they come into one of ours: their names, and what of them is wanted."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any

from ..store.events import FOREIGN_NUMBER, Event, LookedAtTest, TrialEvent
from ..store.rows import moment_of

#: of a number in a name that a journal takes
_DIGITS = 9
#: digest of the recipe, seed and epochs after every step: the same are the same trial of a study
Key = tuple[str, int, float]


def renamed(name: str, events: Sequence[Event], known: Mapping[Key, str]) -> list[Event]:
    """Returns the events of a study as one of ours, its trials named as they are here, or by free names.

    Args:
        name: of the study here.
        events: of the other one.
        known: names of the trials here, by recipe digest, seed and epochs after every step.
    """
    taken, names = set(known.values()), dict[str, str]()
    numbers = count(max((number for number in map(_number, taken) if number < FOREIGN_NUMBER), default=0) + 1)
    free = (trial for trial in (f"t{number:04d}" for number in numbers) if trial not in taken)
    keys = {
        event.trial: event.key[1:]
        for event in events
        if isinstance(event, TrialEvent) and event.key is not None
    }
    for trial in sorted(keys, key=_is_foreign):  # what has a name of its own keeps it
        own = None if trial in taken or _is_foreign(trial) else trial
        names[trial] = known.get(keys[trial]) or own or next(free)
        taken.add(names[trial])
    return [
        replace(event, study=name, trial=names[event.trial])
        if isinstance(event, TrialEvent)
        else replace(event, study=name)
        for event in events
        if not isinstance(event, TrialEvent) or event.trial in names
    ]


def joined(events: Sequence[Event], over: Collection[str]) -> list[Event]:
    """Returns what joins a study that is here: trials that are not over, and all looks at the test split.

    To the study here they are what `atoll evaluate` would have added: proposals are counted by its own.

    Args:
        events: of the other one, its trials named as they are here.
        over: names of trials of which nothing more is wanted.
    """
    return [
        replace(event, origin="evaluate" if event.origin == "search" else event.origin, proposal=None)
        for event in events
        if isinstance(event, LookedAtTest) or (isinstance(event, TrialEvent) and event.trial not in over)
    ]


def seen_once(events: Iterable[Event], seen: Iterable[tuple[Any, ...]]) -> list[Event]:
    """Returns the events without looks at the test split that are there already, however they were told.

    Args:
        events: of one study.
        seen: trial, command, quality and moment of each look that it has.
    """
    known, found = {_look(*look) for look in seen}, list[Event]()
    for event in events:
        if isinstance(event, LookedAtTest):
            look = _look(event.trial, event.command, event.quality, event.looked_at)
            if look in known:
                continue
            known.add(look)
        found.append(event)
    return found


def _look(trial: str, command: str | None, quality: float | None, moment: Any) -> tuple[Any, ...]:
    told = moment.isoformat() if isinstance(moment, datetime) else moment
    return trial, command, quality, moment_of(told)


def _number(trial: str) -> int:
    """Returns the number in a trial's name; 0 of what is no such name, and refused when it is written."""
    digits = trial[1:]
    return int(digits) if digits.isdecimal() and len(digits) <= _DIGITS else 0


def _is_foreign(trial: str) -> bool:
    return _number(trial) >= FOREIGN_NUMBER
