"""How integers go through an operation: handed on, averaged where they are, or on a grid of the result."""

from torch import nn

from .kinds import MOVES
from .moves import Shape

#: cut off what comes before them, in the kernel that makes it
ACTIVATIONS = ("relu", "relu6")
#: kernels that take an activation in
TAKES_ACTIVATION = ("layer", "norm", "add", "subtract", "multiply")
#: hand integers on as they are; so do rectifiers that no kernel takes in, and upsampling that repeats
_HANDS_ON = (
    "identity", "relu", "max_pool", "global_max_pool", "channels_last_flatten", "expand", *MOVES[:-1],
)  # fmt: skip
#: kernels that know one range of results only (LiteRT's 8-bit specification: LOGISTIC, SOFTMAX, TANH); a hard
#: sigmoid is x + 3 cut off at 0 and 6, whose integers on [0, 6] are those of a sixth of it on [0, 1]
FIXED_RANGES: dict[str, tuple[float, float]] = {
    "sigmoid": (0.0, 255 / 256),
    "softmax": (0.0, 255 / 256),
    "tanh": (-1.0, 127 / 128),
    "hard_sigmoid": (0.0, 1.0),
}
#: kernels whose results may lie on any grid
_ANY_GRID = (
    "norm", "add", "subtract", "multiply", "divide", "global_avg_pool", "mean", "concatenate", "relu6",
    "leaky_relu", "elu", "gelu", "hard_swish", "prelu", "matmul", "relu_n1_to_1", "relu_0_to_1",
)  # fmt: skip


def hands_on(kind: str, module: nn.Module | None) -> bool:
    """Whether an operation gives the integers that it reads, in another place or fewer of them."""
    return kind in _HANDS_ON or (kind == "upsample" and getattr(module, "mode", "") == "nearest")


def averages(kind: str, module: nn.Module | None) -> bool:
    """Whether an operation averages integers and rounds on the grid that they are on."""
    return kind == "avg_pool" or (kind == "upsample" and getattr(module, "mode", "") == "bilinear")


def divides_by_number(kind: str, numbers: tuple[float | None, ...]) -> bool:
    """Whether an operation is a product with the inverse of a number."""
    return kind == "divide" and len(numbers) == 2 and numbers[0] is None and numbers[1] not in (None, 0.0)


def has_integer_kernel(
    kind: str, module: nn.Module | None, numbers: tuple[float | None, ...], shape: Shape
) -> bool:
    """Whether the runtime has an integer kernel for an operation that makes new values.

    Args:
        kind, module, numbers, shape: the operation's.
    """
    if kind == "divide":
        return divides_by_number(kind, numbers)
    return kind in _ANY_GRID or kind in FIXED_RANGES or averages(kind, module)
