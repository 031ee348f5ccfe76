"""Reads a study from YAML: every mistake is named with its file and line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from ..spaces.errors import AtollError
from ..spaces.nearest import known_names
from .study import Limits, Study

#: The studies that come with Atoll; the first is the demo.
STUDIES_FOLDER = Path(__file__).with_name("studies")
DEMO = "demo"
#: what pydantic calls a type, and what it is in YAML
_PYTHON_WORDS = (
    ("a valid dictionary or instance of Limits", "a mapping of key: value lines"),
    ("a valid tuple", "a list"),
)
_MODELS: dict[tuple[str, ...], type[BaseModel]] = {(): Study, ("limits",): Limits}


def built_in_studies() -> list[str]:
    """Returns the names of the studies that come with Atoll."""
    return sorted(path.stem for path in STUDIES_FOLDER.glob("*.yaml"))


def find_study_file(given: str | None) -> Path:
    """Returns the file of a study: a path, the name of a built-in one, or the demo's when None.

    Raises:
        AtollError: there is neither such a file nor such a name.
    """
    if given is None:
        return STUDIES_FOLDER / f"{DEMO}.yaml"
    path = Path(given)
    if path.is_file():
        return path
    if given in built_in_studies():
        return STUDIES_FOLDER / f"{given}.yaml"
    known = ", ".join(built_in_studies())
    raise AtollError(f"study {given!r}: there is no such file; allowed is a YAML file or one of {known}")


def read_study(path: Path, overrides: dict[str, Any] | None = None) -> Study:
    """Reads and checks a study.

    Args:
        path: YAML file.
        overrides: values of the command line; those of `limits` are merged.

    Raises:
        AtollError: the file cannot be read, is no YAML, or says something that is not allowed.
    """
    text = _read(path)
    values, root = _parse(path, text)
    merged = values | (overrides or {})
    limits = values.get("limits", {})
    if "limits" in merged:  # a wrong value in the file stays wrong, whatever the command line adds
        merged["limits"] = limits | merged["limits"] if isinstance(limits, dict) else limits
    try:
        return Study.create(merged)
    except ValidationError as error:
        if _comes_from(overrides or {}, error):
            raise AtollError(_explain("command line", None, error)) from error
        raise AtollError(_explain(path, root, error)) from error
    except AtollError as error:
        raise AtollError(f"{path}{_place_of_word(root, str(error))}: {error}") from error


def create_study(values: dict[str, Any], where: str) -> Study:
    """Builds a study from values that come from no file; `where` begins the message of an error."""
    try:
        return Study.create(values)
    except ValidationError as error:
        raise AtollError(_explain(where, None, error)) from error


def task_study(task: str) -> dict[str, Any]:
    """Returns the values of the built-in study of a task, or just the task where there is none."""
    for name in built_in_studies():
        values = yaml.safe_load(_read(STUDIES_FOLDER / f"{name}.yaml"))
        if values["task"] == task:
            return values
    return {"task": task}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise AtollError(f"{path}: byte {error.start} is not UTF-8; a study is YAML text") from error
    except OSError as error:
        raise AtollError(f"{path}: {error.strerror or error}; a study is a YAML file") from error


def _parse(path: Path, text: str) -> tuple[dict[str, Any], yaml.Node | None]:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise AtollError(f"{path}{line}: {getattr(error, 'problem', None) or 'no YAML'}") from error
    if not isinstance(values, dict):
        raise AtollError(
            f"{path}: got {type(values).__name__}, allowed is a YAML mapping of key: value lines"
        )
    _refuse_repeated(path, root)
    return values, root


def _refuse_repeated(path: Path, node: yaml.Node | None) -> None:
    """YAML takes the last of two equal keys silently; a user meant one of them."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        if key.value in seen:
            raise AtollError(f"{path}, line {key.start_mark.line + 1}: key {key.value!r} is given twice")
        seen.add(key.value)
        _refuse_repeated(path, value)


def _explain(path: Path | str, root: yaml.Node | None, error: ValidationError) -> str:
    """Returns one sentence for the first mistake."""
    first = error.errors()[0]
    where = tuple(str(part) for part in first["loc"])
    place = f"{path}{_line(root, where)}"
    if first["type"] == "extra_forbidden":
        model = _MODELS.get(where[:-1], Study)
        return f"{place}: unknown key {where[-1]!r}; {known_names(where[-1], model.model_fields)}"
    if first["type"] == "missing":
        return f"{place}: {'.'.join(where)} is missing"
    named = ".".join(
        part for part in where if part in {*Study.model_fields, *Limits.model_fields} or part.isdigit()
    )
    message = first["msg"][0].lower() + first["msg"][1:]
    for theirs, ours in _PYTHON_WORDS:
        message = message.replace(theirs, ours)
    return f"{place}: {named}: got {first['input']!r}, {message.replace('input ', 'it ', 1)}"


def _comes_from(values: Any, error: ValidationError) -> bool:
    """Whether nested mappings hold the very value that the first mistake is about."""
    first = error.errors()[0]
    for part in first["loc"]:
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return values is first["input"]


def _line(root: yaml.Node | None, where: Sequence[str]) -> str:
    """Returns ", line N" of the key, or of the deepest part of it that the file has."""
    line, node = None, root
    for part in where:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
            node = node.value[int(part)]
            line = node.start_mark.line + 1
    return f", line {line}" if line else ""


def _place_of_word(root: yaml.Node | None, message: str) -> str:
    """Returns ", line N" of the scalar that the message quotes, if the file has it."""
    for node in _scalars(root):
        if node.value and f"{node.value!r}" in message:
            return f", line {node.start_mark.line + 1}"
    return ""


def _scalars(node: yaml.Node | None) -> list[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        return [node]
    if isinstance(node, yaml.SequenceNode):
        return [scalar for child in node.value for scalar in _scalars(child)]
    if isinstance(node, yaml.MappingNode):
        return [scalar for _, child in node.value for scalar in _scalars(child)]
    return []
