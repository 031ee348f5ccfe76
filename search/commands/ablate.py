"""`atoll ablate`: what the order of a recipe's steps, and each of them, was worth."""

from typing import TYPE_CHECKING, Annotated

import typer

from ...evaluators.ranking.figures import FIGURE
from ..terminal.said import say
from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import Column, FormatOption, print_table
from .search import TrustOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...evaluators.ranking.quality_terms import QualityTerms
    from ..store.rows import Row

#: seeds at most (own choice): each trains its own baseline and all recipes anew
MOST_SEEDS = 100
_FIGURES = (
    "quality",
    "quality_std",
    "quality_drop",
    "model_bytes",
    "compression_ratio",
    "payload_bytes",
    "macs",
    "latency_ms",
    "peak_memory_bytes",
    "seconds",
)
_NOT_IN_TABLE = {"compression_ratio", "payload_bytes", "macs", "peak_memory_bytes", "seconds", "status"}


def ablate(
    trial: Annotated[str, typer.Argument(help="Name of a trial, its recipe, or `best`.")] = "best",
    study: Annotated[
        str | None,
        typer.Option(metavar="STUDY", help="Which study, by its name or file; the newest if none."),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=MOST_SEEDS, help="Run all with so many seeds, for the spread."),
    ] = 1,
    orders: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=5040, help="Other orders at most; 23, those of 4 steps, if none."
        ),
    ] = None,
    trust: TrustOption = False,
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
) -> None:
    """Run a trial's steps in every other legal order and with each left out; print what that was worth.

    Same budget and seed as the trial. The runs are kept in a store of their own beside the study's, named
    STORE-ablations.duckdb, and are no trials of the study; the same command goes on where it was.
    """
    from ...evaluators.ranking.quality_terms import QualityTerms
    from ...spaces.recipes.recipe import Recipe
    from ..ablation.comparison import comparison_rows, findings
    from ..ablation.plan import Plan, store_of_ablations
    from ..ablation.runs import run_plan
    from ..ablation.variants import MOST_ORDERS, variants_of
    from ..api.searches import check_task, stored_study
    from ..store.selection import choose_trial
    from ..store.store import Store
    from ..terminal.ending import advise

    place = Store(store)
    stored = stored_study(study, place)
    chosen = choose_trial(place, stored, trial)
    variants = variants_of(Recipe.parse(chosen["recipe"]), MOST_ORDERS if orders is None else orders)
    plan, runs = Plan.of(place, stored, chosen, variants.chosen, seeds), store_of_ablations(place)
    check_task(plan.study, trust)
    for note in variants.notes:
        say(note)
    advise(f"what ended is in {runs.path}: go on with the same command")
    results = run_plan(plan, runs, say)
    rows = comparison_rows(plan, results)
    title = f"{stored.name} {chosen['trial']}: seed(s) {', '.join(map(str, plan.seeds))}"
    terms = QualityTerms.of(results.baselines[plan.seeds[0]])
    print_table(rows, _columns(rows, terms, format), format, title)
    for said in findings(rows, seeds):
        say(said)


def _columns(rows: "Sequence[Row]", terms: "QualityTerms", format: str) -> list[Column]:
    """Returns the columns; csv and json have more of them than a screen has room for."""
    figures = [
        Column.brief(terms.figure(FIGURE[name]), FIGURE[name].exact.unit or terms.stored_heading)
        for name in _FIGURES
    ]
    drop = terms.figure(FIGURE["quality_drop"])
    worse = [
        Column(name, terms.stored_heading, drop.kind, drop.brief.spec, name.replace("_", " "))
        for name in ("worse_by", "worse_by_std")
    ]
    columns = [
        Column("variant"),
        Column("n", "seeds"),
        *figures[:3],
        *worse,
        *figures[3:],
        Column("recipe"),
        Column("status"),
        Column("reason"),
    ]
    if format != "table":
        return columns
    filled = {name for row in rows for name, value in row.items() if value is not None}
    if all(row["n"] <= 1 for row in rows):
        filled.discard("n")
    return [one for one in columns if one.name in filled - _NOT_IN_TABLE]
