"""`atoll show`: the whole story of a trial."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...evaluators.ranking.figures import FIGURE
from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import (
    Column,
    FormatOption,
    labelled,
    print_json,
    print_table,
    screen_width,
    table_text,
)

if TYPE_CHECKING:
    from ..story.trial_story import TrialStory

_FIGURES = ("quality", "quality_drop", "model_bytes", "macs", "latency_ms", "peak_memory_bytes")
_MEASURED = (
    "model_bytes_measured",
    "latency_host_ms_measured",
    "peak_memory_host_bytes_measured",
    "agreement",
    "test_quality",
    "test_drop",
)


def show(
    trial: Annotated[str, typer.Argument(help="Name of a trial, its recipe, or `best`.")] = "best",
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which study; the newest if none.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
) -> None:
    """Show a trial from its beginning to its end: steps, decisions, cache, time, and how to run it again.

    Also one that failed, was rejected or runs. json has all of it, csv the steps.
    """
    from ..store.selection import choose_study
    from ..store.store import Store
    from ..story.trial_story import TrialStory
    from ..terminal.pager import show_paged

    place = Store(store)
    story = TrialStory.of(place, choose_study(place, study), trial)
    if format == "json":
        print_json(_all(story))
    elif format == "csv":
        print_table(story.steps, [Column(name) for name in story.steps[0]] if story.steps else [], format)
    else:
        show_paged("\n".join(_lines(story)))


def _all(story: "TrialStory") -> dict[str, Any]:
    return {
        "trial": story.trial,
        "steps": story.steps,
        "place": story.place,
        "siblings": story.siblings,
        "broken": story.broken,
        "seconds_here": story.seconds_here,
        "seconds_saved": story.seconds_saved,
        "commands": [*story.commands, *([story.export] if story.export else [])],
    }


def _lines(story: "TrialStory") -> list[str]:
    from ..story.remarks import remarks
    from ..terminal.table_layout import wrapped

    width, trial = screen_width(), story.trial
    lines = wrapped(f"{trial['study']} {trial['trial']}: {trial['recipe']}", width)
    lines += ["", *labelled(_facts(story), width)]
    if story.steps:
        lines += ["", table_text(_rows(story), _columns(story))]
    said = [(step, text) for step in story.steps for text in remarks(step["notes"])]
    if said:
        lines += ["", "decisions"]
        lines += labelled([(f"{step['position']} {_technique(step)}", text) for step, text in said], width)
    commands = [*story.commands, *([story.export] if story.export else [])]
    if commands:
        lines += ["", "again, in a store of its own or as a file", *(f"  {one}" for one in commands)]
    return lines


def _facts(story: "TrialStory") -> list[tuple[str, str]]:
    """Returns what there is to say beside the steps, each with its label."""
    from ..terminal.amounts import duration

    trial, study = story.trial, story.study
    loss = study.definition.get("loss")
    by = f", proposal {trial['proposal']}" if trial["proposal"] is not None else ""
    facts = [
        ("status", trial["status"] + (f": {trial['reason']}" if trial["reason"] else "")),
        *((f"breaks {name}", f"by {100 * by:.3g} % of the bound") for name, by in story.broken.items()),
        ("place", _place(story)),
        ("ran", f"{trial['origin']}{by}; seed {trial['seed']}, {_epochs(trial)} after "
            f"every step{f', loss {loss}' if loss else ''}"),
        ("of", f"task {study.definition.get('task', 'unknown')}, device "
            f"{study.definition.get('device', 'unknown')}"),
        ("begun", _when(trial)),
    ]  # fmt: skip
    if trial["seconds"] is not None:
        said = f"{duration(trial['seconds'])} in all; steps made here {duration(story.seconds_here)}"
        saved = f", cached ones saved {duration(story.seconds_saved)}" if story.seconds_saved else ""
        facts.append(("time", said + saved))
    facts += [("seeds", _siblings(story)), ("file", _measured(story))]
    return [(label, text) for label, text in facts if text]


def _place(story: "TrialStory") -> str:
    place, terms = story.place, story.terms
    if place is None:
        return ""
    if place["rank"] is None:
        return "not ranked: it misses the study's constraints"
    said = f"rank {place['rank']} of {place['of']}, score {place['score']:.2f}"
    if place["quality_drop"] is None or story.trial["recipe"] == "baseline":
        return said
    said += f"; {terms.worse(place['quality_drop'])}"
    if place["n"] > 1 and place["quality_drop_error"] is not None:
        return f"{said} ± {terms.apart(place['quality_drop_error'])}, mean of {place['n']} seeds"
    return f"{said}, by one seed"


def _epochs(trial: Any) -> str:
    return f"{trial['epochs_per_step']:g} epoch{'s' * (trial['epochs_per_step'] != 1)}"


def _when(trial: Any) -> str:
    begun, ended = trial["started_at"], trial["ended_at"]
    if begun is None:
        return ""
    return f"{begun:%Y-%m-%d %H:%M:%S} UTC" + (f", ended {ended:%H:%M:%S}" if ended else "")


def _siblings(story: "TrialStory") -> str:
    """Returns the trials of the same recipe, which others would take for the same thing."""
    said = []
    for row in story.siblings:
        quality = f" {story.terms.said(row['quality'])}" if row["quality"] is not None else ""
        epochs = row["epochs_per_step"]
        budget = f", {epochs:g} epochs" if epochs != story.trial["epochs_per_step"] else ""
        said.append(f"{row['trial']} (seed {row['seed']}{budget}) {row['status']}{quality}")
    return "; ".join(said)


def _measured(story: "TrialStory") -> str:
    """Returns what was read off the file, which is not what was predicted."""
    row: dict[str, Any] = dict(story.trial)
    columns = [Column.exact(story.terms.figure(FIGURE[name])) for name in _MEASURED]
    known = [one for one in columns if row.get(one.name) is not None]
    return "; ".join(f"{one.label} {one.cell(row)}" for one in known)


def _rows(story: "TrialStory") -> list[dict[str, Any]]:
    """Returns the steps as a table shows them, with where each was made."""
    here = story.trial["trial"]
    return [
        {**row, "made": "here" if row["made_by"] == here else row["made_by"] or "earlier"}
        for row in story.steps
    ]


def _columns(story: "TrialStory") -> list[Column]:
    """Returns the columns that are not empty: of a device that was never timed there is no latency."""
    terms = story.terms
    figures = [
        Column.brief(terms.figure(FIGURE[name]), FIGURE[name].exact.unit or terms.stored_heading)
        for name in _FIGURES
    ]
    known = {name for step in story.steps for name, value in step.items() if value is not None}
    return [
        Column("position", title="#"),
        *(one for one in figures if one.name in known),
        Column("seconds", "s", spec=".1f", title="time"),
        Column("made"),
        Column("step"),
    ]


def _technique(step: dict[str, Any]) -> str:
    return str(step["step"] or "").partition("(")[0]
