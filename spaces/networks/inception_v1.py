"""Inception v1, "GoogLeNet" (Szegedy et al. 2015, table 1), as TF-Slim builds it.

It differs from the paper: every convolution is normalised, there are no local response normalisations and no
auxiliary classifiers, and the branch of 5x5 convolutions has 3x3 ones.
"""

from collections import OrderedDict

from torch import nn

from ..layers.same_padding import SameMaxPool2d
from .arguments import check_arguments
from .conv_norm import INCEPTION_EPS, conv_norm
from .parallel import Parallel

#: channels of (1x1), (1x1 before 3x3, 3x3), (1x1 before 5x5, 5x5), (1x1 behind the pooling)
Branches = tuple[int, tuple[int, int], tuple[int, int], int]
#: modules between poolings, with the size of the pooling before them (Szegedy et al. 2015, table 1)
STAGES: tuple[tuple[int, tuple[Branches, ...]], ...] = (
    (3, ((64, (96, 128), (16, 32), 32), (128, (128, 192), (32, 96), 64))),
    (
        3,
        (
            (192, (96, 208), (16, 48), 64),
            (160, (112, 224), (24, 64), 64),
            (128, (128, 256), (24, 64), 64),
            (112, (144, 288), (32, 64), 64),
            (256, (160, 320), (32, 128), 128),
        ),
    ),
    (2, ((256, (160, 320), (32, 128), 128), (384, (192, 384), (48, 128), 128))),
)
#: TF-Slim keeps 80 % (inception_v1.py, dropout_keep_prob)
DROPOUT = 0.2


def inception_v1(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds Inception v1: 1.50 G multiply-accumulates at 224x224, 6.6 M parameters with 1001 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).

    Raises:
        AtollError: for fewer than two classes or an empty shape.
    """
    check_arguments(num_classes, input_shape)
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=_conv(input_shape[0], 64, 7, 2),
        pool1=SameMaxPool2d(3, 2),
        conv2_reduce=_conv(64, 64, 1),
        conv2=_conv(64, 192, 3),
    )
    channels = 192
    for number, (size, mixed) in enumerate(STAGES, start=3):
        parts[f"pool{number - 1}"] = SameMaxPool2d(size, 2)
        for letter, branches in zip("bcdef", mixed, strict=False):
            parts[f"mixed{number}{letter}"] = _mixed(channels, branches)
            single, (_, conv3), (_, conv5), pooled = branches
            channels = single + conv3 + conv5 + pooled
    parts["mean"] = nn.AdaptiveAvgPool2d(1)
    parts["dropout"] = nn.Dropout(DROPOUT)
    parts["flatten"] = nn.Flatten()
    parts["classifier"] = nn.Linear(channels, num_classes)
    return nn.Sequential(parts)


def _mixed(inputs: int, branches: Branches) -> Parallel:
    single, (reduce3, conv3), (reduce5, conv5), pooled = branches
    return Parallel(
        _conv(inputs, single, 1),
        nn.Sequential(_conv(inputs, reduce3, 1), _conv(reduce3, conv3, 3)),
        nn.Sequential(_conv(inputs, reduce5, 1), _conv(reduce5, conv5, 3)),
        nn.Sequential(SameMaxPool2d(3, 1), _conv(inputs, pooled, 1)),
    )


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    return conv_norm(inputs, outputs, size, stride, "same", eps=INCEPTION_EPS)
