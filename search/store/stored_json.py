"""The JSON columns of the store: what stands in them is an object where others rely on one."""

import json
from pathlib import Path
from typing import Any

from ...spaces.errors import AtollError

JSON_COLUMNS = (
    "definition",
    "limits",
    "baseline",
    "reference",
    "proposal_parameters",
    "violation",
    "metrics",
    "measured",
    "notes",
)
#: columns that are an object wherever they are anything
_OBJECTS = ("definition", "limits", "baseline", "reference", "metrics", "measured")


def stored_value(column: str, text: str, place: Path) -> Any:
    """Returns what a JSON column holds.

    Args:
        column: one of `JSON_COLUMNS`.
        text: its JSON.
        place: the store, for the error message.

    Raises:
        AtollError: it is no JSON, or not what the column is for.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AtollError(f"the store {place}: column {column} holds no JSON ({error})") from error
    if value is None:
        return None
    if column in _OBJECTS and not isinstance(value, dict):
        raise AtollError(f"the store {place}: column {column} holds {brief(value)}, an object is meant")
    return value


def brief(value: Any) -> str:
    """Returns a value as JSON for an error message, cut where it is long."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
