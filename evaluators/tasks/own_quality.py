"""A user's own function as a quality: called, and what may come of that said in one sentence."""

import math
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...spaces.errors import AtollError
from ...spaces.graph.heads import heads, mapped, shaped_targets
from .number_qualities import check_tolerance, numbers_agree
from .quality import ACCURACY


@dataclass(frozen=True)
class OwnQuality:
    """What a user's function gives of outputs and targets.

    What the function prints goes to stderr: stdout is for results. It gets copies that it may change.

    Args:
        function: of outputs and targets as `Quality.measure` gets them, several outputs in a tuple or by
            name; returns a number, or a tensor of one.
        name: what reports call the figure.
        unit: "%" of a share in [0, 1]; else that of the figure, "" for none.
        higher_is_better: which way is better.
        of_classes: whether two networks agree where they choose the same class; else where their numbers lie
            within the tolerance.
        tolerance: of numbers, as of `OfNumbers`.

    Raises:
        AtollError: the tolerance is no finite number >= 0.
    """

    function: Callable[[Tensor, Tensor], Any]
    name: str
    unit: str = ""
    higher_is_better: bool = True
    of_classes: bool = True
    tolerance: float | None = None

    def __post_init__(self) -> None:
        check_tolerance(self.tolerance)

    def measure(self, outputs: Any, targets: Tensor) -> float:
        """Returns what the function gives.

        Raises:
            AtollError: it raises, gives no finite number, or a share outside [0, 1].
        """
        count = len(heads(outputs)[0])
        if not count or count != len(targets):
            raise AtollError(
                f"quality {self.name!r}: got labels of {len(targets)} samples for outputs of {count}, "
                "allowed is as many of each, one at least"
            )
        try:
            with redirect_stdout(sys.stderr):
                given = self.function(_copied(outputs), shaped_targets(outputs, targets).clone())
        except AtollError:
            raise
        except (Exception, SystemExit) as error:  # the user's own code, which may raise anything
            said = next(iter(str(error).splitlines()), "")
            reason = f"{type(error).__name__}: {said}" if said else type(error).__name__
            raise AtollError(f"quality {self.name!r}: its function raised {reason}") from error
        try:
            value = float(given)
        except (TypeError, ValueError, RuntimeError):
            raise AtollError(
                f"quality {self.name!r}: its function gave {type(given).__name__}, allowed is one number"
            ) from None
        if not math.isfinite(value):
            raise AtollError(f"quality {self.name!r}: its function gave {value}, allowed is a finite number")
        if self.unit == "%" and not 0 <= value <= 1:
            raise AtollError(
                f"quality {self.name!r}: its function gave {value}, allowed of a share (unit %) is 0 to 1"
            )
        return value

    def agreement(self, outputs: Tensor, others: Tensor) -> float:
        """Returns the share of equal choices, or of numbers within the tolerance."""
        if self.of_classes:
            return ACCURACY.agreement(outputs, others)
        return numbers_agree(outputs, others, self.tolerance)


def _copied(outputs: Any) -> Any:
    """Returns a copy of a tensor, or of several in a tuple or by name."""
    if isinstance(outputs, dict):
        return {name: _copied(output) for name, output in outputs.items()}
    return mapped(Tensor.clone, outputs)
