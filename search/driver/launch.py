"""From a study to its end, as the commands do it: prices, workers, progress, finalists, last words."""

from collections.abc import Sequence
from shlex import quote

from ...evaluators.ranking.metrics import PlanFigures
from ...evaluators.steps.evaluate import price_recipe
from ...evaluators.tasks import load_task
from ...hw_models.devices.device import Device
from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from ..live.log import Wanted
from ..proposer.outlook import Pricer
from ..store.store import Store
from ..study.reference import left_out
from ..study.study import Study
from ..terminal.ending import advise
from ..terminal.said import say
from .campaign import Campaign
from .runner import run_study


def pricer_of(study: Study) -> Pricer:
    """Returns what prices a recipe on the study's device from its plan alone."""

    def price(recipe: Recipe) -> PlanFigures:
        return price_recipe(recipe, study.task, study.device).to_metrics()

    return price


def launch(
    study: Study,
    store: Store,
    address: str | None = None,
    json: bool = False,
    logs: Sequence[Wanted] = (),
) -> Campaign:
    """Searches, measures the finalists from their files, and says how to go on.

    Args:
        study: what to search; one that the store knows is continued.
        store: where trials live.
        address: of a Ray cluster.
        json: whether progress is told in JSON lines on stdout.
        logs: where trials are logged beside the store.

    Returns:
        the campaign; its `end_reason` is None where the user interrupted it.

    Raises:
        AtollError: as `run_study`; the network has no price or no file; the data cannot be made here; or
            nothing could be evaluated because of the constraints.
    """
    price = pricer_of(study)
    try:
        task = load_task(study.task)
        if task.check_data is not None:
            task.check_data()
        price(Recipe())
    except AtollError as error:
        raise AtollError(f"study {study.study_name!r} cannot begin, nothing was trained: {error}") from error
    advise(_go_on(study, store))
    campaign = run_study(
        study,
        store,
        pricer=price,
        address=address,
        on_begin=_greet,
        at_end=_measure,
        json=json,
        logs=logs,
    )
    name = study.study_name
    if campaign.end_reason is None:
        say(f"interrupted; {_go_on(study, store)}")
        return campaign
    if not any(trial.origin == "search" and trial.metrics for trial in campaign.trials.values()):
        raise AtollError(f"study {name!r} ended without a trial of its own: {campaign.end_reason}")
    say(f"study {name} ended: {campaign.end_reason}; more with `{_resume(study, store)} --ensembles N`")
    return campaign


def _go_on(study: Study, store: Store) -> str:
    return f"everything that ended is in {store.path}: go on with `{_resume(study, store)}`"


def _resume(study: Study, store: Store) -> str:
    return f"atoll resume {quote(study.study_name)} --store {quote(str(store.path))}"


def _greet(campaign: Campaign) -> None:
    over = sum(trial.is_over for trial in campaign.trials.own)
    remark = Device.load(campaign.study.device).remark
    if remark:
        say(remark)
    if campaign.study.parsed_goal.is_score:
        for text, why in left_out(load_task(campaign.study.task)).items():
            say(f"reference set: {text} is left out: {why}")
    if campaign.study.warm_start:
        warm = (
            f"begins with what {', '.join(campaign.warmed_by)} found"
            if campaign.warmed_by
            else "has no other study of this task to learn from and begins cold"
        )
        say(f"warm start: {warm}")
    where = f"study {campaign.study.study_name} in {campaign.store.path}"
    say(f"{where}: goes on after {over} trials" if over else f"{where}: begins")


def _measure(campaign: Campaign) -> None:
    from ..export.export import measure_finalists

    try:
        measure_finalists(campaign.store, campaign.study, say)
    except AtollError as error:  # the search itself is done and kept
        say(f"the finalists could not be measured: {error}")
