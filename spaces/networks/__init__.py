"""The zoo: networks built from their configuration, without weights to download."""

from collections.abc import Callable

import torch
from torch import nn

from ..errors import AtollError
from ..nearest import known_names
from .baseline_cnn import baseline_cnn
from .compact_cnn import compact_cnn
from .initialization import initialize

#: Every network of the zoo: (name, function of the number of classes and the input shape).
NETWORKS: tuple[tuple[str, Callable[[int, tuple[int, int, int]], nn.Module]], ...] = (
    ("baseline_cnn", baseline_cnn),
    ("compact_cnn", compact_cnn),
)


def build_network(
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Builds a network of the zoo; the global random state is neither read nor moved.

    Args:
        name: one of `NETWORKS`.
        num_classes: number of logits, at least 2.
        input_shape: (channels, height, width).
        generator: source of the initial weights; a fresh one with seed 0 if None. Without effect under
            `with torch.device("meta")`, where there are no weights to draw.

    Returns:
        The network in training mode. It maps images (N, channels, height, width), scaled to [-1, 1], to
        logits (N, num_classes).

    Raises:
        AtollError: the name is unknown or the configuration makes no network.
    """
    for known, build in NETWORKS:
        if known == name:
            with torch.random.fork_rng(devices=[]):  # the constructors of torch draw from the global state
                model = build(num_classes, input_shape)
            initialize(model, generator or torch.Generator().manual_seed(0))
            return model
    raise AtollError(f"unknown network {name!r}. {known_names(name, (known for known, _ in NETWORKS))}")
