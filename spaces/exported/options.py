"""Options of calls as they are written down: without those at their defaults, sizes as pairs, axes from 0."""

from collections.abc import Callable
from typing import Any

from torch import fx

from .reading import Site

#: gives the value of a call
Read = Callable[[Site], Any]


def trimmed(*given: Any, defaults: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns options without those at the end that are at their defaults."""
    count = len(given)
    while (
        count and len(given) - count < len(defaults) and given[count - 1] == defaults[count - 1 - len(given)]
    ):
        count -= 1
    return given[:count]


def pair(value: Any, axes: int = 2) -> tuple[int, ...]:
    """Returns an option of windows with a number an axis."""
    found = tuple(value) if isinstance(value, tuple | list) else (value,)
    return found * axes if len(found) == 1 else found


def axes_of(site: Site, name: str = "dim") -> tuple[int, ...]:
    """Returns the axes that an operation goes over, counted from 0; all where it names none.

    Raises:
        AtollError: one of them is that of the images.
    """
    given, count = site.given.get(name), len(site.shape)
    if given is None or given == ():
        given = tuple(range(count))
    found = tuple(sorted(axis % count for axis in (given if isinstance(given, tuple | list) else (given,))))
    if found[:1] == (0,) and site.shape[0] == site.batch and isinstance(site.given.get("self"), fx.Node):
        raise site.refused(
            f"calls torch's {site.operation} over all images: allowed are the same steps for each image, so "
            "axes without the first"
        )
    return found
