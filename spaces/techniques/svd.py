"""Singular value decomposition of dense layers."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..decomposition.decomposable import unsuited_dense
from ..decomposition.decomposition import Decomposition, fit_steps_setting, max_error_setting, start_setting
from ..layers.layer import Layer
from ..layers.tt_dense import TTDense
from ..technique.domains import Int, OrWord
from ..technique.technique import layers_setting, setting


@dataclass(frozen=True)
class SVD(Decomposition):
    """Writes a large dense layer as two: inputs to `rank` features, these to the outputs."""

    name: ClassVar[str] = "svd"
    version: ClassVar[int] = 1
    stage: ClassVar = "structure"
    source: ClassVar[str] = "THESIS eqs. 6-9; Denton et al. 2014; Eckart and Young 1936"

    rank: int | str = setting(
        8,
        OrWord("auto", Int(1, 512, (16, 8, 4)), (16, 8, 4)),
        "own choice: an eighth of the weights of PUB-II's layer, 16384 to 64",
        shown=True,
    )
    fit_steps: int = fit_steps_setting()
    max_error: float = max_error_setting()
    start: str = start_setting()
    layers: str = layers_setting()

    def unsuited(self, layer: Layer) -> str | None:
        return unsuited_dense(layer)

    def factored(self, layer: Layer, weight: Tensor) -> Layer:
        rank = None if isinstance(self.rank, str) else self.rank
        modes = (1, layer.inputs), (layer.outputs, 1)
        return TTDense.of(weight, rank, *modes, max_error=self.max_error)
