"""Zero-invariant groups: channels that are driven to zero together while the network trains, then erased."""

from collections.abc import Sequence

import torch
from torch import nn

from .channel_removal import Cut
from .context import Context
from .gates import gated


class ZeroGroups:
    """The channels that will go, under gates on every layer and normalisation that gives them.

    Only Train Once (Chen et al. 2021; 2023, OTOv2) groups the parameters that a removable channel depends on
    - rows of weights, biases, scale and shift of normalisations - so that all of them at zero leave the
    network's outputs independent of the channel, and projects redundant groups to zero in training. Here the
    groups are chosen beforehand, and one gate on a channel stands for the factor on all of its parameters: it
    works through every constraint and decomposition and is exactly zero in the end.

    Args:
        cuts: groups and the channels of them that stay.
        device: of the network.
    """

    def __init__(self, cuts: Sequence[Cut], device: torch.device) -> None:
        self._driven = []
        #: [1, C] by path of a layer or normalisation, for `gated`
        self.gates = {}
        for group, kept in cuts:
            gone = torch.ones(group.size, dtype=torch.bool)
            gone[kept] = False
            gate = torch.ones(1, group.size, device=device)
            self._driven.append((gate, gone.to(device)))
            self.gates.update(dict.fromkeys([*group.makers, *group.norms], gate))

    def drive(self, done: float) -> None:
        """Brings the channels that will go a way towards zero.

        Args:
            done: share of the way, in [0, 1]; at 1 they are zero.
        """
        for gate, gone in self._driven:
            gate[:, gone] = 1 - done


def drive_to_zero(network: nn.Module, cuts: Sequence[Cut], context: Context, epochs: float) -> ZeroGroups:
    """Trains the network in place while the channels that will go fade; returns them, all zero.

    Args:
        network: any; without the gates it still has the channels, what it learnt is to do without.
        cuts: groups and the channels of them that stay.
        context: trains.
        epochs: to be spent.
    """
    groups = ZeroGroups(cuts, next(network.parameters()).device)
    with gated(network, groups.gates):
        context.fit(network, epochs=epochs, after_step=groups.drive)
    groups.drive(1.0)  # also where there was nothing to spend
    return groups
