"""The papers' compact student (THESIS table 3)."""

from torch import nn

from .papers_cnn import papers_cnn


def compact_cnn(num_classes: int, input_shape: tuple[int, ...] = (3, 64, 64)) -> nn.Module:
    """Builds the baseline's plan with convolutions of 16, 32, 32 channels and a dense layer of 32 units.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).

    Returns:
        The network, a quarter of the baseline's parameters.
    """
    return papers_cnn((16, 32, 32), 32, num_classes, input_shape)
