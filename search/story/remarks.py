"""What a step decided, in words: its notes as the store has them, layers of one fate named together."""

from collections.abc import Mapping
from typing import Any

#: names of layers in a line (own choice), and different numbers, beyond which a range says more
_NAMED, _NUMBERS = 3, 3


def remarks(notes: Any) -> list[str]:
    """Returns a line for each thing that a step noted.

    Args:
        notes: of a step; whatever JSON somebody's store has.

    >>> remarks({"bits": {"conv1": 8, "conv2": 8}, "left_alone": {"dense": "too small"}, "from": "given"})
    ['bits: 8 (conv1, conv2)', 'left alone: too small (dense)', 'from: given']
    """
    if not isinstance(notes, Mapping):
        return [] if notes is None else [_text(notes)]
    return [f"{_words(name)}: {said}" for name, value in notes.items() if (said := _said(value))]


def _said(value: Any) -> str:
    if not isinstance(value, Mapping):
        return "" if value in (None, [], "") else _text(value)
    numbers = {name: one for name, one in value.items() if isinstance(one, float)}
    if len(set(numbers.values())) > _NUMBERS:
        least, most = (pick(numbers, key=lambda name: numbers[name]) for pick in (min, max))
        return f"{numbers[least]:.4g} ({least}) to {numbers[most]:.4g} ({most}), of {len(numbers)}"
    layers: dict[str, list[str]] = {}
    for name, one in value.items():
        layers.setdefault(_text(one), []).append(str(name))
    return "; ".join(f"{said} ({_listed(names)})" for said, names in layers.items())


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):  # fates are pairs: a constraint, and what became of it
        pairs = all(isinstance(one, list) for one in value)
        return ", ".join(" ".join(map(_text, one)) if pairs else _text(one) for one in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(name)} {_text(one)}" for name, one in value.items())
    return str(value)


def _words(name: Any) -> str:
    return str(name).replace("_", " ")
