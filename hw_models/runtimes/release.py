"""Releases as numbers that can be compared: 2.9.0 comes before 2.14.0."""

import re

from ...spaces.errors import AtollError

_FORM = re.compile(r"\d{1,4}(\.\d{1,4}){0,2}")


def release(text: str) -> tuple[int, int, int]:
    """Reads a release; parts that are left out are 0.

    Raises:
        AtollError: it is no such text.

    >>> release("2.9") < release("2.14.0")
    True
    """
    if not _FORM.fullmatch(text):
        raise AtollError(f"got the release {text!r:.40}, allowed are up to three numbers, such as 2.14.0")
    major, minor, patch = (*map(int, text.split(".")), 0, 0)[:3]
    return major, minor, patch


def written(found: tuple[int, int, int]) -> str:
    """Returns the text of a release, three numbers."""
    return ".".join(map(str, found))
