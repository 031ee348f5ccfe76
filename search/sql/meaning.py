"""What a column means: a sentence, its unit, and how its values came about."""

from dataclasses import dataclass
from typing import Literal, get_args

from ...evaluators.ranking.figure import Figure, Kind
from ...evaluators.ranking.figures import FIGURES

#: as for figures; told: neither, but a name, a setting or a record of what happened
ColumnKind = Literal[Kind, "told"]
KINDS: tuple[str, ...] = (*get_args(Kind), "told")
#: unit of what is in the unit of the task's quality
OF_QUALITY = "quality's"
#: units as a comment writes them, where the form of a figure has none or another word
_UNITS = {
    "B": "bytes",
    "s": "seconds",
    "MAC": "multiply-accumulates of one sample",
    "": "count",
    "x": "times",
}
_ENDS = ("lower", "upper")


@dataclass(frozen=True)
class Meaning:
    """What a column holds.

    Args:
        text: a sentence without its full stop.
        unit: of a number or a moment; "" where there is none.
        kind: how the values came about.
    """

    text: str
    unit: str = ""
    kind: ColumnKind = "told"

    def __str__(self) -> str:
        """The comment: the sentence, and in brackets unit and kind.

        >>> str(Meaning("what must be stored", "bytes", "measured")), str(Meaning("name of the study"))
        ('what must be stored [bytes, measured]', 'name of the study')
        """
        said = ", ".join(part for part in (self.unit, self.kind if self.kind != "told" else "") if part)
        return f"{self.text} [{said}]" if said else self.text


def of_figures(texts: dict[str, str]) -> dict[str, Meaning]:
    """Returns the meaning of every column of the figures, ends of intervals and statuses among them.

    Args:
        texts: a sentence for each figure, by its name.

    Raises:
        KeyError: a figure has no sentence.
    """
    found: dict[str, Meaning] = {}
    for figure in FIGURES:
        unit = _unit(figure)
        found[figure.name] = Meaning(texts[figure.name], unit, figure.kind)
        for name, end in zip(figure.ends, _ENDS, strict=False):
            found[name] = Meaning(f"{end} end of the interval of {figure.name}", unit, figure.kind)
        if figure.of_device:
            found[figure.status] = Meaning(
                f"how well measurements cover {figure.name}: interpolated, extrapolated, unknown operation; "
                "or compiler estimate, with nothing measured"
            )
    return found


def _unit(figure: Figure) -> str:
    if figure.of_quality:
        return OF_QUALITY
    return _UNITS.get(figure.exact.unit, figure.exact.unit)
