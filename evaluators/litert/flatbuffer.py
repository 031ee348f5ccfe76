"""The bytes of a ``.tflite`` file: tables of the LiteRT schema, everything equal stored once.

The schema's own object API writes each tensor's shape, scales and options anew and leaves buffers unaligned.
Here equal vectors and tables are shared (a flatbuffer is a graph of offsets, so readers do not notice), data
buffers keep the 16-byte alignment that the schema asks for (``force_align: 16``), and nothing that no runtime
needs is written: no names, no description, no metadata, no signatures. Same input, same bytes.

What is shared never depends on trained values (weights, biases, scales, zero points), so a network without
values, on the meta device, gives a file of exactly the size that the trained one will have.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder
from flatbuffers import number_types as flags

if TYPE_CHECKING:
    from .writer import TensorEntry, TfliteModel

SCHEMA_VERSION = 3  # the only version that LiteRT loads
FILE_IDENTIFIER = b"TFL3"  # `file_identifier` of the schema
BUFFER_ALIGNMENT = 16  # bytes; `Buffer.data (force_align: 16)` of the schema


class SharedBuilder:
    """A flatbuffer builder that writes equal vectors and tables once."""

    def __init__(self) -> None:
        self.builder = Builder(4096)
        self._written: dict[Any, int] = {}

    def once(self, key: Any, write: Callable[[], int]) -> int:
        """Offset of whatever ``write`` writes; a second call with an equal ``key`` gives the first offset."""
        if key not in self._written:
            self._written[key] = write()
        return self._written[key]

    def vector(
        self,
        values: Sequence[int | float] | np.ndarray,
        dtype: type,
        alignment: int = 0,
        token: object = None,
    ) -> int:
        """Offset of a vector of scalars.

        Args:
            values: any length.
            dtype: numpy type of one scalar.
            alignment: bytes, at least the scalar's own width is kept.
            token: what makes two vectors the same; their values if None.
        """
        array: np.ndarray = np.ascontiguousarray(values, dtype).reshape(-1)
        data, width = array.tobytes(), array.itemsize

        def write() -> int:
            self.builder.StartVector(width, array.size, max(width, alignment))
            head = self.builder.Head() - len(data)
            self.builder.head = flags.UOffsetTFlags.py_type(head)
            self.builder.Bytes[head : head + len(data)] = data
            return self.builder.EndVector()

        return self.once((array.dtype.str, alignment, data if token is None else token), write)

    def offsets(self, items: Sequence[int]) -> int:
        """Offset of a vector of tables or strings."""
        self.builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            self.builder.PrependUOffsetTRelative(item)
        return self.builder.EndVector()

    def table(self, name: str, **fields: Any) -> int:
        """Offset of a table of the schema; ``fields`` are its CamelCase members, None leaves one out."""

        def write() -> int:
            getattr(schema, f"{name}Start")(self.builder)
            for field, value in fields.items():
                if value is not None:
                    getattr(schema, f"{name}Add{field}")(self.builder, value)
            return getattr(schema, f"{name}End")(self.builder)

        return self.once((name, tuple(fields.items())), write)


def pack(model: "TfliteModel") -> bytes:
    """Bytes of the file for ``model``; equal models give equal bytes."""
    shared = SharedBuilder()
    # The first buffer is empty by convention: it is the one of tensors that are computed.
    buffers: list[int] = [shared.table("Buffer")]
    buffer_index: dict[bytes | int, int] = {b"": 0}
    tensors = []
    for tensor in model.tensors:
        key = tensor.data if tensor.structural or not tensor.data else id(tensor)
        if key not in buffer_index:
            data = np.frombuffer(tensor.data, np.uint8)
            buffer_index[key] = len(buffers)
            buffers.append(shared.table("Buffer", Data=shared.vector(data, np.uint8, BUFFER_ALIGNMENT, key)))
        # Two computed tensors may look alike and still be two entries: entries may share one table.
        tensors.append(
            shared.table(
                "Tensor",
                Shape=shared.vector(tensor.shape, np.int32),
                Buffer=buffer_index[key],
                Name=_name(shared, tensor.name),
                Quantization=_quantization(shared, tensor),
                Type=tensor.type_code,
            )
        )

    codes: dict[tuple[int, int], int] = {}
    operators = []
    for operator in model.operators:
        code = codes.setdefault((operator.code, operator.version), len(codes))
        options = None if operator.options is None else _options(shared, operator.options, operator.settings)
        operators.append(
            shared.table(
                "Operator",
                OpcodeIndex=code,
                Inputs=shared.vector(operator.inputs, np.int32),
                Outputs=shared.vector(operator.outputs, np.int32),
                BuiltinOptions=options,
                BuiltinOptionsType=operator.options_code if options is not None else None,
            )
        )
    operator_codes = [
        shared.table("OperatorCode", BuiltinCode=code, Version=version, DeprecatedBuiltinCode=code)
        for code, version in codes
    ]
    subgraph = shared.table(
        "SubGraph",
        Tensors=shared.offsets(tensors),
        Inputs=shared.vector(model.inputs, np.int32),
        Outputs=shared.vector(model.outputs, np.int32),
        Operators=shared.offsets(operators),
    )
    root = shared.table(
        "Model",
        Version=SCHEMA_VERSION,
        OperatorCodes=shared.offsets(operator_codes),
        Subgraphs=shared.offsets([subgraph]),
        Buffers=shared.offsets(buffers),
    )
    shared.builder.Finish(root, file_identifier=FILE_IDENTIFIER)
    return bytes(shared.builder.Output())


def _name(shared: SharedBuilder, name: str | None) -> int | None:
    """Offset of a tensor's name, None where it has none."""
    return None if name is None else shared.once(("name", name), partial(shared.builder.CreateString, name))


def _options(shared: SharedBuilder, name: str, settings: dict[str, Any]) -> int:
    """Offset of an operator's options table; lists in it share their vectors with equal ones elsewhere."""
    fields = {
        key[0].upper() + key[1:]: shared.vector(value, np.int32) if isinstance(value, list) else value
        for key, value in settings.items()
    }
    return shared.table(f"{name}Options", **fields)


def _quantization(shared: SharedBuilder, tensor: "TensorEntry") -> int | None:
    """Offset of a tensor's scales and zero points, None for tensors without."""
    if tensor.grid is not None:
        # Operators that only move values hand on the grid itself: one table for all of them.
        token = id(tensor.grid)
        scales = shared.vector([tensor.grid.scale], np.float32, token=token)
        points = shared.vector([tensor.grid.zero_point], np.int64, token=token)
    elif tensor.scales is not None:
        scales = shared.vector(tensor.scales, np.float32, token=id(tensor))
        if tensor.zero_points is None:
            points = shared.vector([0] * len(tensor.scales), np.int64)
        else:
            points = shared.vector(tensor.zero_points, np.int64, token=id(tensor))
    else:
        return None
    axis = tensor.channel_axis
    return shared.table("QuantizationParameters", Scale=scales, ZeroPoint=points, QuantizedDimension=axis)
