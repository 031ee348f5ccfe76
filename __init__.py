"""Atoll: a distributed AutoML search over ordered ensembles of compression techniques.

    from atoll import run, export

    result = run({"task": "digits", "limits": {"ensembles": 3}})
    export("best", result.store, "shipped")

A search starts by `run(study)`: the name `search` belongs to the folder. Nothing heavy is imported before a
name is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .evaluators.own.task import Task
    from .hw_models.devices.device import Device
    from .search.api.compression import compress
    from .search.api.exports import export, export_network, verify
    from .search.api.predictions import predict
    from .search.api.searches import resume, run
    from .search.store.store import Store
    from .search.study.study import Study
    from .spaces.errors import AtollError
    from .spaces.recipes.recipe import Recipe
    from .spaces.technique.technique import Technique
else:
    # Not before a type checker: it would take every name of the package for known.
    def __getattr__(name: str) -> Any:
        """Imports a public name when it is first used (PEP 562)."""
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f".{_PLACES[name]}", __name__), name)
        globals()[name] = found  # asked once
        return found


__all__ = [
    "AtollError",
    "Device",
    "Recipe",
    "Store",
    "Study",
    "Task",
    "Technique",
    "compress",
    "export",
    "export_network",
    "predict",
    "resume",
    "run",
    "verify",
]

_PLACES = {
    "AtollError": "spaces.errors",
    "Device": "hw_models.devices.device",
    "Recipe": "spaces.recipes.recipe",
    "Store": "search.store.store",
    "Study": "search.study.study",
    "Task": "evaluators.own.task",
    "Technique": "spaces.technique.technique",
    "compress": "search.api.compression",
    "export": "search.api.exports",
    "export_network": "search.api.exports",
    "predict": "search.api.predictions",
    "resume": "search.api.searches",
    "run": "search.api.searches",
    "verify": "search.api.exports",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
