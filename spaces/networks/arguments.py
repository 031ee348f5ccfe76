"""What every network of the zoo asks of its number of classes and its input."""

from ..errors import AtollError


def check_arguments(
    num_classes: int, input_shape: tuple[int, int, int], smallest: int = 1, multiple: int = 1
) -> None:
    """Refuses what makes no network.

    Args:
        num_classes: number of logits, at least 2.
        input_shape: (channels, height, width).
        smallest: least height and width of which something is left at the end.
        multiple: what height and width are multiples of.

    Raises:
        AtollError: the number or the shape is not allowed.
    """
    if num_classes < 2:
        raise AtollError(f"num_classes is {num_classes}; a classifier needs at least 2")
    channels, height, width = input_shape
    if channels < 1 or min(height, width) < smallest or height % multiple or width % multiple:
        multiples = f", multiples of {multiple}" if multiple > 1 else ""
        raise AtollError(
            f"input_shape is {tuple(input_shape)} as (channels, height, width); allowed are channels of at "
            f"least 1, height and width of at least {smallest}{multiples}"
        )
