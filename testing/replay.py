"""Replays tabulated results instead of training, so that the search loop can be tried in seconds.

The idea is Syne Tune's: what a search would have found is looked up, not computed again.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..evaluators.ranking.figures import METRICS
from ..evaluators.ranking.metrics import Metrics
from ..evaluators.ranking.quality_terms import QualityTerms
from ..evaluators.steps.work import Outcome, Work
from ..spaces.errors import AtollError
from ..spaces.recipes.recipe import Recipe


@dataclass(frozen=True)
class Effect:
    """What one step does in a table of effects.

    Args:
        size_factor: by what sizes, work, time and memory are multiplied, > 0.
        quality_drop: by how much it makes the quality worse; the n-th step of a recipe does it
            1 + (n - 1) / 10 as much, so that the order of steps matters.
    """

    size_factor: float
    quality_drop: float


@dataclass(frozen=True)
class Replay:
    """An evaluator that knows its answers; it can be pickled.

    Args:
        table: metrics by the text of the recipe.
        effects: by the name of a technique, for recipes that the table does not have; they start from the
            table's `baseline`.
        seconds: how long an evaluation takes.
    """

    table: Mapping[str, Metrics]
    effects: Mapping[str, Effect] = field(default_factory=dict)
    seconds: float = 0.0

    def __call__(self, work: Work) -> Outcome:
        """Looks a recipe up.

        Raises:
            AtollError: neither table nor effects have it.
        """
        time.sleep(self.seconds)
        recipe = work.recipe
        metrics = self.table.get(str(recipe)) or self._from_effects(recipe)
        return Outcome("finished", metrics=metrics, seconds=self.seconds, weights_digest=recipe.digest)

    def _from_effects(self, recipe: Recipe) -> Metrics:
        metrics = self.table.get(str(Recipe()))
        missing = [step.name for step in recipe if step.name not in self.effects]
        if metrics is None or missing:
            raise AtollError(f"the table of {len(self.table)} results has no {str(recipe)!r}")
        for n, step in enumerate(recipe):
            metrics = _changed(metrics, self.effects[step.name], 1 + n / 10)
        return metrics


def _changed(metrics: Metrics, effect: Effect, weight: float) -> Metrics:
    sizes = ("macs", "parameters", "nonzero_parameters", "payload_bytes", "model_bytes")
    predicted = [name for figure in METRICS if figure.of_device for name in (figure.name, *figure.ends)]
    factor = effect.size_factor
    return replace(
        metrics,
        quality=metrics.quality - QualityTerms.of(metrics).drop(effect.quality_drop * weight, 0.0),
        **{name: max(1, round(getattr(metrics, name) * factor)) for name in sizes},
        **{name: value * factor for name in predicted if (value := getattr(metrics, name)) is not None},
    )
