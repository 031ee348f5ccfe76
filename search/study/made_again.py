"""The commands that train a trial again, whatever its study was."""

import json
from collections.abc import Mapping
from shlex import quote
from typing import Any

from .study import Study
from .study_file import task_study

#: of a definition, what decides what a trial comes to, beside seed and budget
_DECISIVE = ("device", "runtime", "max_steps", "loss", "epochs")
#: what a shell does not take as it stands between two quotation marks
_SPECIAL = set('"$`\\!')


def made_again(definition: Mapping[str, Any], trial: Mapping[str, Any]) -> list[str]:
    """Returns the commands that train a trial again.

    Args:
        definition: of its study.
        trial: its row, with `recipe`, `seed` and `epochs_per_step`.
    """
    recipe, task = quoted(trial["recipe"]), definition["task"]
    usual = {name: Study.model_fields[name].default for name in _DECISIVE} | task_study(task)
    if all(definition.get(name, _default(name)) == usual[name] for name in _DECISIVE):
        return [
            f"atoll evaluate {recipe} --task {quote(task)} --seed {trial['seed']} "
            f"--epochs {trial['epochs_per_step']:g}"
        ]
    names = ("task", "goal", *_DECISIVE)
    told = {name: definition[name] for name in names if definition.get(name) is not None}
    told |= {"seed": trial["seed"], "epochs_per_step": trial["epochs_per_step"]}
    return [  # JSON is YAML
        f"echo {quote(json.dumps(told))} > study.yaml",
        f"atoll evaluate {recipe} --study study.yaml",
    ]


def quoted(recipe: str) -> str:
    """Returns a recipe as a word for a shell; what stands in a store is somebody's text."""
    return quote(recipe) if _SPECIAL & set(recipe) or not recipe.isprintable() else f'"{recipe}"'


def _default(name: str) -> Any:
    """Returns what a definition that does not say it means."""
    return Study.model_fields[name].default
