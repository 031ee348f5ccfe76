"""Carries an ablation out: each recipe as `atoll evaluate` runs it, seed by seed; goes on where it was."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ...evaluators.ranking.metrics import Metrics
from ...evaluators.ranking.quality_terms import QualityTerms
from ...evaluators.steps.work import Evaluator
from ...spaces.recipes.recipe import Recipe
from ..driver.campaign import Campaign
from ..driver.runner import run_here
from ..driver.single_trial import run_single
from ..driver.trial import Trial
from ..store.events import INTERRUPTED
from ..store.store import Store
from ..terminal.amounts import duration
from .plan import Plan, Run

Say = Callable[[str], None]


@dataclass
class Results:
    """What came of the runs.

    Args:
        trials: by recipe and seed.
        baselines: figures by seed.
    """

    trials: dict[Run, Trial] = field(default_factory=dict)
    baselines: dict[int, Metrics] = field(default_factory=dict)


def run_plan(plan: Plan, store: Store, say: Say, evaluator: Evaluator | None = None) -> Results:
    """Runs what did not end before, in this process, and returns everything.

    Args:
        plan: what is run.
        store: of ablations; every run is in it when the next one begins.
        say: hears how long it takes and how far it is.
        evaluator: `evaluators.steps.evaluate.evaluate` when None.

    Raises:
        AtollError: another process drives the store, a baseline failed, or the machine cannot go on.
    """
    results = Results()
    over = _over_before(plan, store)
    steps, seconds = len(plan.steps_left(over)), plan.seconds_left(over)
    left = len(plan.runs) - len(over)
    if left:
        said = f"about {duration(seconds)} for {steps} steps to train" if steps else "all steps are trained"
        say(f"{left} of {len(plan.runs)} recipes to evaluate, by {len(plan.seeds)} seed(s): {said}")
    for seed in plan.seeds:

        def carry_out(campaign: Campaign, seed: int = seed) -> None:
            results.baselines[seed] = _baseline(campaign, say, evaluator)
            for recipe in plan.recipes:
                known = campaign.trials.of(recipe)
                is_new = known is None or not known.is_over
                trial = run_single(campaign, recipe, _nobody, evaluator) if is_new else known
                assert trial is not None
                results.trials[recipe, seed] = trial
                over.add((recipe, seed))
                if is_new:
                    say(_progress(plan, over, trial))

        run_here(plan.study_of(seed), store, carry_out)
    return results


def _over_before(plan: Plan, store: Store) -> set[Run]:
    """Returns the runs that ended in an earlier call."""
    if not store.path.exists() and not store.journal_path.exists():
        return set()
    names = {plan.study_of(seed).study_name: seed for seed in plan.seeds}
    texts = {str(recipe): recipe for recipe in plan.recipes}
    return {
        (texts[row["recipe"]], names[row["study"]])
        for row in store.trials()
        if row["study"] in names
        and row["recipe"] in texts
        and row["status"] != "running"
        and row["reason"] != INTERRUPTED
    }


def _baseline(campaign: Campaign, say: Say, evaluator: Evaluator | None) -> Metrics:
    if campaign.judge is None:
        say(f"baseline of seed {campaign.study.seed}: trained, or loaded from the step cache")
    metrics = run_single(campaign, Recipe(), _nobody, evaluator).metrics
    assert metrics is not None  # a baseline that fails raises
    return metrics


def _progress(plan: Plan, over: set[Run], trial: Trial) -> str:
    left = plan.seconds_left(over)
    came = f"{trial.status}: {trial.reason}"
    if trial.metrics is not None:
        came = f"quality {QualityTerms.of(trial.metrics).said(trial.metrics.quality)}"
    more = f", about {duration(left)} left" if left else ""
    return f"{len(over)} of {len(plan.runs)}{more}: {trial.recipe}: {came}"


def _nobody(_: str) -> None:
    """Hears nothing: of many recipes the progress is enough."""
