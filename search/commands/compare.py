"""`atoll compare`: trials side by side."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..terminal.said import say, tell
from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import Column, FormatOption, print_json, print_table, screen_width

if TYPE_CHECKING:
    from ..story.comparison import ComparedFigure, Comparison

#: what stands behind a figure, beside that of the first trial
_SIGNS = {"noise": "~", "within": "~", "unknown": "?", "clear": "", "differs": "", "same": "="}
_LEGEND = (
    "* best; = as the first; ~ no more than the noise of seeds, or within predicted intervals; ? one seed, "
    "noise unknown; > a step that differs"
)


def compare(
    trials: Annotated[
        list[str], typer.Argument(metavar="TRIAL TRIAL ...", help="Names of trials, recipes, or `best`.")
    ],
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which study; the newest if none.")
    ] = None,
    wide: Annotated[bool, typer.Option("--wide", help="Write steps out instead of in short.")] = False,
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
) -> None:
    """Show trials side by side: steps aligned, and which figures differ by more than noise.

    Differences are those to the first one. Quality is compared over the seeds that two recipes have in
    common, each beside the baseline of its seed; predicted figures by their intervals.
    """
    from ..store.selection import choose_study
    from ..store.store import Store
    from ..story.comparison import Comparison
    from ..terminal.short_recipe import legend_lines
    from ..terminal.table_layout import wrapped

    place = Store(store)
    chosen = choose_study(place, study)
    found = Comparison.of(place, chosen, trials)
    if format == "json":
        print_json(_all(found))
        return
    names = [row["trial"] for row in found.trials]
    columns = [Column("what"), *(Column(name) for name in names)]
    short = format == "table" and not wide
    rows = [*_steps(found, short), *_figures(found)]
    print_table(rows, columns, format, f"{chosen.name}: {', '.join(names)}")
    if format == "table":
        notes = wrapped(_LEGEND, screen_width())
        if short:
            notes += legend_lines((row["recipe"] for row in found.trials), screen_width())
        tell("\n".join(notes))
        for sentence in _noise(found):
            say(sentence)


def _all(found: "Comparison") -> dict[str, Any]:
    return {
        "trials": found.trials,
        "steps": found.steps,
        "figures": [
            {
                "name": one.figure.name,
                "higher_is_better": one.figure.higher_is_better,
                "values": one.values,
                "best": [found.trials[place]["trial"] for place in one.best],
                "verdicts": one.verdicts,
                "noise": [
                    between and dict(zip(("worse_by", "error", "seeds"), between, strict=True))
                    for between in one.noise
                ],
            }
            for one in found.figures
        ],
    }


def _steps(found: "Comparison", short: bool) -> list[dict[str, str]]:
    """Returns a row for each place in the recipes, those that differ marked."""
    from ..terminal.short_recipe import short_recipe

    rows = []
    for number, steps in enumerate(found.steps, start=1):
        texts = [short_recipe(step) if short and step else step for step in steps]
        what = f"{'' if len(set(steps)) == 1 else '> '}step {number}"
        rows.append({"what": what, **_cells(found, texts)})
    said = {
        "status": [row["status"] for row in found.trials],
        "seed": [str(row["seed"]) for row in found.trials],
        "epochs": [f"{row['epochs_per_step']:g}" for row in found.trials],
    }
    told = [
        {"what": name, **_cells(found, texts)}
        for name, texts in said.items()
        if len(set(texts)) > 1 or (name == "status" and texts[0] != "finished")
    ]
    return [*told, *rows]


def _figures(found: "Comparison") -> list[dict[str, str]]:
    return [{"what": _label(found, one), **_cells(found, _texts(found, one))} for one in found.figures]


def _label(found: "Comparison", one: "ComparedFigure") -> str:
    figure = one.figure
    unit = found.terms.stored_heading if figure.of_quality else figure.brief.unit
    better = "more" if figure.higher_is_better else "less"
    title = f"{figure.title}, measured" if figure.name.endswith("_measured") else figure.title
    return f"{title}{f' [{unit}]' if unit else ''}, {better} is better"


def _texts(found: "Comparison", one: "ComparedFigure") -> list[str]:
    """Returns the values with what there is to say of each."""
    texts = []
    for place, (value, verdict) in enumerate(zip(one.values, one.verdicts, strict=True)):
        best = "*" if place in one.best and len(one.best) < len(one.values) else ""
        signs = best + _SIGNS.get(verdict or "", "")
        texts.append("" if value is None else f"{one.figure.brief.text(value)} {signs}".rstrip())
    return texts


def _cells(found: "Comparison", texts: list[str]) -> dict[str, str]:
    return {row["trial"]: text for row, text in zip(found.trials, texts, strict=True)}


def _noise(found: "Comparison") -> list[str]:
    """Returns in words how much better or worse each trial's recipe is than the first one's, beside luck."""
    first, terms, said = found.trials[0]["trial"], found.terms, []
    quality = next((one for one in found.figures if one.figure.name == "quality"), None)
    if quality is None:
        return []
    for row, value, between, verdict in zip(
        found.trials, quality.values, quality.noise, quality.verdicts, strict=True
    ):
        if verdict is None or verdict == "same":
            continue
        if between is None:
            worse = terms.difference(quality.values[0], value)
            said.append(
                f"{row['trial']} is {worse} than {first}, by one seed: whether that is luck is not known"
            )
        else:
            amount, error, seeds = between
            found_out = "more" if verdict == "clear" else "no more"
            said.append(
                f"{row['trial']} is {terms.worse(amount)} than {first} ± {terms.apart(error)} "
                f"(standard error over {seeds} seeds): {found_out} than their noise"
            )
    return said
