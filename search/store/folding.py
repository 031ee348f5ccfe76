"""Folding in the driver's loop: in batches, and without waiting for anyone."""

import time

from .store import READ_WAIT_S, Store


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
            return False
        self._events, self._folded_at_s, self._folded_bytes = 0, time.monotonic(), size_bytes
        return True

    def _is_current(self) -> bool:
        return self.store.journal.size_bytes() == self._folded_bytes
