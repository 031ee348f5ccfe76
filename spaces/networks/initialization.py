"""Draws the initial weights of a network from a given generator."""

import torch
from torch import nn


def initialize(model: nn.Module, generator: torch.Generator) -> None:
    """Fills convolutions and dense layers by Glorot's uniform rule, biases with zero, in place.

    The papers' networks are Keras networks, whose default this is (Glorot & Bengio 2010, eq. 16).

    Args:
        model: any network; layers of other kinds and layers on the meta device are left alone.
        generator: the only source of randomness.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and not module.weight.is_meta:
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
