"""Functions of a notebook or script, which no file of the task holds: the user's code as bytes."""

import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cloudpickle

from ...spaces.errors import AtollError
from .user_code import INSTALLED

#: among the files of a task's code; read only where that is trusted, as a Python file is imported only there
BY_VALUE = "functions.pickle"


def bytes_of(functions: Mapping[str, Callable[..., Any]]) -> bytes:
    """Returns functions as bytes, with what they refer to in the user's own modules.

    Raises:
        AtollError: they refer to what cannot be written down, such as an open file.
    """
    known = cloudpickle.list_registry_pickle_by_value()
    own = [module for name, module in list(sys.modules.items()) if name not in known and _is_users(module)]
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        content: bytes = cloudpickle.dumps(dict(functions))
    except Exception as error:  # whatever the objects that they refer to raise
        raise AtollError(
            f"the functions {', '.join(functions)} cannot be sent to workers ({str(error)[:200]}): allowed "
            "are functions that refer to nothing such as open files or connections"
        ) from error
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)
    return content


def by_value(path: Path) -> dict[str, Callable[..., Any]]:
    """Returns the functions of a file that `bytes_of` gave the content of; the caller checked its trust.

    Raises:
        AtollError: it cannot be read here.
    """
    try:
        found: dict[str, Callable[..., Any]] = pickle.loads(path.read_bytes())
    except Exception as error:  # it runs the user's code
        raise AtollError(f"cannot read {path}: {type(error).__name__}: {str(error)[:200]}") from error
    return found


def _is_users(module: Any) -> bool:
    """Whether a module was written by the user: neither installed nor Python's nor ours."""
    place = getattr(module, "__file__", None)
    top = str(getattr(module, "__name__", "")).partition(".")[0]
    if not isinstance(place, str) or not place.endswith(".py") or top in ("atoll", "__main__"):
        return False
    return top not in sys.stdlib_module_names and not any(part in place for part in INSTALLED)
