"""What a running search is told to: a file or pipe in plain lines, a program in JSON lines."""

import json
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol, TextIO

from ..terminal.said import tell
from .snapshot import Snapshot

#: A file or pipe gets a line when something ended, and at least so often.
_PLAIN_EVERY_S = 30.0
#: A program is told where the search stands when something ended, and at least so often (own choice).
_JSON_EVERY_S = 5.0


class Output(Protocol):
    """Shows a search; every call is quick, and nothing is known of the search but what is passed."""

    def open(self, now: Snapshot) -> None:
        """Begins to show."""

    def say(self, line: str) -> None:
        """Says a sentence."""

    def ended(self, line: str, facts: Mapping[str, Any]) -> None:
        """Tells that a trial is over: as a line, and as values of JSON's own types."""

    def due(self, changed: bool) -> bool:
        """Whether it is to be shown now where the search stands; `changed` where a trial began or ended."""

    def show(self, now: Snapshot) -> None:
        """Shows where the search stands."""

    def close(self, now: Snapshot) -> None:
        """Shows where it stood in the end."""


class PlainLines:
    """Lines for people, few enough to be read in a log.

    Args:
        stream: stderr when None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._said_at_s = time.monotonic()

    def open(self, now: Snapshot) -> None:
        """Says nothing yet."""

    def say(self, line: str) -> None:
        """Says a sentence, a line."""
        self._said_at_s = time.monotonic()
        tell(line, self._stream)

    def ended(self, line: str, facts: Mapping[str, Any]) -> None:
        """Says what became of a trial."""
        self.say(line)

    def due(self, changed: bool) -> bool:
        """Whether nothing was said for a while."""
        return time.monotonic() - self._said_at_s >= _PLAIN_EVERY_S

    def show(self, now: Snapshot) -> None:
        """Says where the search stands, in one line."""
        self.say(str(now))

    def close(self, now: Snapshot) -> None:
        """Says where it stood in the end."""
        self.show(now)


class JsonLines:
    """One JSON object a line, of the kinds `progress`, `trial` and `said`; docs/search.md has the fields.

    Args:
        stream: stdout when None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._shown_at_s = -_JSON_EVERY_S

    def open(self, now: Snapshot) -> None:
        """Tells how it begins."""
        self.show(now)

    def say(self, line: str) -> None:
        """Tells a sentence."""
        self._write("said", {"text": line})

    def ended(self, line: str, facts: Mapping[str, Any]) -> None:
        """Tells what became of a trial."""
        self._write("trial", facts)

    def due(self, changed: bool) -> bool:
        """Whether something changed, or nothing was told for a while."""
        return changed or time.monotonic() - self._shown_at_s >= _JSON_EVERY_S

    def show(self, now: Snapshot) -> None:
        """Tells where the search stands."""
        self._shown_at_s = time.monotonic()
        self._write("progress", now.to_json())

    def close(self, now: Snapshot) -> None:
        """Tells where it stood in the end."""
        self.show(now)

    def _write(self, event: str, facts: Mapping[str, Any]) -> None:
        write_event(event, facts, self._stream)


def write_event(event: str, facts: Mapping[str, Any], stream: TextIO) -> None:
    """Writes one JSON object as a line, in ASCII; what JSON has not (NaN) is null.

    Args:
        event: its kind.
        facts: values of JSON's own types.
        stream: where to.
    """
    found = {name: None if value != value else value for name, value in facts.items()}
    tell(json.dumps({"event": event, **found}), stream)
