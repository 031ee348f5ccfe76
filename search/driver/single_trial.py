"""One recipe as a trial of a study, in this process."""

from collections.abc import Callable
from typing import Any

from ...evaluators.ranking.against_baseline import compression_ratio, figure_of, quality_drop
from ...evaluators.ranking.demands import unloadable
from ...evaluators.steps.work import Evaluator
from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from .campaign import Campaign
from .trial import Trial
from .work import carry_out


def evaluate_single(
    campaign: Campaign, recipe: Recipe, say: Callable[[str], None], evaluator: Evaluator | None = None
) -> dict[str, Any]:
    """Runs the baseline, to which everything refers, and the recipe, unless the store has them.

    Returns:
        the trial's figures, with the quality drop and the compression ratio.

    Raises:
        AtollError: the trial failed; it is recorded with its reason.
    """
    _run(campaign, Recipe(), say, evaluator)
    trial = _run(campaign, recipe, say, evaluator)
    if trial.status != "finished" or trial.metrics is None or campaign.judge is None:
        raise AtollError(f"trial {trial.name} of study {campaign.study.study_name!r} failed: {trial.reason}")
    baseline = campaign.judge.baseline
    for said in unloadable(campaign.judge.constraints, trial.metrics):
        say(said)
    return {
        **trial.metrics.to_json(),
        "study": campaign.study.study_name,
        "trial": trial.name,
        "recipe": str(trial.recipe),
        "seconds": trial.seconds,
        "quality_drop": quality_drop(trial.metrics, baseline),
        "compression_ratio": compression_ratio(figure_of(baseline, "model_bytes"), trial.metrics.model_bytes),
    }


def _run(
    campaign: Campaign, recipe: Recipe, say: Callable[[str], None], evaluator: Evaluator | None
) -> Trial:
    trial = campaign.add(recipe, "evaluate" if len(recipe) else "baseline")
    if trial.status == "running":
        say(f"evaluating {recipe}")
        outcome = carry_out(campaign.work(trial).to_json(), evaluator)
        campaign.end(trial.name, outcome)
        for step in outcome.steps:
            for layer, why in (step.notes.get("left_alone") or {}).items():
                say(f"{step.step} left {layer} alone: {why}")
    return trial
