"""How much a network's outputs change when one of its layers is put on a grid."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..graph.heads import heads
from ..layers.layer import Layer
from ..layers.structure import replace
from .weight_grids import WeightGrids


@torch.no_grad()
def layer_sensitivities(
    network: nn.Module, widths: dict[str, tuple[int, ...]], grids: WeightGrids, images: Tensor
) -> dict[str, dict[int, float]]:
    """Measures what quantizing each layer alone does to the outputs.

    The mean Kullback-Leibler divergence of the network's probabilities from those of the network with this
    one layer on its grid (Cai et al. 2020, ZeroQ, section 3.2); for an output of a single number, which has
    no probabilities, the mean squared change; several heads add up. Nothing else of the network changes.

    Args:
        network: settled; left as it is.
        widths: of each layer, the bits to try.
        grids: how weights are put on grids.
        images: float32 [N, C, H, W], N >= 1.

    Returns:
        by layer, width -> sensitivity >= 0.
    """
    probe = deepcopy(network).eval()
    exact: tuple[Tensor, ...] = heads(probe(images))
    found: dict[str, dict[int, float]] = {}
    for name, tried in widths.items():
        layer = probe.get_submodule(name)
        found[name] = {}
        for bits in tried:
            quantized = deepcopy(layer)
            if isinstance(quantized, Layer):
                grids.impose(quantized, bits)
            replace(probe, name, quantized)
            after: tuple[Tensor, ...] = heads(probe(images))
            found[name][bits] = sum(map(output_change, exact, after))
            replace(probe, name, layer)
    return found


def output_change(exact: Tensor, changed: Tensor) -> float:
    """Returns the mean divergence of one batch of outputs [N, K] from another, 0 where they are equal."""
    if exact.flatten(1).shape[1] == 1:
        return float((exact - changed).square().mean())
    wanted, got = F.log_softmax(exact.flatten(1), dim=1), F.log_softmax(changed.flatten(1), dim=1)
    return max(0.0, float(F.kl_div(got, wanted, reduction="batchmean", log_target=True)))
