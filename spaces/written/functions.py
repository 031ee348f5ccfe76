"""The functions and methods that a graph in JSON may call, by names that do not change."""

import operator
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F

from ..errors import AtollError
from ..exported.functions import FUNCTIONS
from ..operations.kinds import CALLS

#: where functions are looked for, and what names begin with
_PLACES: tuple[tuple[str, ModuleType], ...] = (("operator", operator), ("F", F), ("torch", torch))
#: numbers made of sizes
_SIZES = (operator.floordiv, operator.mod, operator.neg)


def _named() -> Iterator[tuple[str, Callable[..., Any]]]:
    for function in (*FUNCTIONS, *_SIZES, *(call for call in CALLS if callable(call))):
        name = function.__name__
        place = next(short for short, module in _PLACES if getattr(module, name, None) is function)
        yield f"{place}.{name}", function
    yield "getattr", getattr  # of sizes alone, see `check_call`


#: name -> function
BY_NAME: dict[str, Callable[..., Any]] = dict(_named())
_NAMES = {function: name for name, function in BY_NAME.items()}
METHODS = frozenset(call for call in CALLS if isinstance(call, str)) | {"size", "dim", "expand"}


def name_of(function: Any) -> str:
    """Returns the name of a function that a graph calls.

    Raises:
        AtollError: it is none that may be written.
    """
    if function not in _NAMES:
        name = str(getattr(function, "__name__", function))
        raise AtollError(f"the call of {name} cannot be written as JSON: allowed are those that have a price")
    return _NAMES[function]
