"""First-order saliency: by how much the loss would change if a channel or a weight were gone.

Both are gradients of gates (`gates.py`): the derivative of the loss with respect to a factor on a quantity is
the gradient times the quantity. That holds through every constraint and every decomposition.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..layers.factor import Factor
from ..layers.layer import Layer
from ..technique.context import Criterion
from .gates import gated

#: labelled images that saliency is measured on (own choice: "a few hundred"; Molchanov et al. 2017 use a few
#: minibatches)
IMAGES = 256
#: images a pass
BATCH = 64


def channel_saliency(
    network: nn.Module, paths: list[str], images: Tensor, labels: Tensor, criterion: Criterion
) -> dict[str, Tensor]:
    """Returns [C] by layer: the mean over images of |sum over positions of gradient x activation|.

    Molchanov et al. 2017, eq. 8, with the sum over positions in place of their mean: all channels of a layer
    have the same number.

    Args:
        network: left in evaluation mode.
        paths: layers whose outputs are [B, C] or [B, C, ...].
        images, labels: [N, ...] both.
        criterion: the loss, a mean over images.
    """
    sizes = {path: _layer(network, path).outputs for path in paths}
    total = {path: torch.zeros(size) for path, size in sizes.items()}
    network.eval()
    for x, y in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        gates = {path: torch.ones(len(x), size, requires_grad=True) for path, size in sizes.items()}
        for path, gradient in _gate_gradients(network, gates, x, y, criterion).items():
            total[path] += gradient.abs().sum(dim=0)
    return {path: found / len(images) for path, found in total.items()}


def weight_saliency(
    network: nn.Module,
    factors: Mapping[str, Factor],
    images: Tensor,
    labels: Tensor,
    criterion: Criterion,
) -> dict[str, Tensor]:
    """Returns |gradient x weight| of every weight by factor, the gradient being that of the mean loss.

    Molchanov et al. 2019, eq. 8 without the square, which changes no order; weights and gradients are the
    effective ones.

    Args:
        network: left in evaluation mode.
        factors: of the network, by dotted name.
        images, labels: [N, ...] both.
        criterion: the loss, a mean over images.
    """
    total = {name: torch.zeros(factor.shape) for name, factor in factors.items()}
    network.eval()
    for x, y in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        gates = {name: torch.ones(factor.shape, requires_grad=True) for name, factor in factors.items()}
        for name, gradient in _gate_gradients(network, gates, x, y, criterion).items():
            total[name] += gradient
    return {name: (found / len(images)).abs() for name, found in total.items()}


def _gate_gradients(
    network: nn.Module, gates: dict[str, Tensor], images: Tensor, labels: Tensor, criterion: Criterion
) -> dict[str, Tensor]:
    """Returns the gradient of the loss, summed over images, with respect to every gate that plays a part."""
    if not gates:
        return {}
    with gated(network, gates):
        loss = criterion(network(images), labels) * len(images)
    gradients = torch.autograd.grad(loss, list(gates.values()), allow_unused=True)
    found = zip(gates, gradients, strict=True)
    return {path: gradient for path, gradient in found if gradient is not None}


def _layer(network: nn.Module, path: str) -> Layer:
    layer = network.get_submodule(path)
    assert isinstance(layer, Layer)
    return layer
