"""The tensor arena that LiteRT Micro needs for a file, counted before anything is trained.

Tensors and scratch are placed as the interpreter's planner does it (`micro_plan`), which is exact. What it
keeps beside them was found by running one file an operator in the interpreter of `micro.TRIED`, with pointers
of 64 bits: a Cortex-M keeps less. Its kernels are the reference ones; CMSIS-NN's ask for other scratch.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from ..tables.tflite_file import FileOperator, TfliteFile
from .micro_plan import Lifetime, aligned, greedy_plan, lifetimes

#: what is claimed is so much more than what is counted (own choice; over 213 files of operators and networks
#: and 22 of the zoo's, what the interpreter recorded and what it needed to begin was at most what is counted)
MARGIN = 0.02
#: interpreter, allocators and planner
_FIXED_BYTES = 512
#: of every tensor, of every operator, and of every graph beside the first, in bytes
_TENSOR_BYTES, _OPERATOR_BYTES, _GRAPH_BYTES = 24, 64, 64
#: of every input and output of the file, and more where it is on a grid
_END_BYTES, _GRID_BYTES = 64, 32
#: of every output channel of a kernel with integers: a multiplier and a shift, int32 each
_CHANNEL_BYTES = 4
#: options and data of a kernel, in bytes; nothing of those that are not here
_KERNEL_BYTES: dict[str, int] = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"), 128),
    **dict.fromkeys(("FULLY_CONNECTED", "STRIDED_SLICE", "BATCH_MATMUL"), 120),
    **dict.fromkeys(("SOFTMAX", "CONCATENATION"), 96),
    **dict.fromkeys(("ADD", "SUB", "AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "PAD", "PADV2"), 80),
    **dict.fromkeys((
        "MUL", "DIV", "ABS", "RSQRT", "RELU", "QUANTIZE", "DEQUANTIZE", "LEAKY_RELU", "GATHER", "RESHAPE",
        "PRELU", "SELECT_V2", "GREATER_EQUAL", "LESS", "WHILE",
    ), 48),
    "MIRROR_PAD": 64,
    "ELU": 272,  # a table of all 8-bit values
    **dict.fromkeys((
        "HARD_SWISH", "LOGISTIC", "TANH", "RELU6", "SPLIT", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR",
        "TRANSPOSE", "MAXIMUM", "MINIMUM",
    ), 32),
}  # fmt: skip
#: a product whose second factor lies the wrong way round keeps a copy of it, and so much more
_TURNED_BYTES = 64
_CONVOLUTIONS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 0}
#: while it plans, before the tensors have their places: of every tensor, and of every one that is placed
_PLANNED_BYTES, _PLACED_BYTES = 32, 48
#: while a kernel is prepared: requests for scratch and the four tensors of a convolution
_PREPARING_BYTES = 704


@dataclass(frozen=True)
class Arena:
    """Bytes of a tensor arena.

    Args:
        tensor_bytes: the plan of the computed tensors and of kernels' scratch, exact.
        scratch_bytes: how much of that is for the scratch.
        kept_bytes: what the runtime keeps, counted.
        begin_bytes: what it takes in place of the tensors before they have their places.
        alive_bytes: most of the values that are there at once: no placement takes less, whatever widths
            weights have and however kernels work.
    """

    tensor_bytes: int
    scratch_bytes: int
    kept_bytes: int
    begin_bytes: int
    alive_bytes: int

    @property
    def counted_bytes(self) -> int:
        """What the interpreter is expected to need."""
        return aligned(self.kept_bytes) + max(self.tensor_bytes, aligned(self.begin_bytes))

    @property
    def bytes(self) -> int:
        """What is claimed: a margin more, rounded up to the alignment."""
        return aligned(round((1 + MARGIN) * self.counted_bytes))


def arena_of(file: TfliteFile) -> Arena:
    """Returns the arena for a file.

    Args:
        file: with static shapes; the graphs of its loops share one plan.

    Raises:
        AtollError: it has more tensors or deeper loops than can be placed in seconds.
    """
    buffers = lifetimes(file)
    tensors = [tensor for graph in file.graphs for tensor in graph.tensors]
    planned = greedy_plan(buffers)
    tensors_alone = [one for one in buffers if one.what != "scratch"]
    scratch = planned - greedy_plan(tensors_alone) if len(tensors_alone) < len(buffers) else 0
    begin = _PLANNED_BYTES * len(tensors) + _PLACED_BYTES * len(buffers)
    return Arena(planned, scratch, _kept_bytes(file), max(begin, _PREPARING_BYTES), _alive_bytes(buffers))


def _alive_bytes(buffers: Sequence[Lifetime]) -> int:
    changes: Counter[int] = Counter()
    for buffer in (one for one in buffers if one.what == "value"):
        changes[buffer.first] += buffer.size
        changes[buffer.last + 1] -= buffer.size
    return max(accumulate(changes[step] for step in sorted(changes)), default=0)


def _kept_bytes(file: TfliteFile) -> int:
    ends = [file.tensors[index] for index in (*file.inputs, *file.outputs)]
    graphs = [
        _TENSOR_BYTES * len(graph.tensors)
        + sum(_OPERATOR_BYTES + _of_kernel(graph, operator) for operator in graph.operators)
        for graph in file.graphs
    ]
    of_ends = sum(_END_BYTES + (_GRID_BYTES if end.scales[1] else 0) for end in ends)
    return _FIXED_BYTES + of_ends + sum(graphs) + _GRAPH_BYTES * (len(graphs) - 1)


def _of_kernel(graph: TfliteFile, operator: FileOperator) -> int:
    kept = _KERNEL_BYTES.get(operator.name, 0)
    channels = 0
    if operator.name in _CONVOLUTIONS:
        channels = graph.tensors[operator.places[1]].shape[_CONVOLUTIONS[operator.name]]
    elif operator.name == "FULLY_CONNECTED" and graph.tensors[operator.places[1]].scales[1] > 1:
        channels = graph.tensors[operator.places[1]].shape[0]
    elif operator.name == "BATCH_MATMUL" and not _turned(operator):
        kept += _TURNED_BYTES + aligned(graph.tensors[operator.places[1]].bytes)
    return kept + 2 * aligned(_CHANNEL_BYTES * channels)


def _turned(product: FileOperator) -> bool:
    """Whether the second factor of a product lies as the kernel reads it: `adjY` of its options."""
    return product.options is not None and bool(product.options.number(1, "<B"))
