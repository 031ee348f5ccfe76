"""One coefficient of a cost model: what it means, and what is believed of it before any measurement."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """A positive coefficient with a log-normal prior.

    Args:
        name: with its unit.
        prior: believed value, > 0.
        spread: standard deviation of its logarithm; 1 means "within a factor of e".
        source: why.
    """

    name: str
    prior: float
    spread: float
    source: str


def setup_name(kind: str, setup: str) -> str:
    """Returns the name of a coefficient that belongs to one measurement set-up."""
    return f"{kind}.{setup}"
