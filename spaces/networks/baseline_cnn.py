"""The papers' baseline CNN (PUB-I table 1, PUB-III)."""

from torch import nn

from .papers_cnn import papers_cnn


def baseline_cnn(num_classes: int, input_shape: tuple[int, ...] = (3, 64, 64)) -> nn.Module:
    """Builds the network with convolutions of 32, 64, 64 channels and a dense layer of 64 units.

    Args:
        num_classes: number of logits; the papers have 11 (PUB-I, PUB-II) and 35 (PUB-III).
        input_shape: (channels, height, width).

    Returns:
        The network; at (3, 64, 64) its dense layer is the papers' 16384 -> 64.
    """
    return papers_cnn((32, 64, 64), 64, num_classes, input_shape)
