"""What the layers have in common whose one weight has the outputs first and the inputs second."""

from torch import Tensor

from .factor import Factor
from .layer import Layer, keep_bias


class OneWeight(Layer):
    """A layer of one weight [out, in, ...], or [out, in / groups, ...], beside a bias or none."""

    weight: Factor

    @property
    def inputs(self) -> int:
        return self.weight.shape[1]

    @property
    def outputs(self) -> int:
        return self.weight.shape[0]

    def factors(self) -> dict[str, Factor]:
        return {"weight": self.weight}

    def output_rows(self) -> Tensor:
        return self.weight.effective()

    def keep_outputs(self, index: Tensor) -> None:
        self.weight.keep(0, index)
        self.bias = keep_bias(self.bias, index)

    def keep_inputs(self, index: Tensor) -> None:
        self.weight.keep(1, index)
