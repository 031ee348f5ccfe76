"""One width for each of several tensors: the least sum of errors that a budget of bits allows."""

from collections.abc import Mapping, Sequence

#: a choice so far: (bits spent, error, widths)
_Partial = tuple[int, float, tuple[int, ...]]


def allocate_bits(
    sizes: Sequence[int], errors: Sequence[Mapping[int, float]], budget: int
) -> tuple[int, ...] | None:
    """Returns the width of each tensor that gives the least sum of errors within the budget, exactly.

    Dynamic programming over tensors: of the choices so far only those stay that no cheaper one equals or
    beats, and that leave enough for the narrowest widths of the rest.

    Args:
        sizes: elements of each tensor.
        errors: of each tensor, width in bits -> error; errors of different tensors add up.
        budget: most bits for all elements together.

    Returns:
        widths in the order of the tensors, of equal errors the cheaper choice; None where even the narrowest
        widths go beyond the budget.
    """
    rest = sum(size * min(options) for size, options in zip(sizes, errors, strict=True))
    partial: list[_Partial] = [(0, 0.0, ())]
    for size, options in zip(sizes, errors, strict=True):
        rest -= size * min(options)
        longer = [
            (bits + size * width, total + error, (*widths, width))
            for bits, total, widths in partial
            for width, error in options.items()
            if bits + size * width + rest <= budget
        ]
        partial = _undominated(longer)
    return partial[-1][2] if partial else None


def _undominated(choices: list[_Partial]) -> list[_Partial]:
    """Returns the choices in order of bits, each with less error than all that are cheaper."""
    kept: list[_Partial] = []
    for choice in sorted(choices):
        if not kept or choice[1] < kept[-1][1]:
            kept.append(choice)
    return kept
