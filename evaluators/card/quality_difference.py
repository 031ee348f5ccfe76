"""Whether the difference of two measured qualities is more than noise."""

from math import sqrt

from ..ranking.quality_terms import QualityTerms

#: Qualities that count right samples, and whose noise is that of a count.
_COUNTS = ("accuracy", "top5")
#: Standard errors of the difference that count as noise: chance alone is beyond them once in twenty times.
NOISE_ERRORS = 2.0


def noise(terms: QualityTerms, baseline: float, model: float, images: int | None) -> str:
    """Returns, in brackets, how the difference compares with the noise of both; nothing where none is known.

    Each quality is a share of right answers, with the standard error sqrt(q (1 - q) / n) of a count. Both
    models saw the same images, which makes the true error smaller: what is called more than noise is.

    Args:
        terms: of the quality; nothing is known of the noise of one that counts no right answers.
        baseline, model: shares in [0, 1].
        images: that both were measured on; None where that is not known.
    """
    if terms.name not in _COUNTS or not images or not (0 <= baseline <= 1 and 0 <= model <= 1):
        return ""
    limit = NOISE_ERRORS * sqrt((baseline * (1 - baseline) + model * (1 - model)) / images)
    how = "within" if abs(baseline - model) <= limit else "more than"
    return f" ({how} the noise of both, {100 * limit:.2f} points: {NOISE_ERRORS:g} standard errors)"
