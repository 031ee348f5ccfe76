"""Reads dictionaries of arrays out of Python's pickle format without unpickling: nothing is ever called.

A pickle is a program that builds objects by calling what it names. Here its instructions are carried out only
as far as dictionaries, lists, texts and numbers need them, and of the calls those three are understood by
which NumPy puts down an array; each stands for data, and every other name is refused.
"""

import pickletools
from typing import Any

import numpy as np

from ..errors import AtollError

#: names of modules that NumPy 1 and 2 put down for the same function
_RECONSTRUCT = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}
_NDARRAY, _DTYPE, _ENCODE = ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")
_ALLOWED = _RECONSTRUCT | {_NDARRAY, _DTYPE, _ENCODE}
#: instructions that put their argument down as it stands
_CONSTANTS = frozenset(
    (
        *("BINSTRING", "SHORT_BINSTRING", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BINFLOAT"),
        *("BININT", "BININT1", "BININT2", "INT", "LONG1", "LONG4"),
    )
)
_MARK = object()


class _Name(tuple):
    """A module and a name in it, which nobody looks up."""


class _Dtype:
    """A type of numbers, e.g. `u1`."""

    def __init__(self, code: str) -> None:
        self.code = code


class _Array:
    """An array whose content comes with the next instruction."""

    value: np.ndarray | None = None


def read_pickled_arrays(content: bytes, where: str) -> Any:
    """Returns what a pickle of dictionaries, lists, texts, numbers and integer arrays says.

    Args:
        content: a whole pickle, of Python 2 or 3; texts of Python 2 come as text, each byte a character.
        where: for messages.

    Raises:
        AtollError: it names anything else, or is no pickle.
    """
    try:
        return _resolved(_Machine().run(content), {})
    except AtollError as error:
        raise AtollError(f"{where} {error}") from error
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise AtollError(f"{where} is no pickle of arrays ({str(error)[:100]})") from error


class _Machine:
    """The stack on which a pickle builds what it says."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name == "STOP":
                (result,) = self._stack
                return result
            self._step(opcode.name, argument)
        raise ValueError("it ends too soon")

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _CONSTANTS:
            stack.append(argument)
        elif name in ("PROTO", "FRAME"):
            pass
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("NONE", "NEWTRUE", "NEWFALSE"):
            stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
        elif name in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"):
            stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[name]())
        elif name in ("TUPLE", "LIST", "DICT"):
            items = self._since_mark()
            stack.append(
                dict(_pairs(items)) if name == "DICT" else (tuple if name == "TUPLE" else list)(items)
            )
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            stack.append(tuple(reversed([stack.pop() for _ in range(int(name[-1]))])))
        elif name in ("APPEND", "APPENDS"):
            items = self._since_mark() if name == "APPENDS" else [stack.pop()]
            _of_type(stack[-1], list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self._since_mark() if name == "SETITEMS" else [stack.pop(), stack.pop()][::-1]
            _of_type(stack[-1], dict).update(_pairs(items))
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(self._memo[argument])
        elif name == "POP":
            stack.pop()
        elif name == "GLOBAL":
            stack.append(_name(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_name(module, attribute))
        elif name == "REDUCE":
            arguments = _of_type(stack.pop(), tuple)
            stack.append(_meant(stack.pop(), arguments))
        elif name == "BUILD":
            _fill(stack.pop(), stack[-1])
        else:
            raise AtollError(f"has the instruction {name}, {_allowed()}")

    def _since_mark(self) -> list[Any]:
        start = len(self._stack) - 1
        while self._stack[start] is not _MARK:
            start -= 1
            if start < 0:
                raise ValueError("a list that does not begin")
        items = self._stack[start + 1 :]
        del self._stack[start:]
        return items


def _name(module: Any, attribute: Any) -> _Name:
    if (module, attribute) not in _ALLOWED:
        raise AtollError(f"calls {str(module)[:60]}.{str(attribute)[:60]}, {_allowed()}")
    return _Name((module, attribute))


def _meant(called: Any, arguments: tuple[Any, ...]) -> Any:
    """Returns the data that a call stands for."""
    if called in _RECONSTRUCT and isinstance(called, _Name) and arguments[0] == _NDARRAY:
        return _Array()
    if called == _DTYPE and isinstance(arguments[0], str):
        return _Dtype(arguments[0])
    if called == _ENCODE and arguments[1:] == ("latin1",):  # bytes, as protocol 2 of Python 3 has them
        return _of_type(arguments[0], str)
    raise AtollError(f"calls {str(called)[:100]}, {_allowed()}")


def _fill(state: Any, target: Any) -> None:
    """Carries out what NumPy does with the state of a type or an array."""
    if isinstance(target, _Dtype):
        order = state[1]  # (version, byte order, …)
        target.code = target.code if order == "|" else f"{_of_type(order, str)}{target.code}"
        return
    _, shape, kind, is_fortran, content = state
    if not isinstance(target, _Array) or not isinstance(kind, _Dtype):
        raise AtollError(f"sets the state of {type(target).__name__}, {_allowed()}")
    dtype = np.dtype(kind.code)
    if dtype.kind not in "iu":
        raise AtollError(f"holds an array of {dtype}, {_allowed()}")
    data = content.encode("latin-1") if isinstance(content, str) else _of_type(content, bytes)
    target.value = np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C")


def _resolved(value: Any, found: dict[int, Any]) -> Any:
    """Puts the arrays in their places; what was to become an array and did not is refused.

    Args:
        found: what was resolved, by identity: lists that are all one list would take memory without end.
    """
    if isinstance(value, dict) or type(value) in (list, tuple):
        if id(value) not in found:
            found[id(value)] = (
                {key: _resolved(inner, found) for key, inner in value.items()}
                if isinstance(value, dict)
                else type(value)(_resolved(inner, found) for inner in value)
            )
        return found[id(value)]
    if isinstance(value, _Array) and value.value is not None:
        return value.value
    if value is not None and not isinstance(value, str | bytes | int | float):
        raise ValueError(f"{type(value).__name__} is left over")
    return value


def _pairs(items: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(items[::2], items[1::2], strict=True))


def _of_type(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{type(value).__name__} where {kind.__name__} is needed")
    return value


def _allowed() -> str:
    return "allowed are dictionaries, lists, texts, numbers and arrays of integers: nothing else is unpickled"
