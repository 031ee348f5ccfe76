"""How far a quality may be off by the luck of its sample."""

import math

from ..ranking.against_baseline import Figures, figure_of
from ..ranking.quality_terms import QualityTerms
from ..tasks import load_task


def validation_error(task: str, metrics: Figures) -> float:
    """Returns the standard error of a quality over the task's validation split, in the quality's unit.

    That of a share of n independent samples, sqrt(q (1 - q) / n), as if one sample less were right where all
    are. Of other qualities nothing is known from the figure alone: 0.

    Args:
        task: name of it.
        metrics: with the quality and its terms.

    Raises:
        AtollError: the data cannot be loaded, or there is no quality.
    """
    if not QualityTerms.of(metrics).is_share:
        return 0.0
    samples = len(load_task(task).dataset().validation)
    share = figure_of(metrics, "quality")
    least = 1 / (samples + 1)
    share = min(max(share, least), 1 - least)
    return math.sqrt(share * (1 - share) / samples)
