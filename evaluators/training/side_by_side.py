"""Two trainings at a time in one process, each with the threads that it would have alone."""

from collections.abc import Callable
from threading import Event, Thread

import torch

from ...spaces.technique.context import AfterStep

#: a training run that calls what it is given after every step
Run = Callable[[AfterStep], None]


class _Abandoned(Exception):
    """The other one failed, or the process is to end."""


def side_by_side(one: Run, other: Run) -> None:
    """Carries out two runs at a time; what each computes is the same, bit for bit, as one after the other.

    Torch computes without Python's lock, so that two cores are busy. The runs must share nothing that either
    changes, torch's own generator included.

    Args:
        one: runs in a thread of its own.
        other: runs in the caller's.

    Raises:
        BaseException: what a run raised, or came upon the caller; the other one ends with its next step.
    """
    over, ended, failures, threads = Event(), Event(), [], torch.get_num_threads()

    def look(_share: float) -> None:
        if over.is_set():
            raise _Abandoned

    def beside() -> None:
        try:
            torch.set_num_threads(threads)  # a new thread of Python has torch's default
            one(look)
        except _Abandoned:
            pass
        except BaseException as error:
            failures.append(error)
            over.set()
        finally:
            ended.set()

    # waited for by an event: Python 3.11 takes a thread for dead whose `join` was interrupted
    Thread(target=beside, daemon=True).start()
    try:
        other(look)
        ended.wait()  # here, since what comes upon the caller meanwhile ends the other one, too
    except _Abandoned:
        pass
    except BaseException:
        over.set()
        raise
    finally:
        ended.wait()
    if failures:
        raise failures[0]
