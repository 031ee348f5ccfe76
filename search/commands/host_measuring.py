"""Measures this machine for the device `host`, with a progress bar on stderr."""

import os

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ...evaluators.host.timing import measure_host
from ...hw_models.board.bench import BenchError
from ...spaces.errors import AtollError
from ..terminal.said import say

#: processes that want a core, on average over a minute, above which times are not those of an idle machine
BUSY_LOAD = 0.5


def measure_this_machine() -> list[dict[str, str]]:
    """Times the calibration networks here, showing how far it is; Ctrl-C ends it and nothing is kept.

    Returns:
        one row a network, by the columns of a file of measurements.

    Raises:
        AtollError: a file does not run here.
    """
    load = os.getloadavg()[0]
    if load > BUSY_LOAD:
        say(f"this machine is busy (load {load:.1f}), so times will be too long")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("measuring", total=None)

        def tick(done: int, total: int, what: str) -> None:
            progress.update(bar, completed=done, total=total, description=what)

        try:
            return measure_host(tick)
        except BenchError as error:
            raise AtollError(str(error)) from error
