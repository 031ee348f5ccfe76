"""Every quality of the package by its name, and a user's function as one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from .class_qualities import BalancedAccuracy, MacroF1, MeanIoU, TopK
from .number_qualities import R2, MeanAbsoluteError, OfErrors, OfNumbers, RootMeanSquaredError
from .own_quality import OwnQuality
from .quality import ACCURACY, Quality, SameAnswer

#: Every quality, as a study names it.
QUALITIES: tuple[Quality, ...] = (
    ACCURACY,
    SameAnswer(),
    BalancedAccuracy(),
    TopK(5),
    MacroF1(),
    MeanIoU(),
    MeanAbsoluteError(),
    RootMeanSquaredError(),
    R2(),
)


def quality_named(
    what: str | Callable[[Tensor, Tensor], Any],
    *,
    name: str = "",
    unit: str | None = None,
    higher_is_better: bool | None = None,
    of_classes: bool = True,
    tolerance: float | None = None,
) -> Quality:
    """Returns a quality by its name, or made of a function.

    Args:
        what: a name of `QUALITIES`, or a function of outputs and targets that gives a number.
        name: of a function's figure; the function's own if none.
        unit: of a function's figure, or of the targets of an error; "%" of a share in [0, 1].
        higher_is_better: which way is better; a function has to say it, the others have their own.
        of_classes: whether outputs are logits of classes, where a function judges them.
        tolerance: how far two networks' numbers may lie apart and still be the same, in the targets' unit.

    Raises:
        AtollError: the name is unknown, a function comes without its direction, or something is said of a
            quality that has its own.
    """
    if not isinstance(what, str):
        called = name or getattr(what, "__name__", type(what).__name__)
        if higher_is_better is None:
            raise AtollError(
                f"quality {called!r}: nothing says which way is better, needed is higher_is_better: true or "
                "false"
            )
        return OwnQuality(what, called, unit or "", higher_is_better, of_classes, tolerance)
    known = {quality.name: quality for quality in QUALITIES}
    if what not in known:
        raise AtollError(f"unknown quality {what!r}. {known_names(what, known)}; or FILE.py:FUNCTION")
    found = known[what]
    if higher_is_better not in (None, found.higher_is_better):
        raise AtollError(
            f"quality {what!r}: got higher_is_better: {higher_is_better}, its own is {found.higher_is_better}"
        )
    if unit is not None and unit != found.unit:
        if not isinstance(found, OfErrors):
            raise AtollError(f"quality {what!r}: got the unit {unit!r}, its own is {found.unit!r}")
        found = replace(found, unit=unit)
    if tolerance is not None:
        if not isinstance(found, OfNumbers):
            raise AtollError(f"quality {what!r}: got a tolerance, allowed is one where outputs are numbers")
        found = replace(found, tolerance=tolerance)
    return found
