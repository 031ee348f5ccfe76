"""What a node of an exported program says of itself."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, fx


def module_path(node: fx.Node) -> str:
    """Returns the dotted name of the innermost module whose forward makes a call of an exported program."""
    stack: dict[str, tuple[str, Any]] = node.meta.get("nn_module_stack") or {}
    return next(reversed([path for path, _ in stack.values()]), "").split("@")[0]


def is_tensor(node: fx.Node) -> bool:
    """Whether a node gives one tensor."""
    return isinstance(node.meta.get("val"), Tensor)


def bound(node: fx.Node) -> dict[str, Any]:
    """Returns the arguments of a call by name, with those that it leaves at their defaults."""
    target: Any = node.target
    if not hasattr(target, "_schema"):
        return {str(at): one for at, one in enumerate(node.args)}
    return dict(_named(target._schema.arguments, node))


def _named(arguments: Any, node: fx.Node) -> Iterator[tuple[str, Any]]:
    for at, argument in enumerate(arguments):
        given = (
            node.args[at] if at < len(node.args) else node.kwargs.get(argument.name, argument.default_value)
        )
        yield argument.name, given
