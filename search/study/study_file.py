"""Reads a study from YAML: every mistake is named with its file and line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ...evaluators.own.task import task_of
from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from .limits import Limits, Resources
from .study import Study
from .study_checks import StudyMistake
from .yaml_values import YamlMistake, YamlValues, read_yaml, shortened

#: The studies that come with Atoll; the first is the demo.
STUDIES_FOLDER = Path(__file__).parents[1] / "studies"
DEMO = "demo"
#: what pydantic calls a type, and what it is in YAML
_PYTHON_WORDS = (
    ("a valid dictionary or instance of Limits", "a mapping of key: value lines"),
    ("a valid dictionary or instance of Resources", "a mapping of key: value lines"),
    ("a valid tuple", "a list"),
    ("a valid dictionary", "a mapping of key: value lines"),
    ("a valid string", "a text"),
    ("a valid integer", "a whole number"),
    (", unable to parse string as a number", ""),
)
#: parts of a study that are mappings of their own keys
_PARTS: dict[tuple[str | int, ...], type[BaseModel]] = {("limits",): Limits, ("resources",): Resources}
#: what pydantic puts into the way to a value that may be one thing or another
_READINGS = ("str", "dict[str,float]")


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


def read_study(path: Path, overrides: dict[str, Any] | None = None, images: int | None = None) -> Study:
    """Reads and checks a study.

    Args:
        path: YAML file.
        overrides: values of the command line; those of `limits` are merged.
        images: how many a user's own task decodes at most, to be looked at; all when None.

    Raises:
        AtollError: the file cannot be read, is no YAML, or says something that is not allowed.
    """
    given, added = _parse(path), overrides or {}
    return _create(_merged(given.values, added), str(path), given, added, path, images)


def read_values(path: Path) -> dict[str, Any]:
    """Returns what a study file says, unchecked.

    Raises:
        AtollError: the file cannot be read, or is no YAML mapping.
    """
    return dict(_parse(path).values)


def check_text(text: str, file: Path) -> None:
    """Refuses a study file whose task says something that is not allowed; no code is run and no data read.

    Args:
        text: of the file.
        file: where it will lie, for the message.

    Raises:
        AtollError: as `read_study`.
    """
    try:
        found = read_yaml(text)
        task_of(found.values["task"])
    except YamlMistake as error:
        raise AtollError(f"{file}{_line(error.line)}: {error}") from error


def create_study(values: dict[str, Any], where: str, overrides: dict[str, Any] | None = None) -> Study:
    """Builds a study from values that come from no file.

    Args:
        values: as a file holds them.
        where: begins the message of an error.
        overrides: as for `read_study`.

    Raises:
        AtollError: they say something that is not allowed.
    """
    return _create(_merged(values, overrides or {}), where)


def _merged(values: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Returns values with some replaced; those of `limits` one by one."""
    merged = values | overrides
    limits = values.get("limits", {})
    if "limits" in merged:  # a wrong value in the file stays wrong, whatever the command line adds
        merged["limits"] = limits | merged["limits"] if isinstance(limits, dict) else limits
    return merged


def task_study(task: str) -> dict[str, Any]:
    """Returns the values of the built-in study of a task, or just the task where there is none."""
    for name in built_in_studies():
        values = _parse(STUDIES_FOLDER / f"{name}.yaml").values
        if values["task"] == task:
            return dict(values)
    return {"task": task}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise AtollError(f"{path}: byte {error.start} is not UTF-8; a study is YAML text") from error
    except OSError as error:
        raise AtollError(f"{path}: {error.strerror or error}; a study is a YAML file") from error


def _parse(path: Path) -> YamlValues:
    text = _read(path)
    try:
        found = read_yaml(text)
    except YamlMistake as error:
        raise AtollError(f"{path}{_line(error.line)}: {error}") from error
    if not isinstance(found.values, dict):
        got = "nothing" if found.values is None else f"a {type(found.values).__name__}"
        raise AtollError(f"{path}: got {got}, allowed is a YAML mapping of key: value lines")
    return found


def _create(
    values: dict[str, Any],
    source: str,
    given: YamlValues | None = None,
    overrides: dict[str, Any] | None = None,
    file: Path | None = None,
    images: int | None = None,
) -> Study:
    """Builds a study; a mistake is named with its source and line, or as one of the command line."""
    try:
        return Study.create(values, file, images)
    except (ValidationError, StudyMistake) as error:
        of_key = False
        if isinstance(error, StudyMistake):
            where, message = error.where, str(error)
        else:
            first = error.errors()[0]
            # of what may be one thing or another, the reading that went furthest says what is wrong
            alike = [one for one in error.errors() if one["loc"][:1] == first["loc"][:1]]
            first = max(alike, key=lambda one: len(one["loc"])) if first["loc"][-1] in _READINGS else first
            where = tuple(part for part in first["loc"] if part not in _READINGS)
            message, of_key = _explain(first, where), first["type"] == "extra_forbidden"
        if _holds(overrides, where):
            source, given = "command line", None
        line = given.line(where, of_key) if given else None
        raise AtollError(f"{source}{_line(line)}: {shortened(message)}") from error


def _explain(first: Any, where: tuple[str | int, ...]) -> str:
    """Returns one sentence for a mistake as pydantic describes it."""
    named = ".".join(map(str, where))
    if first["type"] == "extra_forbidden":
        model = _PARTS.get(where[:-1], Study)
        return f"unknown key {where[-1]!r}; {known_names(str(where[-1]), model.model_fields)}"
    if first["type"] == "missing":
        return f"{named} is missing"
    message = first["msg"][0].lower() + first["msg"][1:]
    for theirs, ours in _PYTHON_WORDS:
        message = message.replace(theirs, ours)
    got = shortened(repr(first["input"]), 200)
    return f"{named}: got {got}, {message.replace('input ', 'it ', 1)}"


def _holds(values: Any, where: Sequence[str | int]) -> bool:
    """Whether nested mappings have the very value that a mistake is about."""
    for part in where:
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return not isinstance(values, dict)


def _line(line: int | None) -> str:
    return f", line {line}" if line else ""
