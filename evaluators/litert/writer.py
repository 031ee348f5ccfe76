"""A small graph of tensors and operators that becomes a ``.tflite`` file.

Trained integers, scales and zero points go into the file as they are; nothing is calibrated or re-derived.
Static shapes, channels last, batch 1; one subgraph, and two more for every loop.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...spaces.errors import AtollError
from .file_model import FileModel, OperatorEntry, TensorEntry
from .flatbuffer import pack
from .tensors import TensorGrid, pack_elements


class TfliteModel(FileModel):
    """A model in the making: each tensor and operator is added where it is known."""

    def _append(self, entry: TensorEntry) -> int:
        self.tensors.append(entry)
        return len(self.tensors) - 1

    def add_activation(
        self, shape: Sequence[int], grid: TensorGrid | None = None, name: str | None = None
    ) -> int:
        """Adds a computed tensor, float32 or int8 on ``grid``; returns its index."""
        dtype = "float32" if grid is None else "int8"
        return self._append(TensorEntry(tuple(int(size) for size in shape), dtype, grid=grid, name=name))

    def add_condition(self, shape: Sequence[int]) -> int:
        """Adds a computed tensor of truth values; returns its index."""
        return self._append(TensorEntry(tuple(int(size) for size in shape), "bool"))

    def add_count(self) -> int:
        """Adds a computed whole number; returns its index."""
        return self._append(TensorEntry((1,), "int32"))

    def add_input(self, shape: Sequence[int], grid: TensorGrid | None = None, name: str | None = None) -> int:
        """Adds a graph input, float32 or int8 on ``grid``, named only if asked; returns its index."""
        self.inputs.append(self.add_activation(shape, grid, name))
        return self.inputs[-1]

    def add_constant(
        self,
        values: np.ndarray,
        dtype: str,
        scales: np.ndarray | float | None = None,
        channel_axis: int = 0,
        structural: bool = False,
        name: str | None = None,
        zero_points: np.ndarray | None = None,
    ) -> int:
        """Adds a constant; returns its index.

        Args:
            values: integers for integer types; nothing is rounded or clipped.
            dtype: a key of ``TENSOR_TYPES``.
            scales: one step, or one per channel along ``channel_axis``, > 0.
            channel_axis: axis of the channels.
            structural: whether the values follow from the graph alone: equal ones are one, if without scales.
            name: written only if given.
            zero_points: the integers that mean 0, one per scale; all 0 if None.

        Raises:
            AtollError: values do not fit the type, or scales or zero points do not fit the shape.
        """
        values = np.asarray(values)
        steps = None
        if scales is not None:
            steps = np.atleast_1d(np.asarray(scales, np.float32))
            if not (np.isfinite(steps).all() and (steps > 0).all()):
                raise AtollError("a scale must be finite and greater than 0")
            if steps.size not in (1, values.shape[channel_axis]):
                raise AtollError(
                    f"{steps.size} scales for axis {channel_axis} of a tensor of shape {values.shape}: "
                    f"allowed are 1 or {values.shape[channel_axis]}"
                )
        if zero_points is not None and (steps is None or np.size(zero_points) != steps.size):
            raise AtollError(f"{np.size(zero_points)} zero points: allowed is one for every scale")
        data = pack_elements(values, dtype)
        if structural and steps is None:
            for index, known in enumerate(self.tensors):
                if known.structural and (known.dtype, known.shape, known.data) == (dtype, values.shape, data):
                    return index
        entry = TensorEntry(
            values.shape, dtype, data, None, steps, channel_axis, structural, name, zero_points
        )
        return self._append(entry)

    def add_index(self, values: Sequence[int] | np.ndarray) -> int:
        """Adds an int32 constant that steers an operator (axes, shape, paddings); equal ones are one."""
        return self.add_constant(np.asarray(values), "int32", structural=True)

    def add_operator(
        self,
        builtin: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        version: int | None = None,
        options: str | None = None,
        **settings: Any,
    ) -> None:
        """Appends an operator.

        Args:
            builtin: name in the schema's BuiltinOperator, e.g. ``CONV_2D``.
            inputs, outputs: tensor indices.
            version: runtimes older than it refuse the file; None for that of LiteRT's rules.
            options: name of the options table without "Options", e.g. ``Conv2D``.
            settings: its members in the schema's camelCase.
        """
        self.operators.append(
            OperatorEntry(builtin, version, tuple(inputs), tuple(outputs), options, settings)
        )

    def to_bytes(self) -> bytes:
        """The bytes of the file; the same model always gives the same bytes."""
        return pack(self)
