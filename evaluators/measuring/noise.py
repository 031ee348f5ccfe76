"""How far a quality may be off by the luck of its sample."""

import math

from ..ranking.against_baseline import Figures, figure_of
from ..ranking.quality_terms import QualityTerms
from ..tasks import load_task


def validation_error(task: str, metrics: Figures) -> float:
    """Returns the standard error of a quality over the task's validation split, as `quality_error`.

    Args:
        task: name of it.
        metrics: with the quality and its terms.

    Raises:
        AtollError: the data cannot be loaded, or there is no quality.
    """
    if not QualityTerms.of(metrics).is_share:
        return 0.0
    return quality_error(metrics, len(load_task(task).dataset().validation))


def quality_error(metrics: Figures, samples: int) -> float:
    """Returns the standard error of a quality over a split, in the quality's unit.

    That of a share of n independent samples, sqrt(q (1 - q) / n), as if one sample less were right where all
    are. Of other qualities nothing is known from the figure alone: 0.

    Args:
        metrics: with the quality and its terms.
        samples: of the split, >= 1.

    Raises:
        AtollError: there is no quality.
    """
    if not QualityTerms.of(metrics).is_share:
        return 0.0
    share = figure_of(metrics, "quality")
    least = 1 / (samples + 1)
    share = min(max(share, least), 1 - least)
    return math.sqrt(share * (1 - share) / samples)
