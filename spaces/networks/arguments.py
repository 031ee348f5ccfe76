"""What every network of the zoo asks of its number of classes and its input."""

from ..errors import AtollError

#: axes of inputs, the first one of any length: images, windows of a signal, values without an order
IMAGE, SIGNAL, FEATURES = ("channels", "height", "width"), ("channels", "length"), ("features",)


def check_arguments(
    num_classes: int,
    input_shape: tuple[int, ...],
    smallest: int = 1,
    multiple: int = 1,
    axes: tuple[str, ...] = IMAGE,
) -> None:
    """Refuses what makes no network.

    Args:
        num_classes: number of logits, at least 2.
        input_shape: one size an axis.
        smallest: least size of every axis but the first, of which something is left at the end.
        multiple: what the sizes of every axis but the first are multiples of.
        axes: what the network's input has.

    Raises:
        AtollError: the number or the shape is not allowed.
    """
    if num_classes < 2:
        raise AtollError(f"num_classes is {num_classes}; a classifier needs at least 2")
    first, *others = axes
    fits = len(input_shape) == len(axes) and input_shape[0] >= 1
    if not fits or any(size < smallest or size % multiple for size in input_shape[1:]):
        multiples = f", multiples of {multiple}" if multiple > 1 else ""
        rest = f", {' and '.join(others)} of at least {smallest}{multiples}" if others else ""
        raise AtollError(
            f"input_shape is {tuple(input_shape)} as ({', '.join(axes)}); allowed are {first} of at least "
            f"1{rest}"
        )
