"""What a ``.tflite`` file holds: tensors and operators as entries, before they are bytes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from .tensors import TensorGrid, type_row


@dataclass(frozen=True, eq=False)
class TensorEntry:
    """One tensor of the file.

    Args:
        shape: static shape.
        dtype: a key of ``TENSOR_TYPES``.
        data: stored bytes of a constant, empty for computed tensors.
        grid: int8 grid of an activation.
        scales: steps of a constant, one or one per channel along ``channel_axis``.
        structural: whether the values follow from the graph alone, so that equal constants may be shared.
        name: written only if given.
        zero_points: the integers of a constant that mean 0, one per scale; all 0 if None.
    """

    shape: tuple[int, ...]
    dtype: str
    data: bytes = b""
    grid: TensorGrid | None = None
    scales: np.ndarray | None = None
    channel_axis: int = 0
    structural: bool = False
    name: str | None = None
    zero_points: np.ndarray | None = None

    @property
    def type_code(self) -> int:
        """The schema's code of the type."""
        return type_row(self.dtype)[0]


@dataclass(frozen=True)
class OperatorEntry:
    """One operator: builtin name, version, tensor indices (-1: an optional input left out), options.

    Args:
        version: None for that of LiteRT's rules (`versions`).
    """

    name: str
    version: int | None
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> int:
        """The schema's code of the operator."""
        return getattr(schema.BuiltinOperator, self.name)

    @property
    def options_code(self) -> int:
        """The schema's code of the options table, 0 for none."""
        return getattr(schema.BuiltinOptions, f"{self.options}Options") if self.options else 0


@dataclass
class FileModel:
    """Tensors and operators in the order of execution, with the indices of the graph's inputs and outputs.

    Args:
        subgraphs: graphs that operators of this one run; they hold none themselves. The first one has the
            number 1: the graph itself is 0.
        drawn: whether integer weights of a plan are drawn, as they may turn out, in place of zeros.
    """

    tensors: list[TensorEntry] = field(default_factory=list)
    operators: list[OperatorEntry] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    subgraphs: "list[FileModel]" = field(default_factory=list)
    drawn: bool = False
