"""`atoll evaluate`: one recipe as a trial."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...evaluators.ranking.figures import FIGURE
from ...spaces.errors import AtollError
from ..terminal.said import say
from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import Column, FormatOption, print_record
from .search import TrustOption

if TYPE_CHECKING:
    from ...evaluators.ranking.quality_terms import QualityTerms

_FIGURES = (
    "quality",
    "quality_drop",
    "model_bytes",
    "compression_ratio",
    "payload_bytes",
    "macs",
    "latency_ms",
    "peak_memory_bytes",
    "seconds",
)


def evaluate(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help='Such as "quantize(bits=8)", or baseline.')],
    task: Annotated[str | None, typer.Option(metavar="NAME", help="A built-in task; digits if none.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help="Seed of the study.")] = None,
    epochs: Annotated[
        float | None, typer.Option(metavar="N", help="Epochs after every step; the study's if none.")
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Steps learn from labels, or distilled; the study's if none."),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            metavar="STUDY", help="A study file, or the name of a study in the store; the task's own if none."
        ),
    ] = None,
    trust: TrustOption = False,
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
) -> None:
    """Train and measure one recipe as a trial of a study; a finished one is not run again.

    Of a study file its task, device, seed, epochs and loss count; its limits do not.
    """
    from ...evaluators.ranking.quality_terms import QualityTerms
    from ...evaluators.steps.evaluate import check_plans
    from ...spaces.recipes.order import check_order
    from ...spaces.recipes.recipe import Recipe
    from ..api.searches import check_task, study_named
    from ..driver.runner import run_here
    from ..driver.single_trial import SingleTrial, evaluate_single
    from ..store.store import Store
    from ..terminal.ending import advise

    wanted = check_order(Recipe.parse(recipe))
    place = Store(store)
    given = {"seed": seed, "epochs_per_step": epochs, "loss": loss}
    overrides = {key: value for key, value in given.items() if value is not None}
    if study is None:
        chosen = _built_in_study(task or "digits", overrides)
    elif task is not None:
        raise AtollError(f"--study {study} has a task of its own: leave --task out")
    else:
        chosen = study_named(study, place, overrides)
    check_task(chosen, trust)
    check_plans(wanted, chosen.task)  # before the baseline is trained for nothing
    advise("the steps that were trained are kept: go on with the same command")
    found: list[SingleTrial] = []
    run_here(chosen, place, lambda campaign: found.append(evaluate_single(campaign, wanted, say)))
    [single] = found
    print_record(single.to_row(), _columns(QualityTerms.of(single.metrics)), format)


def _columns(terms: "QualityTerms") -> list[Column]:
    figures = [Column.exact(terms.figure(FIGURE[name])) for name in _FIGURES]
    runtime = Column("minimum_runtime", kind="counted")
    return [Column("study"), Column("trial"), Column("recipe"), *figures, runtime]


def _built_in_study(task: str, overrides: dict[str, Any]) -> Any:
    """Returns the built-in study of a task with some of its values replaced."""
    from ..study.study_file import create_study, task_study

    return create_study(task_study(task) | overrides, "atoll evaluate")
