"""Re-estimates what a network knows of its activations: BatchNorm statistics and activation ranges."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..errors import AtollError
from .activation_grid import ActivationGrid
from .norm import Norm
from .structure import running_parts

#: images a forward pass
BATCH = 256
#: images from which on statistics are measured anew: on `small_characters` 8 bits by 3, 10 and 50 images kept
#: 49 to 68, 73 to 78 and 79 to 82 % with statistics of these images, 73 to 81, 81 to 82 and 82 % with those
#: of the training; a quarter of the channels removed 28, 50 and 62 % beside 50, 52 and 62; at 100 both the
#: same (float: 82 %)
LEAST = 100


@torch.no_grad()
def reestimate(network: nn.Module, images: Tensor) -> None:
    """Measures BatchNorm statistics and activation ranges again, in place; weights stay.

    After a structural step the old statistics belong to another network: one pass over some hundred training
    images was worth 11 points of accuracy on the reference CNN (own measurement, 2026).

    Fewer than `LEAST` say less of a normalisation than what it knows from training, so it keeps that.

    Args:
        network: any; left in evaluation mode.
        images: float32 [N, C, H, W].

    Raises:
        AtollError: as `measuring`.
    """
    norms = [part for _, part in running_parts(network) if isinstance(part, Norm)]
    grids = [module for module in network.modules() if isinstance(module, ActivationGrid)]
    network.eval()
    with measuring(norms, len(images)):
        for grid in grids:
            grid.begin()
        for batch in statistics_batches(images):
            network(batch)
        for grid in grids:
            grid.end()


@contextmanager
def measuring(norms: Sequence[Norm], images: int) -> Iterator[None]:
    """Has normalisations measure their statistics anew over the batches of the block, and evaluate after.

    Args:
        norms: of which those with statistics keep them where there are few images.
        images: how many there are in all batches.

    Raises:
        AtollError: one has no statistics yet, and a single image has no variance.
    """
    if images < LEAST:
        norms = [norm for norm in norms if not norm.was_measured]
        if norms and images < 2:
            raise AtollError(
                "the network's normalisations have no statistics: got 1 image to measure them on, allowed "
                f"are 2 or more, better {LEAST}"
            )
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average over the batches
        norm.train()
    yield
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def statistics_batches(images: Tensor) -> list[Tensor]:
    """Splits into batches of about the same size, none of a single image (it has no variance)."""
    count = max(1, images.shape[0] // BATCH)
    return list(images.chunk(count))


@torch.no_grad()
def layer_inputs(network: nn.Module, layer: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Returns what goes into a layer and what comes out of it, over a set of images, in evaluation.

    A shared layer may run on maps of several sizes: those of its first use count.

    Returns:
        ([N, ...], [N, ...]), the layer's input and output.
    """
    seen: list[tuple[Tensor, Tensor]] = []
    handle = layer.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0], output)))
    network.eval()
    try:
        for batch in statistics_batches(images):
            network(batch)
    finally:
        handle.remove()
    alike = [pair for pair in seen if pair[0].shape[1:] == seen[0][0].shape[1:]]
    return torch.cat([x for x, _ in alike]), torch.cat([y for _, y in alike])
