"""Draws the initial weights of a network from a given generator."""

from typing import Protocol, runtime_checkable

import torch
from torch import nn


@runtime_checkable
class Draws(Protocol):
    """A module of the zoo that fills the tensors which belong to it and to no layer inside."""

    def draw(self, generator: torch.Generator) -> None:
        """Fills them, in place."""


def initialize(model: nn.Module, generator: torch.Generator) -> None:
    """Fills convolutions and dense layers by Glorot's uniform rule, biases with zero, in place.

    The papers' networks are Keras networks, whose default this is (Glorot & Bengio 2010, eq. 16). Recurrent
    layers are filled as torch does, uniformly up to one over the root of their units.

    Args:
        model: any network; layers of other kinds and layers on the meta device are left alone.
        generator: the only source of randomness.
    """
    for module in model.modules():
        if any(parameter.is_meta for parameter in module.parameters(recurse=False)):
            continue
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LSTM):
            for parameter in module.parameters():
                bound = module.hidden_size**-0.5
                nn.init.uniform_(parameter, -bound, bound, generator=generator)
        elif isinstance(module, Draws):
            module.draw(generator)
