"""Where events of studies are kept: what the store and the driver ask of it."""

from collections.abc import Iterable
from typing import Protocol

from .events import Event


class JournalBackend(Protocol):
    """Events in the order in which they were appended; only ever appended to, by any number of processes.

    When `append` returns, the event is durable and every later read has it, in this process and in others;
    when it raises, the journal is as it was. An event comes back as `event_from_json` reads its JSON.
    Offsets say where reading goes on and grow with the events; only those that `read` gave, and 0, mean
    anything, and they keep their meaning for good. What cannot be read is skipped, never guessed, and costs
    no other event. Two journals that began otherwise have different fingerprints, so that an offset is not
    used in another one.
    """

    def append(self, event: Event) -> None:
        """Adds one event and returns when it is durable.

        Raises:
            ValueError: it could not be read again: a part is of the wrong type, size or range.
            AtollError: the place is full or cannot be reached; the journal is left as it was.
        """

    def append_all(self, events: Iterable[Event]) -> None:
        """Adds events in their order, all or none, and returns when they are durable; raises as `append`."""

    def read(self, offset: int = 0, limit: int | None = None) -> tuple[list[Event], int]:
        """Returns the events from an offset on, at most `limit`, and the offset after the last.

        Raises:
            AtollError: the journal cannot be read.
        """

    def has_more(self, offset: int) -> bool:
        """Whether something follows an offset."""

    def is_line_start(self, offset: int) -> bool:
        """Whether reading may go on at an offset."""

    def size_bytes(self) -> int:
        """Returns how much is there, 0 where nothing was ever appended; it grows with every event."""

    def fingerprint(self) -> str:
        """Returns what tells this journal from another, "" for an empty one; later events change nothing."""
