"""What a network returns: one tensor, or several heads in a fixed order."""

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor

from ..errors import AtollError

T = TypeVar("T")
#: what a network says: a tensor, or a tuple of several, its heads in their order
Outputs = Any


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


def as_outputs(returned: Any) -> Outputs:
    """Returns the one tensor that a network returned, or its heads as a tuple.

    Raises:
        AtollError: as `heads`.
    """
    found: tuple[Tensor, ...] = heads(returned)
    return found[0] if len(found) == 1 else found


def mapped(function: Callable[..., Tensor], *outputs: Outputs) -> Outputs:
    """Returns a function of what networks say, head by head.

    Args:
        function: of as many tensors as there are outputs.
        outputs: of one or several networks with as many heads.
    """
    if isinstance(outputs[0], Tensor):
        return function(*outputs)
    return tuple(function(*parts) for parts in zip(*outputs, strict=True))


def named_heads(returned: Any, place: str = "") -> dict[str, Any]:
    """Returns the heads by name: keys of dictionaries, positions in tuples; `0.boxes` of what lies inside.

    Args:
        returned: as `heads` takes it.
        place: that it lies at.
    """
    if not isinstance(returned, dict | tuple | list):
        return {place: returned}
    parts = returned.items() if isinstance(returned, dict) else enumerate(returned)
    return {
        name: head
        for key, part in parts
        for name, head in named_heads(part, f"{place}.{key}" if place else str(key)).items()
    }


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


def shaped_targets(outputs: Any, labels: Tensor) -> Tensor:
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
