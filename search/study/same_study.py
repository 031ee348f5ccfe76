"""Whether two definitions are of one study, and where they differ."""

import json
from collections.abc import Mapping
from typing import Any

from ...spaces.errors import AtollError


def check_same(name: str, stored: Mapping[str, Any], wanted: Mapping[str, Any], whose: str) -> None:
    """Refuses another definition under a name that the store knows.

    Raises:
        AtollError: they differ; the message lists where.
    """
    differences = _differences(stored, wanted)
    if differences:
        shown = "; ".join(differences[:5]) + ("; …" if len(differences) > 5 else "")
        raise AtollError(
            f"study {name!r} is in the store with another definition than that of {whose}: {shown}. "
            f"Allowed are the same definition or another name"
        )


def _differences(stored: Any, wanted: Any, where: str = "") -> list[str]:
    if isinstance(stored, Mapping) and isinstance(wanted, Mapping):
        keys = [*stored, *(key for key in wanted if key not in stored)]
        return [
            line
            for key in keys
            for line in _differences(
                stored.get(key), wanted.get(key), f"{where}.{key}" if where else str(key)
            )
        ]
    return [] if stored == wanted else [f"{where} was {json.dumps(stored)}, is now {json.dumps(wanted)}"]
