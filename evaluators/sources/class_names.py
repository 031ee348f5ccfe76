"""What the classes of a user's data are called, and in which order the network gives them."""

from dataclasses import dataclass

import numpy as np

from ...spaces.errors import AtollError
from ...spaces.outside.shown import shown
from .data_source import LARGEST_CLASSES, DataSource
from .decode import Decoded
from .reader import Reader


@dataclass(frozen=True)
class Classes:
    """Names of classes, and how labels as they came become their indices.

    Args:
        names: of class 0, 1, …; none for the targets of a regression.
        of_label: index of the class that label 0, 1, … stands for; None: itself.
    """

    names: tuple[str, ...]
    of_label: np.ndarray | None = None

    def numbers(self, labels: np.ndarray) -> np.ndarray | None:
        """Returns labels as indices of classes; None where they are targets."""
        if labels.dtype != np.int64:
            return None
        return labels if self.of_label is None else self.of_label[labels]


def name_classes(found: Decoded, reader: Reader, source: DataSource) -> Classes:
    """Finds the names of classes: those of the source come first, then those of the data.

    Raises:
        AtollError: the data have classes that the source does not name, or only one.
    """
    classes = _classes(found, reader, source)
    if len(classes.names) == 1:
        raise AtollError(
            f"data: {shown(source.shown)} has one class, {shown(classes.names[0])}, allowed are two or "
            "more: a network cannot learn to tell one class from none"
        )
    if len(classes.names) > LARGEST_CLASSES:
        raise AtollError(
            f"data: {shown(source.shown)} has {len(classes.names):,} classes, allowed are "
            f"{LARGEST_CLASSES:,}: is its label another column?"
        )
    return classes


def _classes(found: Decoded, reader: Reader, source: DataSource) -> Classes:
    labels = found.labels.mapped()
    if labels.dtype != np.int64:
        if source.classes is not None:
            raise AtollError(
                f"data: {shown(source.shown)} has targets of a regression (numbers with a point), allowed "
                "with `classes` are labels that are whole numbers or names"
            )
        return Classes(())
    if found.label_names:
        met = tuple(found.label_names)
        known: tuple[str, ...] | None = tuple(sorted(met))
    else:
        met = reader.class_names or ()
        known = reader.class_names
    told = source.classes
    if isinstance(told, tuple) and known is not None:
        return _in_told_order(met, told, source)
    if known is not None:
        if isinstance(told, int) and told != len(known):
            raise AtollError(
                f"data: {shown(source.shown)} has {len(known)} classes ({_some(known)}), allowed are the "
                f"{told} that `classes` says: give their names, in the order of the network's outputs"
            )
        _check_range(labels, len(known), source)
        return Classes(known, np.array([known.index(name) for name in met]) if found.label_names else None)
    most = int(labels.max()) + 1 if told is None else told if isinstance(told, int) else len(told)
    _check_range(labels, most, source)
    return Classes(told if isinstance(told, tuple) else tuple(map(str, range(most))))


def _in_told_order(met: tuple[str, ...], told: tuple[str, ...], source: DataSource) -> Classes:
    unknown = sorted(set(met) - set(told))
    if unknown:
        raise AtollError(
            f"data: {shown(source.shown)} has the classes {_some(tuple(unknown))}, allowed are those that "
            f"`classes` names: {_some(told, 20)}"
        )
    return Classes(told, np.array([told.index(name) for name in met]))


def _check_range(labels: np.ndarray, classes: int, source: DataSource) -> None:
    highest = int(labels.max())
    if highest >= min(classes, LARGEST_CLASSES):
        raise AtollError(
            f"data: {shown(source.shown)} has the label {highest}, allowed are 0 to {classes - 1}, "
            "one a class"
        )


def _some(names: tuple[str, ...], most: int = 5) -> str:
    return ", ".join(shown(name) for name in names[:most]) + (", …" if len(names) > most else "")
