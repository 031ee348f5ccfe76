"""The tensor arena that LiteRT Micro needs for a file: the plan of its tensors, and an estimate of the rest.

Tensors: the lifetimes and the greedy placement of the runtime's own planner, over the sizes in the file, each
rounded up to 16 bytes (tflite-micro, `memory_planner/greedy_memory_planner.cc` and
`micro_allocation_info.cc`). That part is exact for a runtime that keeps to it.

The rest is an estimate for 32-bit targets: what the runtime keeps for every tensor and operator, the integer
multipliers of every output channel, and the largest scratch of one kernel. `arena_used_bytes()` of the
interpreter tells what a build really takes.
"""

from dataclasses import dataclass
from math import prod

from ...hw_models.tables.tflite_file import TfliteFile
from ..litert.inspect import TensorRow, rows_of

ALIGNMENT = 16  # bytes; MicroArenaBufferAlignment
#: per tensor: TfLiteEvalTensor (data, dims, type); sizeof on a 32-bit target
_TENSOR_BYTES = 12
#: per operator: TfLiteNode and its registration (48), options (32) and a kernel's own data (64), rounded up
_OPERATOR_BYTES = 144
#: per output channel of a kernel with int8 activations: a multiplier and a shift, int32 each
_CHANNEL_BYTES = 8
#: interpreter, allocators, planner and the two TfLiteTensor of input and output
_FIXED_BYTES = 1024
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True)
class Arena:
    """Bytes of a tensor arena.

    Args:
        tensor_bytes: the plan of the computed tensors, exact.
        scratch_bytes: largest working memory of one kernel, estimated: integers of fewer than 8 bits spread
            to bytes, and two columns of 16-bit inputs as CMSIS-NN takes for a convolution.
        persistent_bytes: what the runtime keeps, estimated.
    """

    tensor_bytes: int
    scratch_bytes: int
    persistent_bytes: int

    @property
    def bytes(self) -> int:
        """All of it, rounded up to the alignment."""
        return _aligned(self.tensor_bytes + self.scratch_bytes + self.persistent_bytes)


@dataclass(frozen=True)
class Lifetime:
    """A computed tensor: its aligned size in bytes, and the first and last step at which it must be there."""

    size: int
    first: int
    last: int


def tensor_arena(content: bytes) -> Arena:
    """Returns the arena for a file.

    Args:
        content: of a `.tflite` file with static shapes; the graphs of its loops have a plan each.
    """
    tensors, scratch, kept = 0, 0, _FIXED_BYTES
    for graph in TfliteFile.parse(content).graphs:
        rows, channels = rows_of(graph), 0
        for operator in graph.operators:
            if operator.name in _WEIGHTED:
                weight = rows[operator.inputs[1]]
                scratch = max(scratch, _scratch_bytes(operator.name, weight))
                quantized = rows[operator.outputs[0]].dtype == "int8"
                channels += weight.shape[3 if operator.name == "DEPTHWISE_CONV_2D" else 0] if quantized else 0
        kept += _TENSOR_BYTES * len(rows) + _OPERATOR_BYTES * len(graph.operators) + _CHANNEL_BYTES * channels
        tensors += greedy_plan(lifetimes(graph))
    return Arena(tensors, scratch, kept)


def _scratch_bytes(name: str, weight: TensorRow) -> int:
    elements = prod(weight.shape)
    spread = elements if weight.dtype in ("int4", "int2") else 0
    columns = 2 * 2 * (elements // weight.shape[0]) if name == "CONV_2D" and weight.dtype != "float32" else 0
    return spread + columns


def lifetimes(file: TfliteFile) -> list[Lifetime]:
    """Returns the computed tensors of a graph: the input is there from step 0, operators are steps 1, 2, …"""
    first = dict.fromkeys(file.inputs, 0)
    last = dict(first)
    for step, operator in enumerate(file.operators, 1):
        for index in operator.outputs:
            first.setdefault(index, step)
            last[index] = step
        last.update({index: step for index in operator.inputs if index in first})
    last.update(dict.fromkeys(file.outputs, len(file.operators)))
    return [Lifetime(_aligned(file.tensors[index].bytes), first[index], last[index]) for index in first]


def greedy_plan(tensors: list[Lifetime]) -> int:
    """Returns the bytes that the placement takes: largest first, each into the first gap that is free."""
    placed: list[tuple[int, Lifetime]] = []
    for tensor in sorted(tensors, key=lambda tensor: -tensor.size):
        offset = 0
        for start, other in sorted(placed, key=lambda entry: entry[0]):
            if other.first > tensor.last or other.last < tensor.first:
                continue
            if start - offset >= tensor.size:
                break
            offset = max(offset, start + other.size)
        placed.append((offset, tensor))
    return max((offset + tensor.size for offset, tensor in placed), default=0)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
