"""A user's functions as workers know them: by name, their code loaded when they are first called."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...spaces.errors import AtollError, MachineError
from .functions_by_value import BY_VALUE, by_value
from .qualities import quality_named
from .quality import Quality
from .trusted import check_trusted
from .user_code import UserCode


@dataclass(frozen=True)
class OwnCode:
    """The code of a prepared task.

    Args:
        folder: where its files are.
        digest: SHA-256 of them; None where there are none.
        files: their paths.
    """

    folder: Path
    digest: str | None
    files: tuple[str, ...]


@dataclass(frozen=True)
class OwnFunction:
    """A function of a prepared task's code.

    Args:
        code: where it is.
        reference: `file.py:NAME`.
    """

    code: OwnCode
    reference: str

    def __call__(self, *args: Any) -> Any:
        """Calls the function.

        Raises:
            AtollError: nobody let this code run on this machine, it does not load, or the function raises.
        MachineError: its files are gone.
        """
        return _loaded(self.code, self.reference)(*args)

    @property
    def __name__(self) -> str:
        return self.reference


@lru_cache(maxsize=8)
def _loaded(code: OwnCode, reference: str) -> Callable[..., Any]:
    if code.digest is None:
        raise AtollError(f"the task names {reference} and has no code")
    check_trusted(code.digest, code.files)
    for name in code.files:
        if not (code.folder / name).is_file():
            raise MachineError(
                f"{name} of the task is gone from {code.folder}: search its study file again, which "
                "prepares it"
            )
    modules = UserCode(code.folder)
    if not reference.startswith(f"{BY_VALUE}:"):
        return modules.function(reference)
    function = by_value(code.folder / BY_VALUE)[reference.partition(":")[2]]

    def call(*args: Any) -> Any:
        with modules.running(reference):
            return function(*args)

    return call


def quality_of(about: Mapping[str, Any], code: OwnCode) -> Quality:
    """Returns the quality that a prepared task names.

    Raises:
        AtollError: there is none of this name, or something is said of it that cannot be.
    """
    function = about["function"]
    return quality_named(
        about["name"] if function is None else OwnFunction(code, function),
        name=about["name"],
        unit=about["unit"],
        higher_is_better=about["higher_is_better"],
        of_classes=about["of_classes"],
        tolerance=about["tolerance"],
    )


def loss_of(about: str | None, code: OwnCode) -> str | OwnFunction | None:
    """Returns what training minimises, as `Task.loss` has it."""
    return OwnFunction(code, about) if about is not None and ":" in about else about
