"""Two measured qualities beside each other: the difference in words, and whether it is more than noise."""

from math import sqrt

#: Standard errors of the difference that count as noise: chance alone is beyond them once in twenty times.
NOISE_ERRORS = 2.0


def difference(baseline: float, model: float) -> str:
    """Returns `1.23 points worse` or `better`, `0.00 points apart` where two digits show none.

    Args:
        baseline, model: shares in [0, 1].
    """
    points = 100 * (baseline - model)
    if round(abs(points), 2) == 0:
        return "0.00 points apart"
    return f"{abs(points):.2f} points {'worse' if points > 0 else 'better'}"


def noise(baseline: float, model: float, images: int | None) -> str:
    """Returns, in brackets, how the difference compares with the noise of both; nothing where none is known.

    Each quality is a share of right answers, with the standard error sqrt(q (1 - q) / n) of a count. Both
    models saw the same images, which makes the true error smaller: what is called more than noise is.

    Args:
        baseline, model: shares in [0, 1].
        images: that both were measured on; None where that is not known.
    """
    if not images or not (0 <= baseline <= 1 and 0 <= model <= 1):
        return ""
    limit = NOISE_ERRORS * sqrt((baseline * (1 - baseline) + model * (1 - model)) / images)
    how = "within" if abs(baseline - model) <= limit else "more than"
    return f" ({how} the noise of both, {100 * limit:.2f} points: {NOISE_ERRORS:g} standard errors)"
