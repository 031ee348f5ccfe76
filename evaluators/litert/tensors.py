"""Tensor types of a ``.tflite`` file: their schema codes, numpy carriers and dense storage."""

from dataclasses import dataclass

import numpy as np

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names

# name -> (TensorType code of the LiteRT schema, bits an element, numpy type that carries one element)
TENSOR_TYPES: dict[str, tuple[int, int, type]] = {
    "float32": (0, 32, np.float32),
    "float16": (1, 16, np.float16),
    "int32": (2, 32, np.int32),
    "bool": (6, 8, np.bool_),
    "int64": (4, 64, np.int64),
    "int16": (7, 16, np.int16),
    "int8": (9, 8, np.int8),
    "int4": (17, 4, np.int8),
    "int2": (19, 2, np.int8),
}
TYPE_NAMES = {code: name for name, (code, _, _) in TENSOR_TYPES.items()}


@dataclass(frozen=True)
class TensorGrid:
    """A uniform integer grid for one activation tensor: real value = scale * (integer - zero_point).

    Args:
        scale: step, > 0.
        zero_point: the integer that means 0, in [-128, 127] for int8.
    """

    scale: float
    zero_point: int = 0

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Nearest int8 of real ``values`` (half to even, as the runtime's QUANTIZE rounds)."""
        steps = np.rint(np.asarray(values, np.float32) / np.float32(self.scale)) + self.zero_point
        return np.clip(steps, -128, 127).astype(np.int8)

    def dequantize(self, integers: np.ndarray) -> np.ndarray:
        """Real values of int8 ``integers``, float32."""
        return (integers.astype(np.float32) - self.zero_point) * np.float32(self.scale)


def type_row(dtype: str) -> tuple[int, int, type]:
    """(schema code, bits, numpy type) of a tensor type name; raises AtollError for unknown names."""
    if dtype not in TENSOR_TYPES:
        raise AtollError(f"unknown tensor type {dtype!r}; {known_names(dtype, TENSOR_TYPES)}")
    return TENSOR_TYPES[dtype]


def pack_elements(values: np.ndarray, dtype: str) -> bytes:
    """Stored bytes of ``values`` as ``dtype``, row-major; int4 and int2 densely, the first in the low bits.

    Raises:
        AtollError: a value does not fit the type (nothing is clipped silently).
    """
    _, bits, carrier = type_row(dtype)
    cast: np.ndarray = np.ascontiguousarray(values).astype(carrier)
    if carrier not in (np.float32, np.float16):
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        if not np.array_equal(cast, values) or (cast.size and (cast.min() < low or cast.max() > high)):
            raise AtollError(f"values do not fit {dtype}: allowed are integers from {low} to {high}")
    if bits >= 8:
        return cast.tobytes()
    per_byte = 8 // bits
    codes = np.zeros(-(-cast.size // per_byte) * per_byte, np.uint8)
    codes[: cast.size] = cast.reshape(-1).view(np.uint8) & ((1 << bits) - 1)
    lanes = codes.reshape(-1, per_byte)
    return (
        np.bitwise_or.reduce(lanes << (bits * np.arange(per_byte, dtype=np.uint8)), axis=1)
        .astype(np.uint8)
        .tobytes()
    )


def unpack_elements(data: bytes, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse of ``pack_elements``: an array of ``shape`` in the type's numpy carrier."""
    _, bits, carrier = type_row(dtype)
    if bits >= 8:
        return np.frombuffer(data, carrier).reshape(shape)
    per_byte = 8 // bits
    lanes = np.frombuffer(data, np.uint8)[:, None] >> (bits * np.arange(per_byte, dtype=np.uint8))
    codes = (lanes & ((1 << bits) - 1)).reshape(-1)[: int(np.prod(shape))].astype(np.int8)
    return np.where(codes >= 1 << (bits - 1), codes - (1 << bits), codes).astype(np.int8).reshape(shape)
