"""How the quality of a study is read: its name, its unit and which way is better."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from .figure import PERCENT, Figure, Form
from .metrics import Metrics

#: significant digits of a quality that is no share: what a share of a few thousand samples has, too
_DIGITS = 4
#: share of the baseline's figure below which a difference means nothing; of a share, a thousandth is absolute
RESOLUTION_SHARE = 0.001


@dataclass(frozen=True)
class QualityTerms:
    """What stands beside a figure of quality wherever it goes, and what follows from it.

    The figure is always as its user knows it, an error as an error; whoever compares two asks here. A drop is
    always how much worse than the baseline, in the quality's unit.

    Args:
        name: of the quality.
        unit: "%" of a share, which is kept in [0, 1] and read in percent; else the figure's own, "" for none.
        higher_is_better: direction.

    >>> error = QualityTerms("mean_absolute_error", "mm", higher_is_better=False)
    >>> error.drop(0.25, 0.5), error.better(0.25, 0.5), error.said(0.25), error.difference(0.25, 0.5)
    (0.25, True, '0.25 mm', '0.25 mm worse')
    """

    name: str
    unit: str = "%"
    higher_is_better: bool = True

    @classmethod
    def of(cls, metrics: Mapping[str, Any] | Metrics) -> Self:
        """Returns the terms that stand beside a quality; where a row of old says none, it is a share."""
        row = metrics if isinstance(metrics, Mapping) else metrics.to_json()
        unit, higher = row.get("quality_unit"), row.get("quality_higher_is_better")
        name = row.get("quality_name") or "share"
        return cls(str(name), "%" if unit is None else str(unit), True if higher is None else bool(higher))

    @property
    def is_share(self) -> bool:
        """Whether the figure lies in [0, 1] and is read in percent."""
        return self.unit == PERCENT.unit

    @property
    def form(self) -> Form:
        """How a text writes the figure."""
        return PERCENT if self.is_share else Form(self.unit, _DIGITS, significant=True)

    @property
    def heading(self) -> str:
        """Name and unit, as the head of a column in a text."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    @property
    def stored_heading(self) -> str:
        """The same where the figure stands as it is kept: a share in [0, 1]."""
        return self.name if self.is_share else self.heading

    def figure(self, figure: Figure) -> Figure:
        """Returns a figure with this unit and direction where it is one of quality; any other as it is."""
        if not figure.of_quality or (self.is_share and self.higher_is_better):
            return figure
        higher = figure.higher_is_better and self.higher_is_better  # a drop is bad either way
        if self.is_share:
            return replace(figure, higher_is_better=higher)
        form = Form(self.unit, _DIGITS, figure.exact.sign, significant=True)
        return replace(figure, higher_is_better=higher, exact=form)

    def unit_of(self, figure: Figure) -> str:
        """Returns the unit in which a text reads a figure: differences of shares are points."""
        if not figure.of_quality:
            return figure.brief.unit
        is_difference = figure.source == "derived"
        return "points" if self.is_share and is_difference else self.form.unit

    def resolution(self, baseline: float) -> float:
        """Returns the smallest difference that means anything, beside what the baseline has."""
        least = RESOLUTION_SHARE
        return least if self.is_share or not baseline else least * abs(baseline)

    def better(self, one: float, other: float) -> bool:
        """Whether one figure is better than another."""
        return one > other if self.higher_is_better else one < other

    def best(self, figures: Mapping[str, float]) -> str:
        """Returns the name of the best figure, the first of several."""
        return min(figures, key=lambda name: self.drop(0.0, figures[name]))

    def drop(self, baseline: float, quality: float) -> float:
        """Returns how much worse a figure is than the baseline's, in its own unit; below 0 it is better."""
        return baseline - quality if self.higher_is_better else quality - baseline

    def said(self, value: float | None) -> str:
        """Returns a figure with its unit: `96.88 %`; "" where there is none."""
        return "" if value is None else f"{self.form.text(value)} {self.unit}".strip()

    def difference(self, baseline: float, quality: float) -> str:
        """Returns `1.23 points worse` or `better`, `0.00 points apart` where the digits show none."""
        return self.worse(self.drop(baseline, quality))

    def worse(self, drop: float) -> str:
        """Returns a drop in words, as `difference` does."""
        zero = float(self._between.text(drop).replace(",", "")) == 0
        return f"{self.apart(drop)} {'apart' if zero else 'worse' if drop > 0 else 'better'}"

    def apart(self, difference: float) -> str:
        """Returns how far two figures are apart, whichever is better: `1.23 points`."""
        unit = "points" if self.is_share else self.unit
        return f"{self._between.text(abs(difference))} {unit}".strip()

    @property
    def _between(self) -> Form:
        return Form("%", 2) if self.is_share else self.form
