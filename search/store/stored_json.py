"""The JSON columns of the store: what stands in them is read as far as others rely on it."""

import json
from collections.abc import Callable
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
_OBJECTS = ("definition", "limits", "baseline", "metrics", "measured")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_profile(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, dict) and all(map(_is_number, value.values())))


#: parts of a study's definition that are read before the whole is checked against today's rules
_PARTS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "task": ("a text", _is_text),
    "device": ("a text", _is_text),
    "seed": ("a number", _is_number),
    "epochs_per_step": ("a number", _is_number),
    "profile": ("a name or weights", _is_profile),
    "constraints": ("a list of texts", _is_texts),
}


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
        raise AtollError(f"the store {place}: column {column} holds {_brief(value)}, an object is meant")
    if column == "definition":
        for name, (wanted, is_right) in _PARTS.items():
            if value.get(name) is not None and not is_right(value[name]):
                raise AtollError(
                    f"the store {place}: {name} in the definition of a study is {_brief(value[name])}, "
                    f"it has to be {wanted}"
                )
    return value


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
