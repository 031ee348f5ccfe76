"""Weights that somebody named metric by metric: `quality,model_bytes`, or `quality=5,model_bytes=9`."""

import math
from collections.abc import Mapping

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from .figures import FIGURE
from .ranking import OUR_METRICS, Role, check_weights, profile_weights

#: what a metric may be called: its key, its role in a profile, and the titles of tables and texts
_METRICS: dict[str, str] = {
    name: metric
    for role, metric in OUR_METRICS.items()
    for name in (metric, role, FIGURE[metric].title, FIGURE[metric].long_title)
    if name is not None
}


def own_weights(text: str, profile: str | Mapping[str, float]) -> dict[Role, float]:
    """Returns the weight of each role; a metric that is not named weighs 0.

    Args:
        text: names of metrics, with a comma between them, each with its weight behind a `=` or without.
        profile: whose weight a metric has that is named without one.

    Raises:
        AtollError: as `named_metrics`, or no weight is above 0.

    >>> own_weights("quality, model_bytes=9", "balanced")
    {'compression': 9.0, 'time': 0.0, 'cost': 0.0, 'accuracy': 3.0, 'memory': 0.0}
    """
    usual, roles = profile_weights(profile), {metric: role for role, metric in OUR_METRICS.items()}
    named = {
        metric: usual[roles[metric]] if weight is None else weight
        for metric, weight in named_metrics(text).items()
    }
    check_weights(named)
    return {role: named.get(metric, 0.0) for role, metric in OUR_METRICS.items()}


def named_metrics(text: str) -> dict[str, float | None]:
    """Returns the metrics that a text names, by their keys, with their weights.

    Args:
        text: as for `own_weights`; a metric may be called as the leaderboard's table or a profile has it.

    Raises:
        AtollError: an unknown metric, one that is named twice, or no weight.

    >>> named_metrics("file=9, latency")
    {'model_bytes': 9.0, 'latency_ms': None}
    """
    found = dict[str, float | None]()
    for part in text.split(","):
        name, equals, weight = (word.strip() for word in part.partition("="))
        metric = _METRICS.get(name.lower())
        if metric is None:
            raise AtollError(f"metrics: unknown metric {name!r}: {known_names(name, _METRICS)}")
        if metric in found:
            raise AtollError(f"metrics: {name} is named twice")
        found[metric] = _number(name, weight) if equals else None
    return found


def _number(name: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise AtollError(f"metrics: the weight of {name} is {text!r}: allowed are numbers from 0 on")
    return weight
