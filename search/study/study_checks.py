"""What a study may say, value by value: a mistake is named with the way to the value that holds it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ...evaluators.ranking.constraints import Constraint, parse_constraints
from ...evaluators.ranking.goal import Goal
from ...hw_models.runtimes.micro import MICRO
from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from ...spaces.recipes.order import Grids, grid_steps, searched_values
from ...spaces.technique.technique import Technique
from ...spaces.techniques import TECHNIQUES, technique_named

#: figures that a compiler for Ethos-U gives, so that no other device has them
OF_NPU = ("ethos_u_mappable", "ethos_u_flash_bytes")
_ONE_OR_MORE = "allowed are one or more values, each once"


class StudyMistake(AtollError):
    """A value that no study may have; `where` is the way to it, keys and positions."""

    def __init__(self, message: str, where: tuple[str | int, ...]) -> None:
        super().__init__(message)
        self.where = where


@contextmanager
def at(*where: str | int) -> Iterator[None]:
    """Says of an error which value of the study it is about."""
    try:
        yield
    except AtollError as error:
        raise StudyMistake(str(error), where) from error


def checked_constraints(texts: Sequence[str], device: str, goal: Goal) -> tuple[str, ...]:
    """Returns constraints in their canonical form; they and the goal ask for what is known of a device."""
    for position, text in enumerate(texts):
        with at("constraints", position):
            Constraint.parse(text)
    with at("constraints"):
        constraints = tuple(str(constraint) for constraint in parse_constraints(texts))
    _check_known(device, goal, constraints)
    return constraints


def checked_techniques(given: Sequence[str] | None) -> list[str]:
    """Returns the names of what is searched: all techniques where none is given.

    Raises:
        StudyMistake: no technique has such a name, or one comes twice.
    """
    if given is None:
        return [technique.name for technique in TECHNIQUES]
    for position, name in enumerate(given):
        with at("techniques", position):
            technique_named(name)
    if not given or len(set(given)) < len(given):
        raise StudyMistake(
            f"techniques: got {list(given)}, allowed are one or more names, each once", ("techniques",)
        )
    return list(given)


def checked_grids(
    settings: Mapping[str, Mapping[str, Sequence[Any]]], chosen: Sequence[str]
) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Returns the values that a search tries in their canonical types.

    Raises:
        StudyMistake: an unknown technique or setting, one that is not searched, a value that is not allowed,
            none or one twice, or values that exclude each other whatever is drawn.
    """
    checked: dict[str, dict[str, tuple[Any, ...]]] = {}
    for name, grids in settings.items():
        with at("settings", name):
            technique = technique_named(name)
            if name not in chosen:
                raise AtollError(f"settings: got {name!r}, which is not among the techniques of the study")
        checked[name] = {key: _checked_grid(technique, key, values) for key, values in grids.items()}
        with at("settings", name):
            if not grid_steps(technique, checked):
                raise AtollError(f"settings: {name}: no combination of {checked[name]} is allowed")
    return checked


def stored_grids(space: Any, chosen: Sequence[str]) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Returns the values of a stored definition that are not the techniques' own, as far as still allowed."""
    found: dict[str, dict[str, tuple[Any, ...]]] = {}
    for name in chosen:
        grids = space.get(name) if isinstance(space, Mapping) else None
        for key, values in grids.items() if isinstance(grids, Mapping) else ():
            with suppress(AtollError):
                technique = technique_named(name)
                if isinstance(values, list) and values != list(searched_values(technique).get(key, ())):
                    found.setdefault(name, {})[key] = _checked_grid(technique, key, values)
    return found


def _checked_grid(technique: type[Technique], key: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """Returns the values that a search tries for one setting."""
    domains, place = technique.domains(), f"settings: {technique.name}"
    where = ("settings", technique.name, key)
    found: list[Any] = []
    with at(*where):
        if key not in domains:
            raise AtollError(f"{place}: unknown setting {key!r}; {known_names(key, domains)}")
        if not values:
            raise AtollError(f"{place}: {key}: got [], {_ONE_OR_MORE}")
    for position, value in enumerate(values):
        with at(*where, position):
            found.append(domains[key].check(f"{place}: {key}", value))
            if found[-1] in found[:-1]:
                raise AtollError(f"{place}: {key}: got {value!r} again, {_ONE_OR_MORE}")
    return tuple(found)


def check_device(name: str) -> None:
    """Refuses a device that no cost model knows, or that prices only a part of what trials are ranked by.

    A microcontroller may be without latency: that then weighs nothing (`checked_constraints`).
    """
    from ...hw_models.devices.device import Device

    device = Device.load(name)
    lacking = device.lacking()
    if lacking and not device.about.is_micro:
        raise AtollError(
            f"device {name}: {', '.join(lacking)} was never measured there; allowed are devices and set-ups "
            "with latency and memory"
        )


def check_runtime(device: str, name: str | None) -> None:
    """Refuses a runtime that is unknown, or another than LiteRT Micro where memory is its arena.

    Args:
        device: of the study.
        name: of the runtime; None for the device's own.
    """
    from ...hw_models.devices.device import Device
    from ...hw_models.devices.device_folder import runtime_of

    runtime = runtime_of(device, name)
    if Device.load(device).about.is_micro and not (runtime is not None and runtime.is_micro):
        raise AtollError(
            f"runtime {name} on the device {device}, whose memory is LiteRT Micro's arena; allowed is "
            f"{MICRO}, or another device"
        )


def _check_known(device: str, goal: Goal, constraints: Sequence[str]) -> None:
    """Refuses a goal and constraints that ask for what nobody measured on a device.

    Raises:
        StudyMistake: they do; it says which, and what measures it.
    """
    from ...hw_models.devices.device import Device

    board = Device.load(device)
    own = f"`atoll calibrate FILE --device NAME --base {board.name}`"
    cure = f"allowed is what is counted, or a device of your own: {own}"
    unknown = {name: f"{device} was never timed, {name} is unknown; {cure}" for name in board.lacking()} | {
        name: f"{device} has no Ethos-U, {name} is unknown; allowed is what is counted, or a device ethos-u…"
        for name in OF_NPU
        if not board.about.has_npu
    }
    for name, why in unknown.items():
        if name in goal.minimized:
            raise StudyMistake(f"goal: {why}", ("goal",))
        for position, text in enumerate(constraints):
            if Constraint.parse(text).metric == name:
                raise StudyMistake(f"constraints: {text}: {why}", ("constraints", position))


def spelt_out(techniques: Sequence[type[Technique]], grids: Grids) -> dict[str, Any]:
    """Returns what is searched, in JSON's own types: version and tried values of each technique."""
    values = {technique: searched_values(technique, grids) for technique in techniques}
    return {
        technique.name: {
            "version": technique.version,
            **{name: list(tried[name]) for name in tried if name not in technique.unsaid(tried)},
        }
        for technique, tried in values.items()
    }
