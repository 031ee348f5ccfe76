"""A running search on a terminal: a few lines that change in place, below those that stay."""

import time
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ...spaces.outside.shown import shown
from ..terminal.plain_text import says_everything
from ..terminal.short_recipe import short_recipe
from ..terminal.table_layout import cell_len, wrapped
from .snapshot import Running, Snapshot, clock

#: what is known is looked at so often, and the clock and the turning sign move so often (own choice)
_EVERY_S = 0.5
#: places of a label before its text
_LABEL = 8
_TURNING = "|/-\\"


def is_screen(stream: TextIO) -> bool:
    """Whether lines can change in place there: it is a terminal, and not a dumb one."""
    return stream.isatty() and not Console(file=stream, force_terminal=True).is_dumb_terminal


class Screen:
    """Shows a search in place; whatever else is printed meanwhile stands above it.

    Args:
        stream: a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, force_terminal=True)
        self._all_signs = says_everything(stream)
        self._known: tuple[Snapshot, float] | None = None
        self._live = Live(
            console=self._console,
            get_renderable=self._picture,
            refresh_per_second=1 / _EVERY_S,
            transient=True,
            redirect_stdout=False,
        )

    def open(self, now: Snapshot) -> None:
        """Begins to draw."""
        self.show(now)
        self._live.start()

    def say(self, line: str) -> None:
        """Says a sentence above what changes."""
        self._console.print(Text(shown(line)))

    def ended(self, line: str, facts: Mapping[str, Any]) -> None:
        """Says what became of a trial above what changes."""
        self.say(line)

    def due(self, changed: bool) -> bool:
        """Whether it is time to look again."""
        return self._known is None or changed or time.monotonic() - self._known[1] >= _EVERY_S

    def show(self, now: Snapshot) -> None:
        """Takes where the search stands; it is drawn with the next picture."""
        self._known = now, time.monotonic()

    def close(self, now: Snapshot) -> None:
        """Takes what changes off the screen, and leaves one line of how it stood in the end."""
        self._live.stop()
        self.say(str(now))

    def _picture(self) -> Group:
        """Returns the lines of now; drawn by a thread, so it looks at nothing that the driver changes."""
        if self._known is None:
            return Group()  # `Live` asks as it is made
        (now, at_s), width = self._known, self._console.width
        lines = picture(now, time.monotonic() - at_s, width, self._console.height - 1, self._all_signs)
        return Group(*lines)


def picture(now: Snapshot, waited_s: float, width: int, height: int, all_signs: bool = True) -> list[Text]:
    """Returns the lines that show where a search stands, none longer than the screen is wide.

    Args:
        now: where it stood a moment ago.
        waited_s: since then: the clock goes on.
        width, height: of the screen, in characters and lines.
        all_signs: whether it can show more than ASCII.
    """
    left = now.left
    if now.seconds_left is not None and now.seconds_left - waited_s >= 1:
        left = f"about {clock(now.seconds_left - waited_s)} left, then the finalists' files"
    elapsed_s = now.elapsed_s + waited_s
    turning = _TURNING[int(elapsed_s / _EVERY_S) % len(_TURNING)]
    head = f"{turning} {clock(elapsed_s)}  {now.study}" + (f"  {left}" if left else "")
    lines = [Text(line, "bold") for line in wrapped(shown(head), width)[:2]]
    if now.doing:
        lines += _labelled("now", now.doing, width, "yellow")
    lines += _labelled("trials", now.counts, width)
    best = now.told_best if now.best is None else f"{short_recipe(now.best)}  {now.about_best}"
    lines += _labelled("best", best, width, "green" if now.best else "")
    if now.front:
        lines += _labelled("front", f"{now.front} that no other beats in {_listed(now.front_of)}", width)
    if now.steps_run:
        lines += _labelled("cache", f"{now.steps_cached} of {now.steps_run} steps were in it", width)
    room = max(1, height - len(lines))
    workers = list(now.workers)
    rows = workers if len(workers) <= room else workers[: room - 1]
    lines += [Text(line) for line in map(_worker, rows)]
    if len(rows) < len(workers):
        lines.append(Text(f"  and {len(workers) - len(rows)} more workers", "dim"))
    return [_cut(line, width, "…" if all_signs else "...") for line in lines[:height]]


def _labelled(label: str, text: str, width: int, style: str = "") -> list[Text]:
    """Returns a text behind its label, on two lines at most."""
    room = max(10, width - _LABEL - 2)
    first, *others = wrapped(shown(text), room)
    lines = [Text(f"  {label:<{_LABEL}}", "dim").append(first, style or "default")]
    return lines + [Text(" " * (_LABEL + 2) + other, style) for other in others[:1]]


def _worker(one: Running) -> str:
    seed = "" if one.seed is None else f" seed {one.seed}"
    return shown(f"  {one.trial}{seed}  {one}  {short_recipe(one.recipe)}")


def _cut(line: Text, width: int, sign: str) -> Text:
    if cell_len(line.plain) > width:
        line.truncate(max(1, width - len(sign)))
        line.append(sign[:width])
    line.no_wrap = True
    return line


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
