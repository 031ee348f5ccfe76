"""Where results of steps are kept: what the pipeline asks of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor


@dataclass(frozen=True)
class Entry:
    """What is known after a step.

    Args:
        tensors: the state of the network.
        record: plain JSON: decisions and measurements of all steps so far.
    """

    tensors: dict[str, Tensor]
    record: dict[str, Any]


class CacheBackend(Protocol):
    """Entries by key, shared by all processes that reach the same place.

    A key is a digest of all that decides an entry, so an entry is never changed: the first that is
    published under a key stays. An entry is there whole, bit for bit as it was made, or not at all: a
    damaged one is as good as none, and a process that dies leaves nothing behind that others would read or
    wait for. Of those that want the same entry one makes it and the others wait for it, across threads and
    processes; a failure is never kept, and the next one tries. Any entry may be gone at any time, the least
    recently used first, but for those that are pinned. What is handed in or out is the caller's to change.
    """

    def get(self, key: str) -> Entry | None:
        """Returns an entry, None where there is none."""

    def has(self, key: str) -> bool:
        """Whether an entry is there; cheap, so it may still turn out to be damaged."""

    def get_or_make(self, key: str, make: Callable[[], Entry]) -> tuple[Entry, bool]:
        """Returns an entry and whether it was there; one that was not is made and published.

        Raises:
            MachineError: it cannot be published: the place is full or cannot be reached.
        """

    def pin(self, key: str) -> None:
        """Keeps an entry for good (baseline and finalists); nothing happens where there is none.

        Raises:
            MachineError: the place is full or cannot be reached.
        """
