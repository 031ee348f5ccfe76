"""Weights that somebody named metric by metric: `quality,model_bytes`, or `quality=5,model_bytes=9`."""

import math
from collections.abc import Mapping

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from .ranking import OUR_METRICS, Role, check_weights, profile_weights


def own_weights(text: str, profile: str | Mapping[str, float]) -> dict[Role, float]:
    """Returns the weight of each role; a metric that is not named weighs 0.

    Args:
        text: names of metrics, with a comma between them, each with its weight behind a `=` or without.
        profile: whose weight a metric has that is named without one.

    Raises:
        AtollError: an unknown metric, one that is named twice, or no weight.

    >>> own_weights("quality, model_bytes=9", "balanced")
    {'compression': 9.0, 'time': 0.0, 'cost': 0.0, 'accuracy': 3.0, 'memory': 0.0}
    """
    usual, named = profile_weights(profile), dict[str, float]()
    roles = {metric: role for role, metric in OUR_METRICS.items()}
    for part in text.split(","):
        name, equals, weight = (word.strip() for word in part.partition("="))
        if name not in roles:
            raise AtollError(f"metrics: unknown metric {name!r}: {known_names(name, roles)}")
        if name in named:
            raise AtollError(f"metrics: {name} is named twice")
        named[name] = _number(name, weight) if equals else usual[roles[name]]
    check_weights(named)
    return {role: named.get(metric, 0.0) for role, metric in OUR_METRICS.items()}


def _number(name: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise AtollError(f"metrics: the weight of {name} is {text!r}: allowed are numbers from 0 on")
    return weight
