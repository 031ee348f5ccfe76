"""What a network returns: one tensor, or several heads in a fixed order."""

from typing import Any, TypeVar

from torch import Tensor

from ..errors import AtollError

T = TypeVar("T")


def heads(returned: Any, kind: type[T] = Tensor) -> tuple[T, ...]:  # type: ignore[assignment]
    """Returns the tensors in what a network returned, in its order.

    Args:
        returned: a tensor, or a tuple, list or dictionary of what may be given here.
        kind: what stands for a tensor (a node, where a graph is read).

    Raises:
        AtollError: something else is in it.
    """
    if isinstance(returned, kind):
        return (returned,)
    if isinstance(returned, dict):
        returned = tuple(returned.values())
    if isinstance(returned, tuple | list) and returned:
        return tuple(head for part in returned for head in heads(part, kind))
    raise AtollError(
        f"got a network that returns {type(returned).__name__}, "
        "allowed are a tensor, and tuples, lists and dictionaries of tensors"
    )


def matched_targets(outputs: Tensor, labels: Tensor, asker: str) -> Tensor:
    """Returns the targets of a regression in the shape of the outputs.

    Args:
        outputs: [N, ...].
        labels: floating point, as many numbers for every image as it has outputs.
        asker: who compares them, for the message.

    Raises:
        AtollError: the numbers are not as many.
    """
    if labels.numel() != outputs.numel() or len(labels) != len(outputs):
        raise AtollError(
            f"{asker}: got labels of shape {tuple(labels.shape)} for outputs of shape "
            f"{tuple(outputs.shape)}; needed is one number an output"
        )
    return labels.reshape(outputs.shape)


def as_outputs(outputs: Any, labels: Tensor) -> Tensor:
    """Returns numbers to come near to in the shape of the outputs, where there are as many of both.

    A single number a sample is stored without an axis, [N], and a network gives [N, 1]: element by element
    they would be combined as [N, N], without a word.

    Args:
        outputs: what a network returned.
        labels: [N, ...]; classes are returned as they are.
    """
    if isinstance(outputs, Tensor) and labels.is_floating_point() and labels.numel() == outputs.numel():
        return labels.reshape(outputs.shape)
    return labels


def single_head(returned: Any, asker: str) -> Tensor:
    """Returns the one tensor that a network returned.

    Args:
        returned: what its forward gave.
        asker: who can do with one tensor only, for the message.

    Raises:
        AtollError: it is not one tensor.
    """
    found: tuple[Tensor, ...] = heads(returned)
    if len(found) != 1:
        raise AtollError(f"{asker}: got a network with {len(found)} heads, allowed is one")
    return found[0]
