"""Operations as the papers count them, beside those of contractions, which they leave out."""

from dataclasses import dataclass
from typing import Self

from .layer_table import LayerTable

_WEIGHTED = ("conv", "pointwise", "depthwise", "dense")


@dataclass(frozen=True)
class FlopCount:
    """Floating-point operations of one image.

    Args:
        published: by the rule that gives the printed 66.44 MFLOP of PUB-I's baseline (66,438,603) and the
            64.34 of every tensor train of PUB-II (64,341,387): two a multiply-accumulate, one addition an
            output of every convolution and dense layer (the converter adds biases), two an element of a
            normalisation that no layer takes in. LiteRT's converter counts 66.422 for the baseline: there the
            last normalisation's addition, 16,384 elements, goes into the bias of the dense layer behind it.
        contractions: two a multiply-accumulate of a tensor train.
    """

    published: int
    contractions: int

    @classmethod
    def of(cls, table: LayerTable) -> Self:
        """Counts a network."""
        weighted = table.total(lambda cost: 2 * cost.macs + cost.output_elements, *_WEIGHTED)
        norms = table.total(lambda cost: 2 * cost.output_elements, "norm")
        contractions = table.total(lambda cost: 2 * cost.macs, "contraction")
        return cls(int(weighted + norms), int(contractions))

    def __str__(self) -> str:
        text = f"{self.published / 1e6:.2f} MFLOP"
        if not self.contractions:
            return text
        return f"{text} as the papers count, {self.contractions / 1e6:.2f} more in tensor-train contractions"
