"""Where workers are: told by each through Ray's own key-value store, and asked for by the driver.

It lives with the cluster, so that workers of other machines are heard too, and needs no further process.
"""

import json
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict

from ...evaluators.steps.work import Position, Told

#: seconds between two words of a worker within one step (own choice): each takes it about a millisecond
_TELL_EVERY_S = 1.0
_NAMESPACE = b"atoll"


def teller(trial: str, clock: Callable[[], float] = time.monotonic) -> Told:
    """Returns what a worker tells its positions to: a new step at once, epochs once a second.

    Args:
        trial: its name.
        clock: seconds.
    """
    last: list[tuple[int, float]] = []

    def tell(position: Position) -> None:
        now_s = clock()
        if last and last[0][0] == position.step and now_s - last[0][1] < _TELL_EVERY_S:
            return
        last[:] = [(position.step, now_s)]
        _put(trial, json.dumps(asdict(position)).encode())

    return tell


class Positions:
    """Asks where workers are, from the driver; a trial that is no longer asked for is forgotten."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __call__(self, trials: Collection[str]) -> dict[str, Position]:
        """Returns where the trials are of which a worker told.

        Args:
            trials: names of those that run now.
        """
        if not trials and not self._known:
            return {}  # Ray may not have begun
        import ray
        from ray.experimental import internal_kv

        if not ray.is_initialized():
            return {}
        found = {}
        with suppress(ray.exceptions.RayError, OSError):  # whether Ray lives is looked at elsewhere
            for trial in self._known.difference(trials):
                internal_kv._internal_kv_del(_key(trial), namespace=_NAMESPACE)
            self._known = set(trials)
            for trial in trials:
                text = internal_kv._internal_kv_get(_key(trial), namespace=_NAMESPACE)
                if text:
                    found[trial] = Position(**json.loads(text))
        return found


def _put(trial: str, text: bytes) -> None:
    import ray
    from ray.experimental import internal_kv

    with suppress(ray.exceptions.RayError, OSError):  # no reason for a trial to fail
        internal_kv._internal_kv_put(_key(trial), text, namespace=_NAMESPACE)


def _key(trial: str) -> bytes:
    """Returns the key of a trial; a driver and its workers are one job, whoever else uses the cluster."""
    import ray

    return f"{ray.get_runtime_context().get_job_id()}/{trial}".encode()
