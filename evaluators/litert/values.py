"""Values of a network while it is lowered: which tensor holds one, and in which form."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
from torch import Tensor

from ...spaces.errors import AtollError
from ...spaces.layers.activation_grid import ActivationGrid
from . import operators
from .tensors import TensorGrid
from .weights import to_numpy
from .writer import TfliteModel


@dataclass(frozen=True)
class LoweredValue:
    """One value of the network, without the batch.

    Args:
        index: tensor that holds it; its shape may differ, its values are in the order of ``shape``.
        shape: (height, width, channels) or (features,).
        unflattened: (height, width, channels) where torch flattened channels first but the tensor still lies
            channels last; the reader permutes.
        non_negative: whether no value is below 0.
        constant: its values in torch's order where the file holds them; whoever reads it adds the tensor.
        grid: that of a constant, None for float.
    """

    index: int
    shape: tuple[int, ...]
    unflattened: tuple[int, ...] | None = None
    non_negative: bool = False
    constant: np.ndarray | None = None
    grid: TensorGrid | None = None


@dataclass
class Workbench:
    """The file under construction, and the moves between float and int8 that every operation may need."""

    model: TfliteModel = field(default_factory=TfliteModel)
    _grids: dict[int, TensorGrid] = field(default_factory=dict)

    def grid(self, module: ActivationGrid | None) -> TensorGrid | None:
        """The grid of an activation grid module, the same object every time; None for None.

        Raises:
            AtollError: the grid has not 8 bits.
        """
        if module is None:
            return None
        if module.bits != 8:
            raise AtollError(f"an activation grid of {module.bits} bits cannot ship in LiteRT; allowed is 8")
        if id(module) not in self._grids:
            self._grids[id(module)] = TensorGrid(*module.scale_and_zero_point())
        return self._grids[id(module)]

    def grid_of(self, value: LoweredValue) -> TensorGrid | None:
        """The int8 grid that a value is on, None for float."""
        if value.constant is not None:
            return value.grid
        return self.model.tensors[value.index].grid

    def constant(self, values: Tensor, grid: ActivationGrid | None) -> LoweredValue:
        """A value that the file holds, on its grid.

        Args:
            values: without the batch, channels first.
            grid: None for float.
        """
        found = to_numpy(values if grid is None else grid.rounded(values))
        return LoweredValue(-1, tuple(found.shape), constant=found, grid=self.grid(grid))

    def to_float(self, value: LoweredValue) -> LoweredValue:
        """The value as float32."""
        if self.grid_of(value) is None:
            return value
        if value.constant is not None:
            return replace(value, grid=None)
        return replace(value, index=operators.dequantize(self.model, value.index))

    def on_grid(self, value: LoweredValue, grid: TensorGrid | None) -> LoweredValue:
        """The value as int8 on ``grid``; unchanged for None.

        Grids are told apart by identity: what is written must not depend on trained values.
        """
        if grid is None or self.grid_of(value) is grid:
            return value
        if value.constant is not None:
            return replace(value, grid=grid)
        return replace(value, index=operators.quantize(self.model, value.index, grid))

    def shaped(self, value: LoweredValue, shape: Sequence[int]) -> int:
        """Index of a tensor of that shape with the value's elements in its order; constants keep theirs."""
        if value.constant is not None:
            return self._added(value)
        if self.model.tensors[value.index].shape == tuple(shape):
            return value.index
        return operators.reshape(self.model, value.index, shape)

    def _added(self, value: LoweredValue) -> int:
        """Index of a new constant [1, height, width, channels], or of the shape that it has with a batch."""
        assert value.constant is not None
        values = value.constant[None]
        if values.ndim == 4:
            values = values.transpose(0, 2, 3, 1)
        if value.grid is None:
            return self.model.add_constant(values, "float32")
        integers, point = value.grid.quantize(values), np.array([value.grid.zero_point])
        return self.model.add_constant(integers, "int8", value.grid.scale, zero_points=point)

    def maps(self, value: LoweredValue) -> int:
        """Index of a tensor [1, height, width, channels]."""
        return self.shaped(value, (1, *value.shape))

    def in_torch_order(self, value: LoweredValue) -> LoweredValue:
        """The value with a pending channels-first flattening carried out."""
        if value.unflattened is None:
            return value
        maps = self.shaped(value, (1, *value.unflattened))
        return LoweredValue(operators.transpose(self.model, maps, (0, 3, 1, 2)), (prod(value.shape),))


def channels_first_order(shape: tuple[int, ...]) -> np.ndarray:
    """For (height, width, channels): where each element, channels last, lies in torch's flattening."""
    height, width, channels = shape
    return np.arange(prod(shape)).reshape(channels, height, width).transpose(1, 2, 0).reshape(-1)
