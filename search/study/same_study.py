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


def same_task(definition: Mapping[str, Any], task: str) -> bool:
    """Whether a definition is of a task: of a prepared one its digest counts, not its name."""
    return str(definition.get("task")).rpartition("@")[2] == task.rpartition("@")[2]


def trained_alike(definition: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether steps mean the same in two studies of a task: loss, epochs of single techniques, versions.

    What every study had before there was a choice stands in no definition (`Study.definition`).
    """
    if any(definition.get(name) != wanted.get(name) for name in ("loss", "epochs")):
        return False
    told, ours = _versions(definition), _versions(wanted)
    return all(told[name] == ours[name] for name in told.keys() & ours.keys())


def _versions(definition: Mapping[str, Any]) -> dict[str, Any]:
    space = definition.get("space")
    techniques = space.items() if isinstance(space, Mapping) else ()
    return {str(name): one.get("version") for name, one in techniques if isinstance(one, Mapping)}
