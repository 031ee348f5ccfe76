"""The plan that the papers' baseline and compact networks share, at any width."""

from collections import OrderedDict

from torch import nn

from ..layers.flatten import ChannelsLastFlatten
from .arguments import check_arguments

#: Keras' default; torch's is 1e-5.
BATCH_NORM_EPS = 1e-3
#: torch's default; Keras' rule (0.01 of each new batch) would need some 400 batches to settle, four epochs.
BATCH_NORM_MOMENTUM = 0.1
#: Both max-pools halve height and width.
POOLED_BY = 4


def papers_cnn(
    conv_channels: tuple[int, int, int],
    dense_units: int,
    num_classes: int,
    input_shape: tuple[int, ...],
) -> nn.Sequential:
    """Builds three convolutions and two dense layers in the papers' order (PUB-I table 1).

    conv 3x3 "same" - ReLU - BatchNorm - max-pool 2, twice; conv - ReLU - BatchNorm; flatten; dense -
    BatchNorm - dense. Only the third convolution has biases, as the printed parameter counts say. The
    softmax is left to the loss: the network returns logits.

    Args:
        conv_channels: output channels of the three convolutions.
        dense_units: outputs of the first dense layer.
        num_classes: number of logits, at least 2.
        input_shape: (channels, height, width); height and width multiples of 4.

    Returns:
        A Sequential of `features` (conv1 ... bn3) and `classifier` (flatten, dense1, bn4, dense2).

    Raises:
        AtollError: fewer than two classes, or an input shape that the two poolings do not divide.
    """
    check_arguments(num_classes, input_shape, smallest=POOLED_BY, multiple=POOLED_BY)
    in_channels, height, width = input_shape
    first, second, third = conv_channels
    features = OrderedDict(
        conv1=nn.Conv2d(in_channels, first, 3, padding="same", bias=False),
        relu1=nn.ReLU(),
        bn1=_without_scale(nn.BatchNorm2d(first, BATCH_NORM_EPS, BATCH_NORM_MOMENTUM)),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(first, second, 3, padding="same", bias=False),
        relu2=nn.ReLU(),
        bn2=_without_scale(nn.BatchNorm2d(second, BATCH_NORM_EPS, BATCH_NORM_MOMENTUM)),
        pool2=nn.MaxPool2d(2),
        conv3=nn.Conv2d(second, third, 3, padding="same", bias=True),
        relu3=nn.ReLU(),
        bn3=_without_scale(nn.BatchNorm2d(third, BATCH_NORM_EPS, BATCH_NORM_MOMENTUM)),
    )
    flat = third * (height // POOLED_BY) * (width // POOLED_BY)
    classifier = OrderedDict(
        flatten=ChannelsLastFlatten(),
        dense1=nn.Linear(flat, dense_units, bias=False),
        bn4=_without_scale(nn.BatchNorm1d(dense_units, BATCH_NORM_EPS, BATCH_NORM_MOMENTUM)),
        dense2=nn.Linear(dense_units, num_classes, bias=False),
    )
    return nn.Sequential(OrderedDict(features=nn.Sequential(features), classifier=nn.Sequential(classifier)))


def _without_scale(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.Module:
    """Fixes gamma at 1: the papers' BatchNorm has beta, mean and variance only (Keras, scale off)."""
    norm.weight.requires_grad_(False)
    return norm
