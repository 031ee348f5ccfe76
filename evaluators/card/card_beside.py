"""What a card says of the file beside its network, and of single samples of the validation split."""

from ...spaces.layers.shape import shape_said
from ...spaces.outside.shown import markdown, markdown_code
from ..measuring.sample_report import MOST_CLASSES, Confusion
from .card import Card
from .card_use import inputs_said, table
from .sample_figures import can_be_seen


def agreement(card: Card) -> str:
    """Returns how much of what the network says the file says too, and where it is furthest."""
    file = card.artifact
    difference = f"{file.largest_difference:.4g}"
    if file.largest_difference_lsb is not None:
        difference += f" ({file.largest_difference_lsb:.1f} steps of the output's grid)"
    worst = card.samples.disagreements if card.samples is not None else []
    if worst:
        furthest = max(worst, key=lambda one: one.difference)
        difference += f", on {inputs_said(card).removesuffix('s')} {furthest.sample}"
    share = f"{100 * file.agreement:.2f} %"
    agreed = (
        f"gave {share} of the network's numbers"
        if card.numbers
        else f"chose the network's label on {share} of them"
    )
    return (
        f"Run by LiteRT over {file.images:,} validation {inputs_said(card)}, the file {agreed}; the largest "
        f"difference of an output was {difference}."
    )


def disagreements(card: Card, thumbnails: str) -> list[str]:
    """Returns on which samples file and network are furthest apart, and their picture or why there is none.

    Args:
        card: of an export; older ones say nothing of samples.
        thumbnails: name of the picture's file.
    """
    if card.samples is None:
        return []
    inputs = inputs_said(card)
    if not card.samples.disagreements:
        return [f"It gave exactly what the network gives on all of these {inputs}."]
    chosen = any(one.file is not None for one in card.samples.disagreements)
    others = any(one.network != one.file for one in card.samples.disagreements)
    first = "those with another class first, " if others else ""
    told = f"The worst {inputs}, {first}counted from 0 in the order of the split:"
    rows = []
    for one in card.samples.disagreements:
        classes = [_class(card, place) for place in (one.label, one.network, one.file)] if chosen else []
        rows.append([str(one.sample), *classes, f"{one.difference:.4g}"])
    names = (inputs.removesuffix("s"), *(("class", "network", "file") if chosen else ()), "difference")
    return [
        told,
        table(names, rows),
        _picture(card, thumbnails, thumbnails_said(card)) or _no_thumbnails(card),
    ]


def _no_thumbnails(card: Card) -> str:
    if can_be_seen(card.input_shape):
        return "Thumbnails of them were left out."
    size = shape_said(tuple(card.input_shape))
    return f"There are no thumbnails of them: inputs of {size} are no pictures of one or three colours."


def confusions(card: Card, picture: str) -> list[str]:
    """Returns which classes the file takes for which, and their picture, or why there is none.

    Args:
        card: of an export; older ones say nothing of samples.
        picture: name of the picture's file.
    """
    if card.samples is None:
        return []
    return [
        "## Which classes it takes for which",
        _picture(card, picture, confusion_said(card)) or _no_matrix(card),
        _most_confused(card),
    ]


def _no_matrix(card: Card) -> str:
    if card.numbers:
        return "Outputs are numbers: there are no classes that could be confused."
    if card.classes is not None and len(card.classes) > MOST_CLASSES:
        return (
            f"There is no picture of {len(card.classes):,} classes beside each other: of more than "
            f"{MOST_CLASSES} none could be read."
        )
    return (
        "Outputs do not choose one class a sample, so that there is no picture of which is taken for which."
    )


def _most_confused(card: Card) -> str:
    said = [_times(card, one) for one in card.samples.confusions] if card.samples is not None else []
    return f"Most often it takes {', '.join(said)}." if said else ""


def _times(card: Card, one: Confusion) -> str:
    times = {1: "once", 2: "twice"}.get(one.count, f"{one.count:,} times")
    return f"{_class(card, one.label)} for {_class(card, one.file)} ({times})"


def confusion_said(card: Card) -> str:
    """Returns what the picture of a confusion matrix shows, for those who do not see it."""
    matrix = card.samples.matrix if card.samples is not None else None
    right = sum(row[place] for place, row in enumerate(matrix or []))
    total = sum(map(sum, matrix or []))
    return (
        f"Confusion matrix of the file over {total:,} validation {inputs_said(card)}: classes in rows, what "
        f"the file takes them for in columns; {right:,} are right"
    )


def thumbnails_said(card: Card) -> str:
    """Returns what the thumbnails show, for those who do not see them."""
    worst = card.samples.disagreements if card.samples is not None else []
    places = ", ".join(str(one.sample) for one in worst)
    return f"The validation images on which file and network are furthest apart: {places}"


def name_of(card: Card, place: int) -> str:
    """Returns the name of a class, its number where the card names none."""
    names = card.classes or []
    return names[place] if place < len(names) else str(place)


def _class(card: Card, place: int | None) -> str:
    return "" if place is None else markdown_code(name_of(card, place))


def _picture(card: Card, file: str, words: str) -> str:
    return f"![{markdown(words)}]({file})" if file in card.files else ""
