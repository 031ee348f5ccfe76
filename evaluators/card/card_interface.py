"""What a card says of what goes into its file, what comes out, and the operators in between."""

from ...spaces.layers.shape import axes_said
from ...spaces.outside.shown import markdown
from .card import Card
from .card_use import classes_said, scaled, table

#: classes whose names a card lists; all stand in card.json
_NAMED = 100


def interface(card: Card) -> list[str]:
    """Returns inputs, outputs, classes and operators of a file; nothing in older cards."""
    if card.interface is None:
        return []
    # several have tables of their own, with the names of the network's code
    ends = {
        "input": [] if card.inputs else card.interface.inputs,
        "output": [] if card.outputs else card.interface.outputs,
    }
    rows = [
        (
            f"{what} {number}",
            "x".join(map(str, end.shape)),
            markdown(end.type),
            "" if end.scale is None else f"{end.scale:.6g}",
            "" if end.zero_point is None else str(end.zero_point),
        )
        for what, several in ends.items()
        for number, end in enumerate(several)
    ]
    operators = [f"{count} {markdown(name)}" for name, count in card.interface.operators.items()]
    return [
        "## Inputs, outputs and operators",
        table(("", "shape, channels last", "type", "scale", "zero point"), rows) if rows else "",
        "" if card.inputs else f"What goes in is {axes_said(card.input_shape)}, {scaled(card)}.",
        classes_said(card.classes or (), _NAMED, "card.json"),
        f"Operators: {', '.join(operators)}.",
    ]
