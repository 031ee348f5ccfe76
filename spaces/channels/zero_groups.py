"""Zero-invariant groups: channels that are driven to zero together while the network trains, then erased."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..importance.gates import gated_inputs
from ..layers.layer import Layer
from ..technique.context import Context
from .removal import Cut


class ZeroGroups:
    """The channels that will go, under gates wherever they are read.

    Only Train Once (Chen et al. 2021; 2023, OTOv2) drives all parameters that a removable channel depends on
    - rows of weights, biases, scale and shift of normalisations - to zero together, so that the channel is
    zero where it is read and can be erased without a trace. Here the channels are chosen beforehand, and one
    gate stands for the factor on all those parameters. It is exactly zero in the end whatever the weights are
    under, and also where zero parameters would not make zeros (codebooks and signs have none, a sigmoid of
    zero is one half).

    Args:
        network: with all its channels.
        cuts: groups and the channels of them that stay.
    """

    def __init__(self, network: nn.Module, cuts: Sequence[Cut]) -> None:
        self._fading: dict[str, Tensor] = {}
        #: [1, C] by path of a layer that reads channels, for `gated_inputs`
        self.gates: dict[str, Tensor] = {}
        for group, kept in cuts:
            for reader in group.readers:
                layer = network.get_submodule(reader.path)
                assert isinstance(layer, Layer)
                goes = torch.ones(1, layer.inputs, dtype=torch.bool)
                goes[:, reader.features(kept)] = False
                self._fading[reader.path] = goes | self._fading.get(reader.path, torch.zeros_like(goes))
        for path, goes in self._fading.items():
            self.gates[path] = torch.ones(goes.shape, device=next(network.parameters()).device)

    def drive(self, done: float) -> None:
        """Brings the channels that will go a way towards zero.

        Args:
            done: share of the way, in [0, 1]; at 1 they are zero.
        """
        for path, goes in self._fading.items():
            self.gates[path][goes] = 1 - done


def drive_to_zero(network: nn.Module, cuts: Sequence[Cut], context: Context, epochs: float) -> ZeroGroups:
    """Trains the network in place while the channels that will go fade; returns them, all zero.

    Args:
        network: any; without the gates it still has the channels, and has learnt to do without.
        cuts: groups and the channels of them that stay.
        context: trains.
        epochs: to be spent.
    """
    groups = ZeroGroups(network, cuts)
    with gated_inputs(network, groups.gates):
        context.fit(network, epochs=epochs, after_step=groups.drive)
    groups.drive(1.0)  # also where there was nothing to spend
    return groups
