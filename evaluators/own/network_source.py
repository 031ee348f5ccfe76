"""A user's network by what the task calls it: their function, the zoo, timm, transformers, a program."""

import inspect
import random
from collections.abc import Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...spaces.errors import AtollError
from ...spaces.exported.front_end import exported, quiet, read_exported
from ...spaces.graph.heads import heads
from ...spaces.layers.parts import Parts, shapes_of
from ...spaces.layers.shape import InputShape
from ...spaces.nearest import known_names
from ...spaces.networks import NETWORKS, build_network
from ..tasks.user_code import UserCode, told_if_slow
from .mistake import TaskMistake
from .transformers_network import of_transformers

#: draws the weights of a network that comes without any, and of a new head
SEED = 0


def build(
    source: str, arguments: Mapping[str, Any], code: UserCode, classes: int, input_shape: InputShape | Parts
) -> nn.Module:
    """Builds the network that a task names.

    Args:
        source: `file.py:NAME`, `package.module:NAME`, a name of the zoo, `timm:NAME`, `transformers:CONFIG`
            (a class of configurations, or a `config.json`), or a `.pt2` file.
        arguments: for the function, or the configuration.
        code: imports what the user named.
        classes: how many the data have, or numbers a target; for whatever builds its head to measure.
        input_shape: of one input; of several, a tuple of such.

    Raises:
        AtollError: there is no such thing, its code raises, or gives something else than a module; or an
            argument is unknown.
    """
    kind, _, name = source.partition(":")
    if arguments and ":" not in source:
        what = "a program" if source.endswith(".pt2") else "a network of the zoo"
        raise TaskMistake(f"{source}: {what} takes no arguments; leave them out", ("arguments",))
    with _seeded():
        if kind in ("timm", "transformers") and name:
            with code.running(source):
                if kind == "timm":
                    made = _of_timm(name, classes, arguments)
                else:
                    made = of_transformers(_package(kind), code.folder, name, classes, arguments)
        elif source.endswith(".pt2"):
            made = _of_program(code.folder / source, shapes_of(input_shape))
        elif ":" in source:
            function = code.function(source)
            _check_arguments(source, function, arguments)
            with told_if_slow(f"building the network by {source}"):
                made = function(**arguments)
        else:
            made = _of_zoo(source, classes, shapes_of(input_shape))
    if not isinstance(made, nn.Module):
        raise AtollError(f"{source} gave a {type(made).__name__}, allowed is a torch.nn.Module")
    return made


def _check_arguments(source: str, function: Any, arguments: Mapping[str, Any]) -> None:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # it does not tell
        return
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return
    known = [
        name for name, one in parameters.items() if one.kind not in (one.VAR_POSITIONAL, one.POSITIONAL_ONLY)
    ]
    for name in arguments:
        if name not in known:
            told = known_names(name, known) if known else "it takes none"
            raise TaskMistake(f"{source}: unknown argument {name!r}; {told}", ("arguments", name))


def _of_timm(name: str, classes: int, arguments: Mapping[str, Any]) -> Any:
    timm = _package("timm")
    options = {"num_classes": classes, **arguments} if classes else dict(arguments)
    return timm.create_model(name, **options)


def _of_program(path: Path, shapes: Parts) -> nn.Module:
    if not path.is_file():
        raise AtollError(f"there is no file {path}")
    try:
        with quiet():
            program = torch.export.load(path)
        values = [node.meta["val"] for node in program.graph.nodes if node.name in _inputs(program)]
        taken = [tuple(value.shape) for value in values if isinstance(value, Tensor)]
        batch = taken[0][0]
    except Exception as error:  # whatever lies in it
        why = " ".join(str(error).split())[:200]
        raise AtollError(f"{path} is no program of torch.export: {why}") from error
    _check_sizes(path.name, [shape[1:] for shape in taken], shapes)
    module = program.module()
    module._forward_pre_hooks.clear()  # checks of its inputs, which adoption would lose
    module._forward_hooks.clear()
    if not isinstance(batch, int):  # it takes any
        return exported(module, shapes)
    found = read_exported(program, module, batch)
    _check_any_batch(
        path.name, found, program.module(), [torch.rand(2 * batch, *shape) for shape in shapes], batch
    )
    return found


def _inputs(program: torch.export.ExportedProgram) -> tuple[str, ...]:
    return tuple(str(name) for name in program.graph_signature.user_inputs)


def _check_sizes(name: str, taken: list[tuple[Any, ...]], shapes: Parts) -> None:
    """Compares the sizes that a program fixes with those of the data; others are symbols."""
    fits = len(taken) == len(shapes) and all(
        len(one) == len(shape)
        and all(not isinstance(size, int) or size == own for size, own in zip(one, shape, strict=True))
        for one, shape in zip(taken, shapes, strict=True)
    )
    if not fits:
        wanted, given = (" and ".join("x".join(map(str, shape)) for shape in of) for of in (taken, shapes))
        raise AtollError(
            f"{name} was exported for inputs of {wanted}, the data have {given}; allowed are equal ones: set "
            "input.size and input.channels, or export it for those of the data"
        )


def _check_any_batch(name: str, found: nn.Module, given: nn.Module, inputs: list[Tensor], batch: int) -> None:
    """Compares what was read of a program for so many images at once with the program, image by image."""
    try:
        with torch.no_grad():
            halves: list[tuple[Tensor, ...]] = [
                heads(given(*half)) for half in zip(*(one.split(batch) for one in inputs), strict=True)
            ]
            whole: tuple[Tensor, ...] = heads(found(*inputs))
    except Exception as error:  # the program's own checks
        said = " ".join(str(error).split())[:200]
        sizes = " and ".join(str(tuple(one.shape[1:])) for one in inputs)
        raise AtollError(f"{name} does not run on inputs of {sizes}: {said}") from error
    for one, *parts in zip(whole, *halves, strict=True):
        if not torch.allclose(one, torch.cat(parts), rtol=1e-4, atol=1e-5):
            raise AtollError(
                f"{name} was exported for {batch} images at once and mixes that number with other sizes; "
                "allowed is one for any number: dynamic_shapes=({0: torch.export.Dim('n')},)"
            )


def _of_zoo(name: str, classes: int, shapes: Parts) -> Any:
    known = [known for known, _ in NETWORKS]
    if name.endswith(".py"):
        raise AtollError(f"{name} names no function; allowed is {name}:NAME of one that gives the network")
    if name not in known:
        raise AtollError(
            f"unknown network {name!r}; allowed is file.py:NAME, package.module:NAME, timm:NAME, "
            f"transformers:CONFIG, a .pt2 file or one of the zoo. {known_names(name, known)}"
        )
    if len(shapes) > 1:
        raise AtollError(f"got {name} for data of {len(shapes)} inputs, allowed is a network that takes them")
    return build_network(name, classes, shapes[0])


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise AtollError(f"{name} is not installed here ({error}); its network needs it") from error


@contextmanager
def _seeded() -> Any:
    """Lets constructors draw the same weights every time; the user's generators stay as they were."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        random.seed(SEED)
        np.random.seed(SEED)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
