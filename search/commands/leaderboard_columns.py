"""The columns of a leaderboard: all for other tools, and for people those that a screen has room for."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...evaluators.ranking.figures import FIGURE
from ..terminal.tables import Column, fit

if TYPE_CHECKING:
    from ...evaluators.ranking.figure import Figure
    from ...evaluators.ranking.quality_terms import QualityTerms

_FIGURES = (
    "quality",
    "quality_std",
    "quality_drop",
    "quality_drop_error",
    "model_bytes",
    "compression_ratio",
    "payload_bytes",
    "packed_bytes",
    "macs",
    "latency_ms",
    "peak_memory_bytes",
    "ethos_u_mappable",
    "ethos_u_flash_bytes",
    "flash_bytes",
    "arena_bytes",
    "model_bytes_measured",
    "latency_host_ms_measured",
    "latency_host_ms",
    "peak_memory_host_bytes_measured",
    "peak_memory_host_bytes",
    "agreement",
    "test_quality",
    "test_drop",
    "test_drop_error",
    "test_gap",
)
_NOT_IN_TABLE = {
    "flash_bytes",
    "arena_bytes",
    "payload_bytes",
    "packed_bytes",
    "model_bytes_measured",
    "latency_host_ms_measured",
    "latency_host_ms",
    "peak_memory_host_bytes_measured",
    "peak_memory_host_bytes",
    "agreement",
    "minimum_runtime",
    "lead",
    "overtaken",
}


#: what has lines of its own: what a recipe misses is a sentence
_BELOW = ("meets", "misses")
#: what a narrow screen does without, the first one first (own choice)
_DISPENSABLE = (
    *("quality_std", "test_quality", "test_gap", "test_drop_error", "ethos_u_mappable", "peak_memory_bytes"),
    *("macs", "quality", "ethos_u_flash_bytes", "latency_ms", "compression_ratio", "quality_drop_error"),
    "test_drop",
)


def leaderboard_columns(
    rows: Sequence[Mapping[str, Any]],
    baseline: Mapping[str, Any],
    format: str,
    score: str,
    with_misses: bool = False,
    asked: Collection[str] = (),
    alone: bool = False,
) -> list[Column]:
    """Returns the columns; csv and json have more of them than a screen has room for.

    Args:
        rows: of the leaderboard.
        baseline: in whose terms qualities are read.
        format: of the table.
        score: unit of the score.
        with_misses: whether rows may miss constraints.
        asked: figures that a table must have: what constraints bound, what a goal minimizes.
        alone: whether it has no other figures.
    """
    from ...evaluators.ranking.quality_terms import QualityTerms

    terms = QualityTerms.of(baseline)
    figures = dict.fromkeys((*_FIGURES, *sorted(FIGURE.keys() & set(asked))))
    columns = [
        Column("rank"),
        Column("score", score, spec=".2f"),
        Column("trial"),
        Column("n", "seeds"),
        *(column for name in figures for column in _with_ends(FIGURE[name], terms)),
        Column("minimum_runtime", kind="counted", title="runtime"),
        Column("recipe"),
        Column("lead"),
        Column("overtaken"),
        Column("explained"),
    ]
    columns += [Column("meets"), Column("misses")] if with_misses else []
    filled = {name for row in rows for name, value in row.items() if value is not None}
    if format != "table":
        return [one for one in columns if one.name != "explained" or one.name in filled]
    # A table must fit a screen: without what is empty (nothing exported yet, every recipe ran once) and
    # without what csv and json give.
    if not any(row["n"] > 1 for row in rows):
        filled.discard("n")
    if alone:
        filled -= figures.keys() - set(asked)
    return [
        one
        for one in columns
        if one.name in filled - _NOT_IN_TABLE.difference(asked) and not one.name.endswith(("_low", "_high"))
    ]


def column_of(name: str, baseline: Mapping[str, Any]) -> Column:
    """Returns the column of a figure, in the terms of a baseline's quality."""
    from ...evaluators.ranking.quality_terms import QualityTerms

    return _with_ends(FIGURE[name], QualityTerms.of(baseline))[0]


def fitted(
    rows: Sequence[Mapping[str, Any]], columns: list[Column], asked: Collection[str]
) -> tuple[list[Column], list[str]]:
    """Returns the columns that have room beside each other, and the titles of those that had to go.

    Where even the fewest leave no room for the recipes, these have lines of their own.

    Args:
        rows, columns: of the table.
        asked: figures that stay in any case.
    """
    found = _narrowed(rows, columns, asked, _BELOW)
    if found is None:
        found = _narrowed(rows, columns, asked, (*_BELOW, "recipe"))
    if found is None:
        found = [one for one in columns if one.name not in _DISPENSABLE or one.name in asked]
    return found, [one.title or one.name for one in columns if one not in found]


def _narrowed(
    rows: Sequence[Mapping[str, Any]], columns: list[Column], asked: Collection[str], below: Collection[str]
) -> list[Column] | None:
    """Returns as many columns as have room, those with lines of their own aside; None where too few do."""
    left = columns
    for name in ("", *_DISPENSABLE):
        left = [one for one in left if one.name != name or name in asked]
        if fit(rows, [one for one in left if one.name not in below]):
            return left
    return None


def _with_ends(figure: "Figure", terms: "QualityTerms") -> list[Column]:
    """Returns a figure's column and those of the ends of its interval, which csv and json have."""
    ends = figure.ends if figure.of_device else ()
    unit = figure.exact.unit or terms.stored_heading
    return [Column.brief(terms.figure(figure), unit), *(Column.exact(figure, end) for end in ends)]
