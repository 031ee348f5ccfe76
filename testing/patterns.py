"""A task of patterns under noise for inputs of any shape, that every network learns in a few dozen steps."""

import torch
from torch import Tensor, nn

from ..spaces.graph.heads import heads
from ..spaces.technique.context import Batch

#: classes of the task
CLASSES = 4
#: of every input the shape without the batch
Shapes = tuple[tuple[int, ...], ...]


def inputs(shapes: Shapes, count: int, seed: int) -> tuple[Tensor, ...]:
    """Returns one of a few patterns for every example, the same for each seed, under noise."""
    labels = classes(count, seed)
    found = []
    for place, shape in enumerate(shapes):
        patterns = torch.rand(CLASSES, *shape, generator=torch.Generator().manual_seed(100 + place)) * 2 - 1
        noise = torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed)) - 0.5
        found.append(patterns[labels] + noise)
    return tuple(found)


def classes(count: int, seed: int) -> Tensor:
    """Returns which pattern each of these examples has."""
    return torch.randint(CLASSES, (count,), generator=torch.Generator().manual_seed(seed))


def targets(given: Tensor, head: Tensor, seed: int) -> Tensor:
    """Returns what a head is to say: the input itself where shapes are alike, a class, or one everywhere."""
    if head.shape == given.shape:
        return given
    if head.dim() == 2:
        return classes(len(given), seed)
    bright = nn.functional.interpolate(given.mean(1, keepdim=True), head.shape[2:])
    return (bright[:, 0] > 0).long()


def loss(network: nn.Module, batch: Batch) -> Tensor:
    """Returns how far the first head is from its target, and the size of all others."""
    said: tuple[Tensor, ...] = heads(network(batch.images))
    regresses = batch.labels.is_floating_point()
    of_first = nn.functional.mse_loss if regresses else nn.functional.cross_entropy
    return of_first(said[0], batch.labels) + sum(head.square().mean() for head in said[1:])
