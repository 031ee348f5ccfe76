"""Folding in the driver's loop: in batches, and without waiting for anyone."""

import time

from .store import READ_WAIT_S, Store

#: whoever only asks has the file for less (own choice): what has it for longer was forgotten
_HELD_S = 60.0


class Folder:
    """Folds for the driver, at most every second or 500 events, and never waits for a reader.

    Args:
        store: what to fold.
        every_s: seconds between folds.
        every_events: events after which a fold is due before that.
    """

    def __init__(self, store: Store, every_s: float = 1.0, every_events: int = 500) -> None:
        self.store = store
        self.every_s = every_s
        self.every_events = every_events
        self._events = 0
        self._folded_bytes = -1
        self._folded_at_s = -float("inf")
        self._busy_since_s: float | None = None

    def tick(self, events: int = 0) -> bool:
        """Folds if it is due; a busy file is tried again at the next call.

        Args:
            events: how many events were journaled since the last call.

        Returns:
            whether it folded.
        """
        self._events += events
        waited_s = time.monotonic() - self._folded_at_s
        if waited_s < self.every_s and self._events < self.every_events:
            return False
        return self._fold(wait_s=0.0)

    def held_by(self) -> str | None:
        """Returns who has kept the file from being folded for a minute, in a sentence; None if nobody."""
        if self._busy_since_s is None or time.monotonic() - self._busy_since_s < _HELD_S:
            return None
        return (
            f"{self.store.path} is held by {self.store.holder}, so that new trials are in its journal alone: "
            f"the search and the commands of Atoll go on, SQL clients see them when it is closed there"
        )

    def close(self, wait_s: float = READ_WAIT_S) -> bool:
        """Folds what is left.

        Args:
            wait_s: how long to wait for a reader that holds the file.

        Returns:
            whether the store holds all that was journaled; if not, the next command folds it.
        """
        return self._is_current() or self._fold(wait_s)

    def _fold(self, wait_s: float) -> bool:
        if self._is_current():
            self._events, self._folded_at_s = 0, time.monotonic()
            return False
        size_bytes = self.store.journal.size_bytes()
        if not self.store.fold(wait_s):
            self._busy_since_s = self._busy_since_s or time.monotonic()
            return False
        self._busy_since_s = None
        self._events, self._folded_at_s, self._folded_bytes = 0, time.monotonic(), size_bytes
        return True

    def _is_current(self) -> bool:
        return self.store.journal.size_bytes() == self._folded_bytes
