"""The structure that a recipe gives a network of the zoo: on the meta device, without data or training."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...spaces.layers.shape import InputShape

if TYPE_CHECKING:
    from torch import nn

    from ...spaces.recipes.recipe import Recipe


def planned(recipe: "Recipe", network: str, input_shape: InputShape, num_classes: int) -> "nn.Module":
    """Returns the planned network; it can be priced, never trained.

    Args:
        recipe: legal (`spaces.recipes.order.check_order`).
        network: name in the zoo.
        input_shape: of one input, without the batch.
        num_classes: at least 2.

    Raises:
        AtollError: for an unknown network, or a step that does not fit it.
    """
    *_, last = planned_steps(recipe, network, input_shape, num_classes)
    return last


def planned_steps(
    recipe: "Recipe", network: str, input_shape: InputShape, num_classes: int
) -> "Iterator[nn.Module]":
    """Yields the network of the zoo, then what each step of a recipe makes of it; see `planned`."""
    import torch

    from ...spaces.graph.adopt import adopt
    from ...spaces.networks import build_network

    with torch.device("meta"):
        model = build_network(network, num_classes, input_shape)
    structure = adopt(model, input_shape).eval()
    yield structure
    for step in recipe:
        structure = step.plan(structure).eval()
        yield structure
