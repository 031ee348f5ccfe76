"""The calls of a graph as JSON, and a graph from them: checked one by one, each reads what came before."""

import math
import re
from collections.abc import Sequence
from typing import Any

from torch import fx

from ..errors import AtollError
from .functions import BY_NAME, METHODS, name_of

#: own choices, far above what networks have: a DenseNet-201 makes 709 calls, and joins 50 values
LARGEST_CALLS, LARGEST_LIST, DEEPEST = 2**15, 2**10, 8
#: of a size, of a number of axes, of a step
LARGEST_NUMBER = 2**31
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_OPS = ("placeholder", "get_attr", "call_module", "call_function", "call_method", "output")
#: numbers of sizes, and whether several of them
_ARITHMETIC = ("operator.add", "operator.sub", "operator.mul", "operator.floordiv", "operator.mod")


def calls_json(calls: fx.Graph) -> list[dict[str, Any]]:
    """Returns the calls in the order of execution, in JSON's own types; `calls_of_json` reads them.

    Raises:
        AtollError: one calls what may not be written.
    """
    return [_call_json(node) for node in calls.nodes]


def _call_json(node: fx.Node) -> dict[str, Any]:
    target = name_of(node.target) if node.op == "call_function" else str(node.target)
    if node.op == "call_method" and target not in METHODS:
        raise AtollError(
            f"the call of {target} cannot be written as JSON: allowed are those that have a price"
        )
    written: dict[str, Any] = {
        "name": node.name,
        "op": node.op,
        "target": target,
        "args": [_json(one) for one in node.args],
    }
    if node.kwargs:
        written["kwargs"] = {name: _json(one) for name, one in node.kwargs.items()}
    return written


def _json(value: Any) -> Any:
    if isinstance(value, fx.Node):
        return {"value": value.name}
    if isinstance(value, tuple | list):
        return [_json(part) for part in value]
    if isinstance(value, dict):
        return {"by_name": {str(name): _json(part) for name, part in value.items()}}
    if isinstance(value, slice):
        return {"slice": [_json(part) for part in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {"ellipsis": True}
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise AtollError(
        f"a call with {value!r:.80} cannot be written as JSON: allowed are numbers, texts and values"
    )


def calls_of_json(written: Any, modules: frozenset[str], tensors: frozenset[str]) -> fx.Graph:
    """Returns the graph of calls that `calls_json` wrote.

    Args:
        written: what may have been made by somebody else.
        modules: paths of the modules that may be called.
        tensors: paths of the parameters and buffers that may be read.

    Raises:
        AtollError: it is no such list, or a call in it is none that may be made.
    """
    if not isinstance(written, list) or not 2 <= len(written) <= LARGEST_CALLS:
        raise AtollError(f"got no list of 2 to {LARGEST_CALLS:,} calls")
    reading = _Reading(modules, tensors)
    for one in written:
        reading.add(one)
    if written[-1]["op"] != "output" or sum(one["op"] == "output" for one in written) != 1:
        raise AtollError("got calls without an output at their end, allowed is one there")
    if not any(one["op"] == "placeholder" for one in written):
        raise AtollError("got calls without an input, allowed is one or more")
    return reading.graph


class _Reading:
    def __init__(self, modules: frozenset[str], tensors: frozenset[str]) -> None:
        self.graph = fx.Graph()
        self._modules, self._tensors = modules, tensors
        self._values: dict[str, fx.Node] = {}
        #: values that are several sizes, which arithmetic would repeat without bounds
        self._several: set[str] = set()

    def add(self, written: Any) -> None:
        """Adds one call."""
        if not isinstance(written, dict) or not {"name", "op", "target", "args"} <= written.keys():
            raise AtollError(f"got the call {written!r:.80}, allowed is one with name, op, target and args")
        name, op, target = (written[key] for key in ("name", "op", "target"))
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in self._values:
            raise AtollError(f"got the name {name!r:.80} of a call, allowed are names, each once")
        if op not in _OPS or not isinstance(target, str):
            raise AtollError(f"{name}: got a {op!r:.80}, allowed are {', '.join(_OPS)}")
        given, named = written["args"], written.get("kwargs", {})
        if not isinstance(given, list) or not isinstance(named, dict):
            raise AtollError(f"{name}: got arguments of another form than a list and a table by names")
        args = tuple(self._value(one) for one in given)
        kwargs = {_checked_name(key): self._value(one) for key, one in named.items()}
        self._check(name, op, target, args, kwargs)
        call: Any = BY_NAME[target] if op == "call_function" else target
        node = self.graph.create_node(op, call, args, kwargs, name=name)
        if node.name != name:
            raise AtollError(f"got the name {name!r} of a call, which means something else already")
        self._values[name] = node

    def _check(self, name: str, op: str, target: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        allowed: dict[str, Any] = {
            "call_module": self._modules,
            "call_function": BY_NAME,
            "call_method": METHODS,
            "get_attr": self._tensors | {"training"},
        }
        if target not in allowed.get(op, (target,)):
            raise AtollError(
                f"{name}: got a {op} of {target!r:.80}, which the network has not, or nobody may call"
            )
        if op == "call_method" and not (args and isinstance(args[0], fx.Node)):
            raise AtollError(f"{name}: got a method {target} of no value")
        if op == "output" and len(args) != 1:
            raise AtollError(f"{name}: got {len(args)} outputs, allowed is one, which may be a list")
        if target == "getattr" and not (
            len(args) == 2 and isinstance(args[0], fx.Node) and args[1] == "shape"
        ):
            raise AtollError(f"{name}: got a getattr of something else than a value's shape")
        self._check_sizes(name, op, target, args)

    def _check_sizes(self, name: str, op: str, target: str, args: tuple[Any, ...]) -> None:
        """Lets sizes be added to one list at most, and never be repeated."""
        several = [one for one in args if isinstance(one, fx.Node) and one.name in self._several]
        lists = [one for one in args if isinstance(one, list | tuple | str)]
        if target in _ARITHMETIC:
            if (several or lists) and (target != "operator.add" or len(several) > 1):
                raise AtollError(f"{name}: got {target} of lists, allowed are numbers and tensors")
            if several or lists:
                self._several.add(name)
        if target == "getattr" or (op == "call_method" and target == "size" and len(args) == 1):
            self._several.add(name)
        if target == "operator.getitem" and several and not isinstance(args[1], int):
            self._several.add(name)

    def _value(self, written: Any, depth: int = 0) -> Any:
        if depth > DEEPEST:
            raise AtollError(f"got arguments nested more than {DEEPEST} deep")
        if written is None or isinstance(written, bool):
            return written
        if isinstance(written, int | float):
            if not abs(written) <= LARGEST_NUMBER and not isinstance(written, float):
                raise AtollError(f"got the number {written}, allowed are whole ones up to {LARGEST_NUMBER:,}")
            return written
        if isinstance(written, str):
            return _checked_name(written)
        if isinstance(written, list):
            return tuple(self._value(one, depth + 1) for one in _checked_length(written))
        if isinstance(written, dict) and len(written) == 1:
            (key, value), *_ = written.items()
            if key == "value" and isinstance(value, str) and value in self._values:
                return self._values[value]
            if key == "by_name" and isinstance(value, dict):
                parts = _checked_length(list(value.items()))
                return {_checked_name(name): self._value(one, depth + 1) for name, one in parts}
            if key == "slice" and isinstance(value, list) and len(value) == 3:
                return slice(*(self._value(one, depth + 1) for one in value))
            if key == "ellipsis":
                return Ellipsis
            if key == "number" and value in ("inf", "-inf", "nan"):
                return float(value)
        raise AtollError(
            f"got the argument {written!r:.80}, allowed are numbers, texts and values made before"
        )


def _checked_length(found: Sequence[Any]) -> Sequence[Any]:
    if len(found) > LARGEST_LIST:
        raise AtollError(f"got a list of {len(found):,} arguments, allowed are {LARGEST_LIST:,}")
    return found


def _checked_name(text: Any) -> str:
    if not isinstance(text, str) or len(text) > 200:
        raise AtollError(f"got the text {text!r:.80}, allowed are those of up to 200 characters")
    return text
