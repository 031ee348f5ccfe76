"""What is known about a figure: what it is called, in which unit people read it, what it is good for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from ...hw_models.formulas.prediction import ESTIMATED

#: measured: read off a file or a trained network; counted: follows exactly from a structure; predicted: what
#: a measured figure is expected to be, with an interval where a cost model says so; estimated: by a compiler,
#: without an interval
Kind = Literal["measured", "counted", "predicted", "estimated"]
KINDS: tuple[Kind, ...] = ("measured", "counted", "predicted", "estimated")

#: how many of a figure's own unit make one of this one
_MANY = {"kB": 1e3, "KiB": 1024, "MiB": 2**20, "M MAC": 1e6}
#: what stands behind a number without more, and says nothing in a heading
_UNSAID = ("", "x", "share")
#: units that name what they count, so that a heading needs no other word
_SPEAKING = ("MAC", "M MAC", "epochs")


@dataclass(frozen=True)
class Form:
    """A way to write a figure.

    Args:
        unit: in which it is read; "" for a count of itself or the task's own quality.
        digits: behind the point.
        sign: "+" where a number above zero says so too.
        significant: whether the digits are the significant ones, of a figure in a unit that a user named.
    """

    unit: str
    digits: int
    sign: Literal["", "+"] = ""
    significant: bool = False

    @property
    def per_unit(self) -> float:
        """How many of the figure's own unit make one of this one."""
        return 1 if self.significant else _MANY.get(self.unit, 1)

    @property
    def spec(self) -> str:
        """The number's format specification."""
        return f"{self.sign},.{self.digits}{'g' if self.significant else 'f'}"

    def scaled(self, value: float) -> float:
        """Returns a figure in this unit."""
        share = self.unit == "%" and not self.significant
        return 100 * value if share else value / self.per_unit

    def text(self, value: float | None) -> str:
        """Returns a figure as it is written, without its unit; "" where there is none."""
        return "" if value is None else format(self.scaled(value), self.spec)


#: shares as reports and cards write them
PERCENT = Form("%", 2)


@dataclass(frozen=True)
class Figure:
    """What is known about a figure.

    Args:
        name: its key in rows, columns, JSON and CSV; its ending is the unit.
        title: what a table calls it.
        kind: measured, counted, predicted or estimated.
        exact: its own unit, with the digits that mean something.
        short: as a table of many shows it; None where that is the same.
        higher_is_better: direction.
        across: how several networks of one task make one figure: their "sum", their "max", or "task": it is
            known of the task as a whole.
        resolution: the smallest difference that means anything (ε of `search/proposer/objective.py`).
        whole: whether the figure is a whole number.
        of_device: whether a device's cost model gives it, with an interval and a status.
        needs_training: whether it is known only after the candidate was trained.
        of_quality: whether unit and direction are those of the task's quality (`QualityTerms`); the table has
            those of a share.
        source: where it comes from: a "metric" of every trial (`Metrics`), the "trial" that ran, the "file"
            that was written of it, or "derived" from others whenever it is read, and not stored.
        long_title: what a text of one model calls it; None where `title` says enough.
    """

    name: str
    title: str
    kind: Kind
    exact: Form
    short: Form | None = None
    higher_is_better: bool = False
    across: Literal["sum", "max", "task"] = "task"
    resolution: float = 0.001
    whole: bool = False
    of_device: bool = False
    needs_training: bool = False
    of_quality: bool = False
    source: Literal["metric", "trial", "file", "derived"] = "metric"
    long_title: str | None = None

    @property
    def brief(self) -> Form:
        """How a table of many shows it."""
        return self.short or self.exact

    @property
    def adds_up(self) -> bool:
        """Whether several networks of a task add up."""
        return self.across == "sum"

    @property
    def ends(self) -> tuple[str, ...]:
        """Names of the ends of its interval, the lower one first; none where it has no interval."""
        has_them = self.kind == "predicted" and self.source != "derived"
        return (f"{self.name}_low", f"{self.name}_high") if has_them else ()

    @property
    def status(self) -> str:
        """Name of what a device's prediction says about itself: `latency_status` of `latency_ms`."""
        return re.sub("_(ms|bytes)$", "", self.name) + "_status"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names under which it is stored: itself, the ends of its interval, its status."""
        return (self.name, *self.ends, *([self.status] if self.of_device else []))

    @property
    def measured(self) -> Self:
        """The same figure, read off the file that was written."""
        return replace(self, kind="measured", of_device=False)

    def of(self, row: Mapping[str, Any]) -> Self:
        """Returns the figure as a row has it: estimated where its status says that a compiler gave it."""
        estimated = self.of_device and row.get(self.status) == ESTIMATED
        return replace(self, kind="estimated") if estimated else self

    def heading(self, form: Form | None = None) -> str:
        """Returns title and unit as the head of a column in a text: `file, kB`."""
        unit = (form or self.brief).unit
        return unit if unit in _SPEAKING else _with_unit(self.title, unit)

    def label(self, form: Form | None = None, about: str = "") -> str:
        """Returns long title, unit and kind: `latency, ms (predicted, coral-dev-board)`.

        Args:
            form: the unit in which its values stand beside it, the exact one if None.
            about: what else a reader must know of how it came about.
        """
        said = ", ".join(part for part in (self.kind, about) if part)
        return f"{_with_unit(self.long_title or self.title, (form or self.exact).unit)} ({said})"

    def said(self, value: float) -> str:
        """Returns a figure as a sentence has it, with unit and kind: `12.3 kB predicted`."""
        return " ".join(part for part in (self.brief.text(value), self.brief.unit, self.kind) if part)


def _with_unit(title: str, unit: str) -> str:
    return title if unit in _UNSAID else f"{title}, {unit}"
