"""`atoll leaderboard`: a study's recipes by its goal or the papers' score, anew from the raw figures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...evaluators.ranking.figures import PACKED_ALONE
from ..terminal.said import say, tell
from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import Column, FormatOption, print_table, screen_width
from .leaderboard_columns import column_of, fitted, leaderboard_columns

if TYPE_CHECKING:
    from ..store.stored_rows import LeaderboardRow
    from ..store.stored_study import StoredStudy

# What the ranking and the table need of a trial: its JSON columns would be most of a large study's bytes.
_TRIALS = """
    SELECT * EXCLUDE (metrics, measured, proposal_parameters, violation, started_at, ended_at)
    FROM trials WHERE study = ? AND status = 'finished' ORDER BY length(trial), trial
"""


def leaderboard(
    study: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Which study, or several of one task; the newest if none."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Rank by the papers' score: performance, efficiency, balanced, memory or cost.",
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[=WEIGHT],...",
            help="Rank by the score of some metrics alone: quality, file, latency, work, memory.",
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
    explain: Annotated[
        bool, typer.Option("--explain", help="Say for every metric what it adds to the score.")
    ] = False,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Print the best N only.")] = None,
    wide: Annotated[bool, typer.Option("--wide", help="Print all columns, and recipes written out.")] = False,
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
) -> None:
    """Rank a study's finished recipes by its goal, the baseline among them.

    The goal `score` is the papers' weighted ranking, and so is every goal with --profile, --metrics or
    --scoring. Others count how often the costs that they minimize were halved.

    One row a recipe: the mean over its seeds at its largest budget. Only recipes that meet the study's
    constraints are ranked, unless --all is given. Scores compare the rows of one table, not tables.
    """
    from ...evaluators.ranking.explained import explained, explained_by_goal
    from ...evaluators.ranking.finalists import said_on_test
    from ...evaluators.ranking.own_weights import named_metrics, own_weights
    from ..store.selection import choose_study, stability_of
    from ..store.store import Store
    from ..story.joined import ranked_together

    place = Store(store)
    names: list[str | None] = list(dict.fromkeys(study or ())) or [None]
    studies = [choose_study(place, name) for name in names]
    chosen = studies[0]
    weights: str | Mapping[Any, float] | None = profile
    if metrics is not None:
        weights = own_weights(metrics, profile or chosen.profile)
    of_studies = [place.query(_TRIALS, [one.name]).to_pylist() for one in studies]
    trials = of_studies[0]
    rows = ranked_together(studies, of_studies, weights, all, scoring)
    notes: list[str] = []
    for one, own in zip(studies, of_studies, strict=True):
        notes += _notes(one, own, [row for row in rows if row.get("study", one.name) == one.name], all)
    by_goal, baseline = chosen.ranks_by_goal(weights, scoring), chosen.baseline_figures(trials)
    ranked: list[dict[str, Any]] = [dict(row) for row in rows]
    stability = stability_of(chosen, trials, rows, weights, scoring) if len(studies) == 1 else None
    if stability is not None:
        told = stability.to_json()
        ranked = [{**row, **told} if row.get("trial") == stability.first else row for row in ranked]
        tested = (said_on_test(row) for row in rows if row.get("trial") == stability.first)
        notes = [*stability.sentences, *(f"{stability.first}, {said}" for said in tested if said), *notes]
    if explain:
        parts = (
            explained_by_goal(rows, baseline, chosen.goal)
            if by_goal
            else explained(rows, baseline, weights or chosen.profile, scoring or "linear")
        )
        told_of = ({"explained": [asdict(one) for one in own]} for own in parts)
        ranked = [row | told for row, told in zip(ranked, told_of, strict=True)]
    shown = ranked[:limit]
    title = _title(studies, by_goal, weights, scoring, all)
    asked = set(chosen.goal.minimized) if by_goal else set[str]()
    asked |= {str(one).split()[0] for one in chosen.constraints}
    if metrics is not None:
        asked = {"quality_drop", *named_metrics(metrics)}
    unit = "halvings" if by_goal else f"1 to {len(rows)}"
    columns = leaderboard_columns(ranked, baseline, format, unit, all, asked, metrics is not None)
    if "packed_bytes" in asked:
        notes.append(PACKED_ALONE)
    if format == "table":
        _print_for_people(shown, columns, asked, title, wide)
        if explain:
            _print_parts(shown, by_goal, baseline)
    else:
        print_table(shown, columns, format)
    for note in notes:
        say(note)


def _title(
    studies: "Sequence[StoredStudy]",
    by_goal: bool,
    weights: str | Mapping[str, float] | None,
    scoring: str | None,
    all: bool,
) -> str:
    chosen = studies[0]
    profile = weights or chosen.profile
    said = profile if isinstance(profile, str) else "of its own"
    title = f"{', '.join(one.name for one in studies)}: " + (
        f"goal {chosen.goal}" if by_goal else f"profile {said}, scoring {scoring or 'linear'}"
    )
    if chosen.constraints and not all:
        title += f", {' and '.join(str(one) for one in chosen.constraints)}"
    if chosen.definition.get("device"):
        title += f"; latency and memory on {chosen.device}"
    return title


def _print_for_people(
    rows: list[dict[str, Any]], columns: list[Column], asked: set[str], title: str, wide: bool
) -> None:
    """Prints recipes in short with a legend, and as many columns as there is room for, unless it is wide."""
    from ..terminal.short_recipe import legend_lines, short_recipe
    from ..terminal.table_layout import wrapped

    columns = [one for one in columns if one.name != "explained"]
    if wide:
        print_table(rows, columns, "table", title)
        return
    short = [{**row, "recipe": short_recipe(row["recipe"])} for row in rows]
    columns, gone = fitted(short, columns, asked)
    print_table(short, columns, "table", title)
    said = legend_lines((row["recipe"] for row in rows), screen_width())
    if gone:
        text = f"no room for: {', '.join(dict.fromkeys(gone))} (--wide has them)"
        said += wrapped(text, screen_width())
    tell("\n".join(said))


def _print_parts(rows: list[dict[str, Any]], by_goal: bool, baseline: Mapping[str, Any]) -> None:
    """Prints what every metric adds to the score of each recipe, figures as the leaderboard has them."""
    tell("")
    named = {
        name: column_of(name, baseline)
        for name in dict.fromkeys(part["metric"] for row in rows for part in row["explained"])
    }
    columns = [
        Column("rank"),
        Column("trial"),
        Column("metric"),
        Column("value"),
        *([] if by_goal else [Column("scaled", spec=".2f")]),
        Column("score", "halvings" if by_goal else "", spec=".2f"),
        *([] if by_goal else [Column("weight")]),
        Column("adds", spec=".2f"),
    ]
    parts = [
        {
            **part,
            "metric": ", ".join(named[part["metric"]].header.splitlines()),
            "value": named[part["metric"]].cell({part["metric"]: part["value"]}),
            "rank": row["rank"],
            "trial": row.get("trial") or row["recipe"],
        }
        for row in rows
        for part in row["explained"]
    ]
    print_table(parts, columns, "table", "what every metric adds to the score")


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
