"""A convolution written as a chain of smaller convolutions."""

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from ..kernels.calibration import Method
from .activation_grid import ActivationGrid
from .conv import Window
from .cost import OperationCost
from .factor import Factor
from .layer import Layer, keep_bias, new_bias, stage_spec
from .transposed_conv import TransposedWindow

AnyWindow = Window | TransposedWindow


class ConvChain(Layer):
    """y = (W_n * ... * (W_1 * x)) + b: what Tucker-2, CP and tensor train of a kernel are, transposed or not.

    The first stage reads the inputs and the last makes the outputs, each with all channels at once, so that
    channels are removed by slicing and a normalisation folds into the last stage. At most one stage has more
    than one row and at most one more than one column: with the windows side by side the chain is exactly the
    convolution by `dense_weight`, zeros around the maps included, since only the last stage has a bias.

    Args:
        stages: (out, in / groups, window) in the order of computation.
        bias: whether there is one behind the last stage.
    """

    type_name = "conv_chain"
    decomposed = True

    def __init__(
        self,
        stages: Sequence[tuple[int, int, AnyWindow]],
        bias: bool = True,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self.windows = tuple(window for _, _, window in stages)
        self.stages = nn.ModuleList(
            Factor((outputs, inputs, *window.size), device=device) for outputs, inputs, window in stages
        )
        self.bias = new_bias(bias, stages[-1][0], device)
        #: grids between the stages; empty where activations are float
        self.stage_grids = nn.ModuleList()

    @property
    def inputs(self) -> int:
        return self._stages[0].shape[1] * self.windows[0].groups

    @property
    def outputs(self) -> int:
        return self._stages[-1].shape[0]

    @property
    def _stages(self) -> list[Factor]:
        return [stage for stage in self.stages if isinstance(stage, Factor)]

    def factors(self) -> dict[str, Factor]:
        return {f"stages.{k}": stage for k, stage in enumerate(self._stages)}

    def steps(self) -> list[tuple[AnyWindow, Factor, nn.Parameter | None, ActivationGrid | None]]:
        """Returns (window, factor, bias, grid behind it) of every stage in the order of computation.

        The grid behind the last one is the layer's own, not given here.
        """
        biases = [*[None] * (len(self.stages) - 1), self.bias]
        found = [grid for grid in self.stage_grids if isinstance(grid, ActivationGrid)]
        grids = [*found, *[None] * (len(self.stages) - len(found))]
        return list(zip(self.windows, self._stages, biases, grids, strict=True))

    def compute(self, x: Tensor) -> Tensor:
        for window, factor, bias, grid in self.steps():
            x = window.convolve(x, factor(), bias)
            x = x if grid is None else grid(x)
        return x

    # Structure --------------------------------------------------------------------------------------

    def set_stages(self, weights: Sequence[Tensor]) -> None:
        """Fills unconstrained factors from weights [out, in / groups, kh, kw] of the factors' shapes."""
        for factor, weight in zip(self._stages, weights, strict=True):
            factor.set(weight.reshape(factor.shape).contiguous())  # as rebuilt: rounding follows the order

    def dense_weight(self) -> Tensor:
        """Returns the kernel [out, in, kh, kw] that the layer stands for."""
        whole = self._stages[0].effective()
        for factor, window in zip(self._stages[1:], self.windows[1:], strict=True):
            whole = _behind(whole, factor.effective(), window.groups)
        return whole

    def output_rows(self) -> Tensor:
        return self.dense_weight()

    def keep_outputs(self, index: Tensor) -> None:
        self._stages[-1].keep(0, index)
        self.bias = keep_bias(self.bias, index)

    def keep_inputs(self, index: Tensor) -> None:
        self._stages[0].keep(1, index)

    def grid_stages(self, bits: int, calibration: Method = "min_max") -> None:
        """Puts a grid behind every stage but the last, whose output the layer's own grid rounds."""
        device = self._stages[0].device
        self.stage_grids = nn.ModuleList(
            ActivationGrid(bits, device=device, calibration=calibration) for _ in self._stages[1:]
        )

    # Cost -------------------------------------------------------------------------------------------

    def costs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> list[OperationCost]:
        shape, found = input_shape, []
        for window, factor, bias, _ in self.steps():
            after = window.output_shape(factor.shape[0], *shape[1:])
            biases = 0 if bias is None else self.outputs
            bits = self.activation_bits
            found.append(window.cost(factor, biases, shape, after, bits, self.dynamic))
            shape = after
        return found

    def body_spec(self) -> dict[str, Any]:
        stages = [
            {"outputs": factor.shape[0], "inputs": factor.shape[1], **window.to_json()}
            for factor, window in zip(self._stages, self.windows, strict=True)
        ]
        return {"stages": stages, "bias": self.bias is not None, **stage_spec(self.stage_grids)}

    @classmethod
    def from_body(cls, spec: dict[str, Any], device: torch.device) -> Self:
        stages = [(stage["outputs"], stage["inputs"], _window(stage)) for stage in spec["stages"]]
        layer = cls(stages, bias=spec["bias"], device=device)
        layer.grid_stages_as(spec)
        return layer


def _window(stored: dict[str, Any]) -> AnyWindow:
    """Reads the window of a stage, of which a transposed one says what it leaves on."""
    return TransposedWindow.from_json(stored) if "more" in stored else Window.from_json(stored)


def _behind(first: Tensor, second: Tensor, groups: int) -> Tensor:
    """Returns the kernel [s, i, kh, kw] of one convolution [r, i, ...] behind another [s, r / groups, ...].

    Its size is the product of theirs, which is their sum where one of the two is 1 along each axis.
    """
    if groups > 1:  # each channel by itself, [r, 1, kh, kw]
        both = second[:, 0, None, :, :, None, None] * first[:, :, None, None, :, :]  # s i kh kw kh' kw'
        both = both.permute(0, 1, 2, 4, 3, 5)
    else:
        both = torch.tensordot(second, first, dims=([1], [0])).permute(0, 3, 1, 4, 2, 5)
    outputs, inputs, tall, tall_too, wide, wide_too = both.shape
    return both.reshape(outputs, inputs, tall * tall_too, wide * wide_too)
