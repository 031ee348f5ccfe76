"""`atoll leaderboard`: a study's recipes by its goal or the papers' score, anew from the raw figures."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...evaluators.ranking.figures import FIGURE
from ..terminal.said import say
from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import Column, FormatOption, print_table

if TYPE_CHECKING:
    from ...evaluators.ranking.figure import Figure
    from ...evaluators.ranking.quality_terms import QualityTerms
    from ..store.stored_rows import LeaderboardRow
    from ..store.stored_study import StoredStudy

# What the ranking and the table need of a trial: its JSON columns would be most of a large study's bytes.
_TRIALS = """
    SELECT * EXCLUDE (metrics, measured, proposal_parameters, violation, started_at, ended_at)
    FROM trials WHERE study = ? AND status = 'finished' ORDER BY length(trial), trial
"""
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


def leaderboard(
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which study; the newest if none.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Rank by the papers' score: performance, efficiency, balanced, memory or cost.",
        ),
    ] = None,
    all: Annotated[
        bool,
        typer.Option("--all", help="Rank also what misses the constraints, exactly as the papers would."),
    ] = False,
    scoring: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="Rule of the papers' score: linear (eq. 12), rank (THESIS table 10), dense (PUB-I table 5).",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Print the best N only.")] = None,
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
) -> None:
    """Rank a study's finished recipes by its goal, the baseline among them.

    The goal `score` is the papers' weighted ranking, and so is every goal with --profile or --scoring.
    Others count how often the costs that they minimize were halved.

    One row a recipe: the mean over its seeds at its largest budget. Only recipes that meet the study's
    constraints are ranked, unless --all is given. Scores compare the rows of one table, not tables.
    """
    from ...evaluators.ranking.finalists import said_on_test
    from ..store.selection import choose_study, stability_of
    from ..store.store import Store

    place = Store(store)
    chosen = choose_study(place, study)
    trials = place.query(_TRIALS, [chosen.name]).to_pylist()
    rows = chosen.ranked(trials, profile, all, scoring)
    notes = _notes(chosen, trials, rows, all)
    shown: list[Mapping[str, Any]] = list(rows if limit is None else rows[:limit])
    stability = stability_of(chosen, trials, rows, profile, scoring)
    if stability is not None:
        told = stability.to_json()
        shown = [{**row, **told} if row.get("trial") == stability.first else row for row in shown]
        tested = (said_on_test(row) for row in rows if row.get("trial") == stability.first)
        notes = [*stability.sentences, *(f"{stability.first}, {said}" for said in tested if said), *notes]
    by_goal = chosen.ranks_by_goal(profile, scoring)
    weights = profile or chosen.profile
    said = weights if isinstance(weights, str) else "of its own"
    title = f"{chosen.name}: " + (
        f"goal {chosen.goal}" if by_goal else f"profile {said}, scoring {scoring or 'linear'}"
    )
    if chosen.constraints and not all:
        title += f", {' and '.join(str(one) for one in chosen.constraints)}"
    if chosen.definition.get("device"):
        title += f"; latency and memory on {chosen.device}"
    bounded = {str(one).split()[0] for one in chosen.constraints}
    columns = _columns(rows, chosen.baseline_figures(trials), all, format, by_goal, bounded)
    print_table(shown, columns, format, title)
    for note in notes:
        say(note)


def _notes(
    study: "StoredStudy", trials: Sequence[Mapping[str, Any]], rows: "Sequence[LeaderboardRow]", all: bool
) -> list[str]:
    """Returns what the table alone would leave unsaid."""
    from ...evaluators.ranking.leaderboard import BASELINE

    name, recipes = study.name, len({row["recipe"] for row in trials} - {BASELINE})
    if recipes == 0:
        counts = ", ".join(f"{study.counts[status]} {status}" for status in ("running", "failed", "rejected"))
        return [f"study {name!r} has finished no recipe yet ({counts}): the baseline stands alone"]
    nearest = study.nearest_miss(trials) if not any(row["meets"] for row in rows[1:]) else None
    if nearest is not None:
        return [
            f"no recipe of study {name!r} meets its constraints; the nearest is trial {nearest['trial']}, "
            f"{nearest['recipe']}, which misses: {nearest['misses']}"
        ]
    missing = 0 if all else recipes - (len(rows) - 1)
    if missing:
        return [f"{missing} of {recipes} recipes miss the constraints and are not ranked (--all ranks them)"]
    return []


def _columns(
    rows: Sequence[Mapping[str, Any]],
    baseline: Mapping[str, Any],
    all: bool,
    format: str,
    by_goal: bool = False,
    bounded: Collection[str] = (),
) -> list[Column]:
    """Returns the columns; csv and json have more of them than a screen has room for.

    A table has also what the study's constraints bound.
    """
    from ...evaluators.ranking.quality_terms import QualityTerms

    terms = QualityTerms.of(baseline)
    columns = [
        Column("rank"),
        Column("score", "halvings" if by_goal else f"1 to {len(rows)}", spec=".2f"),
        Column("trial"),
        Column("n", "seeds"),
        *(column for name in _FIGURES for column in _with_ends(FIGURE[name], terms)),
        Column("minimum_runtime", kind="counted"),
        Column("recipe"),
        Column("lead"),
        Column("overtaken"),
    ]
    columns += [Column("meets"), Column("misses")] if all else []
    if format != "table":
        return columns
    # A table must fit a screen: without what is empty (nothing exported yet, every recipe ran once) and
    # without what csv and json give.
    filled = {name for row in rows for name, value in row.items() if value is not None}
    if not any(row["n"] > 1 for row in rows):
        filled.discard("n")
    return [
        one
        for one in columns
        if one.name in filled - _NOT_IN_TABLE.difference(bounded) and not one.name.endswith(("_low", "_high"))
    ]


def _with_ends(figure: "Figure", terms: "QualityTerms") -> list[Column]:
    """Returns a figure's column and those of the ends of its interval, which csv and json have."""
    ends = figure.ends if figure.of_device else ()
    unit = figure.exact.unit or terms.stored_heading
    return [Column.brief(terms.figure(figure), unit), *(Column.exact(figure, end) for end in ends)]
