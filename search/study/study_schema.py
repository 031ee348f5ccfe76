"""The JSON Schema of a study file: with it an editor completes keys and marks mistakes as one types."""

import inspect
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from ...evaluators.own.data_source import WORDS
from ...evaluators.own.task import NORMALIZE, Input, QualityWords, Task
from ...evaluators.ranking.ranking import PROFILES
from ...evaluators.sources.data_source import DataSource
from ...evaluators.tasks import TASKS
from ...evaluators.tasks.qualities import QUALITIES
from ...evaluators.training.losses import LOSSES
from ...evaluators.training.settings import (
    AUGMENTATIONS,
    BALANCES,
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULES,
    Training,
)
from ...spaces.techniques import TECHNIQUES
from .limits import Limits, Resources
from .study import Study

DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: models that a study file is made of, by the name that the schema gives them
_MODELS: Mapping[str, type[BaseModel]] = {
    "Task": Task, "Input": Input, "QualityWords": QualityWords, "Limits": Limits, "Resources": Resources,
}  # fmt: skip
_REFERENCE = {"type": "string", "pattern": r"^.+:[A-Za-z_][A-Za-z0-9_.]*$"}


def study_schema() -> dict[str, Any]:
    """Returns the schema, in JSON's own types; keys are described as the classes' docstrings do.

    What a file alone does not tell stays open: whether a device was calibrated here, weights fit a network,
    or a list of settings has a meaning.
    """
    study = Study.model_json_schema()
    task = Task.model_json_schema()
    found = {
        "$schema": DIALECT,
        **study,
        "title": "Study of Atoll",
        "$defs": {**study.pop("$defs"), **task.pop("$defs"), "Task": task},
    }
    found["$defs"].setdefault("QualityWords", QualityWords.model_json_schema())
    _describe(found, Study)
    for name, model in _MODELS.items():
        _describe(found["$defs"][name], model)
    _complete_study(found["properties"])
    _complete_task(task["properties"])
    _complete_input(found["$defs"]["Input"]["properties"])
    return found


def _complete_study(keys: dict[str, Any]) -> None:
    """Says which names a study may have, and what its task may be."""
    keys["task"] = _described(
        keys["task"],
        anyOf=[{"enum": [task.name for task in TASKS]}, {"type": "string"}, {"$ref": "#/$defs/Task"}],
    )
    names = [technique.name for technique in TECHNIQUES]
    keys["techniques"] = _described(
        keys["techniques"], type="array", items={"enum": names}, minItems=1, uniqueItems=True
    )
    keys["settings"] = _described(
        keys["settings"],
        type="object",
        additionalProperties=False,
        properties={
            technique.name: {
                "type": "object",
                "description": f"values to try, a list a setting: {', '.join(technique.domains())}",
                "additionalProperties": False,
                "properties": {
                    key: {"type": "array", "minItems": 1, "description": str(domain)}
                    for key, domain in technique.domains().items()
                },
            }
            for technique in TECHNIQUES
        },
    )
    keys["profile"] = _described(
        keys["profile"],
        anyOf=[{"enum": list(PROFILES)}, {"type": "object", "additionalProperties": {"type": "number"}}],
    )


def _complete_task(keys: dict[str, Any]) -> None:
    """Says which names a task may have, and what its data and quality may be."""
    for key, allowed in (
        ("optimizer", OPTIMIZERS),
        ("schedule", SCHEDULES),
        ("balance", BALANCES),
        ("precision", PRECISIONS),
    ):
        keys[key] = _described(keys[key], enum=list(allowed))
    keys["augment"] = _described(
        keys["augment"], type="array", items={"enum": list(AUGMENTATIONS)}, uniqueItems=True
    )
    source = _args(DataSource)
    place = {"type": "string", "description": source["where"]}
    words = {word: {"description": source[word]} for word in WORDS}
    keys["data"] = _described(
        keys["data"],
        anyOf=[
            place,
            {
                "type": "object",
                "properties": {"path": place, **words},
                "required": ["path"],
                "additionalProperties": False,
            },
        ],
    )
    for split in ("train", "validation", "test"):
        keys[split] = _described(keys[split], type="string")
    names = [quality.name for quality in QUALITIES]
    keys["quality"] = _described(
        keys["quality"], anyOf=[{"enum": names}, _REFERENCE, {"$ref": "#/$defs/QualityWords"}]
    )
    keys["loss"] = _described(keys["loss"], anyOf=[{"enum": list(LOSSES)}, _REFERENCE])


def _complete_input(keys: dict[str, Any]) -> None:
    """Lets a size be a number and a mean one for all channels, as the file may have them."""
    pattern = keys["size"]["pattern"]
    keys["size"] = _described(
        keys["size"], anyOf=[{"type": "string", "pattern": pattern}, {"type": "integer", "minimum": 1}]
    )
    for key in ("mean", "std"):
        keys[key] = _described(
            keys[key],
            anyOf=[{"type": "number"}, {"type": "array", "items": {"type": "number"}, "minItems": 1}],
        )
    keys["normalize"] = _described(keys["normalize"], enum=list(NORMALIZE))


def _described(key: Mapping[str, Any], **types: Any) -> dict[str, Any]:
    """Returns a key with other types and the description that it had."""
    return {"description": key["description"], **types} if "description" in key else types


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Gives a model and its keys the descriptions of its docstring; null and defaults are left out."""
    told = _args(model)
    if model is Task:
        training = _args(Training)
        told |= {name: text for name, text in training.items() if told.get(name) == told["optimizer"]}
    schema["description"] = (inspect.getdoc(model) or "").partition("\n\n")[0]
    for name, key in schema["properties"].items():
        types = [one for one in key.get("anyOf", []) if one != {"type": "null"}]
        rest = {word: value for word, value in key.items() if word not in ("anyOf", "default", "title")}
        more = types[0] if len(types) == 1 else {"anyOf": types} if types else {}
        schema["properties"][name] = {"description": told[name], **rest, **more}


def _args(documented: type) -> dict[str, str]:
    """Returns what a docstring says of each argument, on one line."""
    text = (inspect.getdoc(documented) or "").partition("\nArgs:\n")[2]
    block = re.split(r"\n(?=\S)", text)[0]
    found: dict[str, str] = {}
    # an argument begins four blanks from the margin; what is further in goes on with it
    for entry in re.split(r"\n    (?=\S)", re.sub(r"^    ", "", re.sub(r",\n    (?=\S)", ", ", block))):
        names, _, said = entry.partition(": ")
        for name in names.split(", "):
            found[name.strip()] = " ".join(said.split())
    return found
