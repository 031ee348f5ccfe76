"""One recipe as a trial of a study, in this process."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...evaluators.ranking.against_baseline import compression_ratio, figure_of, quality_drop
from ...evaluators.ranking.demands import unloadable
from ...evaluators.ranking.metrics import Metrics
from ...evaluators.steps.work import Evaluator
from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from .campaign import Campaign
from .trial import Trial
from .work import carry_out


@dataclass(frozen=True)
class SingleTrial:
    """A finished trial beside the baseline of its study.

    Args:
        study, trial: their names.
        recipe: what was carried out.
        metrics: of the final network.
        seconds: wall time; None where the store does not say.
        quality_drop: how much worse than the baseline, in the quality's unit.
        compression_ratio: how many times smaller its file is than the baseline's.
    """

    study: str
    trial: str
    recipe: str
    metrics: Metrics
    seconds: float | None
    quality_drop: float
    compression_ratio: float

    def to_row(self) -> dict[str, Any]:
        """Returns everything under the names of the store, the metrics among them."""
        row = dict(vars(self))
        return {**row.pop("metrics").to_json(), **row}


def evaluate_single(
    campaign: Campaign, recipe: Recipe, say: Callable[[str], None], evaluator: Evaluator | None = None
) -> SingleTrial:
    """Runs the baseline, to which everything refers, and the recipe, unless the store has them.

    Raises:
        AtollError: the trial failed; it is recorded with its reason.
    """
    run_single(campaign, Recipe(), say, evaluator)
    trial = run_single(campaign, recipe, say, evaluator)
    if trial.status != "finished" or trial.metrics is None or campaign.judge is None:
        raise AtollError(f"trial {trial.name} of study {campaign.study.study_name!r} failed: {trial.reason}")
    baseline = campaign.judge.baseline
    for said in unloadable(campaign.judge.constraints, trial.metrics):
        say(said)
    return SingleTrial(
        study=campaign.study.study_name,
        trial=trial.name,
        recipe=str(trial.recipe),
        metrics=trial.metrics,
        seconds=trial.seconds,
        quality_drop=quality_drop(trial.metrics, baseline),
        compression_ratio=compression_ratio(figure_of(baseline, "model_bytes"), trial.metrics.model_bytes),
    )


def run_single(
    campaign: Campaign, recipe: Recipe, say: Callable[[str], None], evaluator: Evaluator | None = None
) -> Trial:
    """Runs a recipe as a trial, unless the store has it finished, and returns that, however it ended."""
    trial = campaign.add(recipe, "evaluate" if len(recipe) else "baseline")
    if trial.status == "running":
        say(f"evaluating {recipe}")
        outcome = carry_out(campaign.work(trial).to_json(), evaluator)
        campaign.end(trial.name, outcome)
        for step in outcome.steps:
            for layer, why in (step.notes.get("left_alone") or {}).items():
                say(f"{step.step} left {layer} alone: {why}")
    return trial
