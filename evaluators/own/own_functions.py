"""The functions that a task brings along, and the files that workers need to run them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..tasks.functions_by_value import BY_VALUE, bytes_of
from ..tasks.user_code import UserCode


class OwnFunctions:
    """Takes functions by name or as they are, and says where workers find them.

    Args:
        folder: that names are relative to.
        source: the code that a Python task itself came from.
    """

    def __init__(self, folder: Path, source: UserCode) -> None:
        self._code = UserCode(folder)
        self._source = source
        self._by_value: dict[str, Callable[..., Any]] = {}

    def take(self, use: str, function: Any) -> tuple[str, Callable[..., Any]]:
        """Returns the reference of a function and the function, whose errors are sentences.

        Args:
            use: what it is for.
            function: `file.py:NAME`, `package.module:NAME`, or a function.

        Raises:
            AtollError: there is no such function.
        """
        reference = function if isinstance(function, str) else self._source.reference_of(function)
        if reference is not None:
            return reference, self._code.function(reference)
        self._by_value[use] = function
        name = str(getattr(function, "__name__", type(function).__name__))

        def call(*args: Any) -> Any:
            with self._source.running(name):
                return function(*args)

        call.__name__ = name

        return f"{BY_VALUE}:{use}", call

    def files(self) -> dict[str, bytes]:
        """Returns the files that workers need: every module of the folder that was loaded for them.

        Raises:
            AtollError: a function cannot be sent anywhere.
        """
        if not self._by_value:
            return self._code.files()
        with self._source.running("the task"):
            return {**self._code.files(), BY_VALUE: bytes_of(self._by_value)}
