"""One figure of an export's card beside what its files give, with the verdict on the two."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ...evaluators.card.card import Card
from ...evaluators.ranking.quality_terms import QualityTerms

Verdict = Literal["same", "differs", "not compared"]

#: another machine's float kernels may round the last bits otherwise
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Checked:
    """One figure of a card.

    Args:
        figure: its place in `card.json`, or what was digested.
        card: what the card says.
        recomputed: what the files give; None where they cannot tell.
        verdict: `not compared` for what only training or a look at the test split tells, for times, and for
            predictions of a device that has another fit here.
        why: a sentence, where the verdict alone does not tell it.
    """

    figure: str
    card: Any
    recomputed: Any
    verdict: Verdict
    why: str = ""

    @classmethod
    def of(cls, figure: str, card: Any, recomputed: Any, least: float = 1.0) -> "Checked":
        """Compares the two; floats within `TOLERANCE` of the card's, or of the least that counts as much."""
        same = card == recomputed
        if isinstance(card, float) and isinstance(recomputed, float):
            same = abs(card - recomputed) <= TOLERANCE * max(least, abs(card))
        return cls(figure, card, recomputed, "same" if same else "differs")

    def to_json(self) -> dict[str, Any]:
        """Returns every field."""
        return asdict(self)


def least_compared(figure: str, card: Card) -> float:
    """Returns what a figure is compared beside at least; a quality that is no share: the baseline's."""
    terms = QualityTerms.of(card.metrics)
    if figure.split(".")[-1] != "quality" or terms.is_share:
        return 1.0
    return float(abs(card.baseline["quality"]))
