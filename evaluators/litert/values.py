"""Values of a network while it is lowered: which tensor holds one, and in which form."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
from torch import Tensor

from ...spaces.errors import AtollError
from ...spaces.graph.axis_order import Order, alike, in_torch_s, laid_out, transposition, usual
from ...spaces.layers.activation_grid import ActivationGrid
from . import operators
from .operators_moving import reshape, transpose
from .tensors import TensorGrid
from .weights import to_numpy
from .writer import TfliteModel


@dataclass(frozen=True)
class LoweredValue:
    """One value of the network, without the batch.

    Args:
        index: tensor that holds it; its shape may differ, its values are in the order of ``shape``.
        shape: in the order of the file: (height, width, channels), (features,), (positions, features), ….
        unflattened: (height, width, channels) where torch flattened channels first but the tensor still lies
            channels last; the reader permutes.
        constant: its values in torch's order where the file holds them; whoever reads it adds the tensor.
        grid: that of a constant, None for float.
        axes: the order in which its axes lie (`spaces.graph.axis_order`), None for the usual one.
    """

    index: int
    shape: tuple[int, ...]
    unflattened: tuple[int, ...] | None = None
    constant: np.ndarray | None = None
    grid: TensorGrid | None = None
    axes: Order | None = None

    @property
    def order(self) -> Order:
        """The order in which its axes lie."""
        return usual(len(self.shape)) if self.axes is None else self.axes

    @property
    def torch_shape(self) -> tuple[int, ...]:
        """Its shape in torch's order, without the batch."""
        return in_torch_s(self.shape, self.order)


@dataclass
class Workbench:
    """The file under construction, and the moves between float and int8 that every operation may need."""

    model: TfliteModel = field(default_factory=TfliteModel)
    #: values of the network that are never negative
    positive: set[str] = field(default_factory=set)
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
        shape = laid_out(found.shape, usual(found.ndim))
        return LoweredValue(-1, shape, constant=found, grid=self.grid(grid))

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
        return reshape(self.model, value.index, shape)

    def _added(self, value: LoweredValue) -> int:
        """Index of a new constant with a batch, its axes in their order."""
        assert value.constant is not None
        values = value.constant.transpose(value.order)[None]
        if value.grid is None:
            return self.model.add_constant(values, "float32")
        integers, point = value.grid.quantize(values), np.array([value.grid.zero_point])
        return self.model.add_constant(integers, "int8", value.grid.scale, zero_points=point)

    def maps(self, value: LoweredValue) -> int:
        """Index of a tensor [1, height, width, channels]; with fewer axes the first ones are 1."""
        return self.shaped(value, (*[1] * (4 - len(value.shape)), *value.shape))

    def in_order(self, value: LoweredValue, order: Order) -> LoweredValue:
        """The value with its axes in an order."""
        shape = value.torch_shape
        index = value.index
        if value.constant is None and not alike(shape, value.order, order):
            sizes, axes = transposition(shape, value.order, order)
            index = transpose(self.model, self.shaped(value, sizes), axes)
        return replace(value, index=index, shape=laid_out(shape, order), axes=order)

    def in_torch_order(self, value: LoweredValue) -> LoweredValue:
        """The value with a pending channels-first flattening carried out."""
        if value.unflattened is None:
            return value
        maps = self.shaped(value, (1, *value.unflattened))
        return LoweredValue(transpose(self.model, maps, (0, 3, 1, 2)), (prod(value.shape),))


def channels_first_order(shape: tuple[int, ...]) -> np.ndarray:
    """For (height, width, channels): where each element, channels last, lies in torch's flattening."""
    height, width, channels = shape
    return np.arange(prod(shape)).reshape(channels, height, width).transpose(1, 2, 0).reshape(-1)
