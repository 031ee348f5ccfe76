"""The waterfall as a picture: one column a figure, one line a step; the same rows give the same bytes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..ranking.figure import Figure
from ..ranking.figures import FIGURE
from ..ranking.quality_terms import QualityTerms
from .svg import own_style, svg_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COSTS = tuple(FIGURE[name] for name in ("model_bytes", "macs", "latency_ms", "peak_memory_bytes"))
# Okabe & Ito's palette, which colour-blind readers can tell apart (Color Universal Design, 2008).
_LEFT, _SAVED, _ADDED, _DOT = "#0072B2", "#CFE3F1", "#D55E00", "#009E73"
_WIDTH_IN, _ROW_IN, _FRAME_IN = 13.0, 0.42, 1.1
_CHARACTERS = 42  # of a step's text; longer ones are cut


def draw_waterfall(rows: Sequence[Mapping[str, Any]], quality: QualityTerms, device: str) -> bytes:
    """Returns the waterfall as an SVG file.

    Args:
        rows: of `waterfall`.
        quality: how the task's quality is read.
        device: whose latency and memory the rows hold.
    """
    from matplotlib.figure import Figure as Picture

    with own_style():
        picture = Picture(figsize=(_WIDTH_IN, _FRAME_IN + _ROW_IN * len(rows)), layout="constrained")
        known = [figure for figure in _COSTS if rows[0][figure.name] is not None]
        *costs, worth = picture.subplots(1, len(known) + 1, sharey=True)
        for axes, figure in zip(costs, known, strict=True):
            _draw_cost(axes, rows, figure)
            # a step's structure is known here, so that its file is counted and not predicted
            how = f"{figure.kind}, {device}" if figure.of_device else "counted"
            axes.set_title(f"{figure.title}, {figure.brief.unit}\n({how})", fontsize=9)
        _draw_quality(worth, rows, quality)
        kind = FIGURE["quality"].kind
        worth.set_title(f"{quality.heading}\n({kind}, validation)", fontsize=9)
        costs[0].set_yticks(range(len(rows)), [_label(row) for row in rows])
        costs[0].invert_yaxis()
        for axes in (*costs, worth):
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8, length=2)
        return svg_bytes(picture)


def _draw_cost(axes: "Axes", rows: Sequence[Mapping[str, Any]], figure: Figure) -> None:
    """Draws what is left after each step, and pale or red what the step took away or added."""
    name, form = figure.name, figure.brief
    before = form.scaled(rows[0][name])
    reach = form.scaled(max(row.get(f"{name}_high") or row[name] for row in rows))
    for place, row in enumerate(rows):
        value = form.scaled(row[name])
        axes.barh(place, min(value, before), color=_LEFT)
        axes.barh(
            place, abs(value - before), left=min(value, before), color=_SAVED if value < before else _ADDED
        )
        end = max(value, before)
        if row.get(f"{name}_high") is not None:
            low, high = (form.scaled(row[one]) for one in figure.ends)
            axes.plot([low, high], [place, place], color="black", linewidth=1)
            end = max(end, high)
        axes.text(end + 0.04 * reach, place, form.text(row[name]), va="center", fontsize=8)
        before = value
    axes.set_xlim(0, 1.35 * reach)  # room for the numbers


def _draw_quality(axes: "Axes", rows: Sequence[Mapping[str, Any]], quality: QualityTerms) -> None:
    """Draws dots: a bar would have to begin at zero, where nothing can be told apart."""
    values = [quality.form.scaled(row["quality"]) for row in rows]
    axes.axvline(values[0], color="grey", linewidth=0.8, linestyle=":")
    axes.plot(values, range(len(rows)), "o-", color=_DOT, linewidth=1)
    # at least a point, or a hundredth of a figure in its own unit: what is alike is not drawn as different
    least = 1.0 if quality.is_share else 0.01 * abs(values[0]) or 1.0
    spread = max(max(values) - min(values), least)
    for place, (value, row) in enumerate(zip(values, rows, strict=True)):
        text = quality.form.text(row["quality"])
        axes.text(value + 0.08 * spread, place, text, va="center", fontsize=8)
    axes.set_xlim(min(values) - 0.3 * spread, max(values) + 0.8 * spread)


def _label(row: Mapping[str, Any]) -> str:
    text = str(row["step"])
    short = text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"
    return short if row["position"] == 0 else f"{row['position']}  {short}"
