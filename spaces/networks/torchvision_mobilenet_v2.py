"""MobileNet v2 (Sandler et al. 2018, table 2) under torchvision's names, so that its weights fit.

Its windows have zeros on all sides, where `mobilenet_v2` has them as TensorFlow has.
"""

from collections import OrderedDict

from torch import Tensor, nn

from ..layers.combine import Add
from .arguments import check_arguments
from .inverted_residual import HEAD_CHANNELS
from .mobilenet_v2 import STAGES, STEM_CHANNELS

#: what is left out before the classifier in training (torchvision)
DROPOUT = 0.2


def torchvision_mobilenet_v2(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds MobileNet v2: 301 M multiply-accumulates at 224x224, 3.5 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).

    Returns:
        A Sequential of `features`, `mean`, `flatten` and `classifier`.

    Raises:
        AtollError: for fewer than two classes or an empty shape.
    """
    check_arguments(num_classes, input_shape)
    channels = STEM_CHANNELS
    features = nn.Sequential(_conv(input_shape[0], channels, 3, 2))
    for expansion, outputs, count, stride in STAGES:
        for position in range(count):
            features.append(InvertedResidual(channels, expansion, outputs, stride if position == 0 else 1))
            channels = outputs
    features.append(_conv(channels, HEAD_CHANNELS, 1))
    return nn.Sequential(
        OrderedDict(
            features=features,
            mean=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            classifier=nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(HEAD_CHANNELS, num_classes)),
        )
    )


class InvertedResidual(nn.Module):
    """Widens, convolves each channel by itself and narrows, beside the input where shapes allow.

    Args:
        inputs: channels read.
        expansion: how many times as many there are in between.
        outputs: channels made.
        stride: of the depthwise convolution.
    """

    def __init__(self, inputs: int, expansion: int, outputs: int, stride: int) -> None:
        super().__init__()
        expanded = expansion * inputs
        expand = [_conv(inputs, expanded, 1)] if expansion > 1 else []
        depthwise = _conv(expanded, expanded, 3, stride, groups=expanded)
        project = [nn.Conv2d(expanded, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*expand, depthwise, *project)
        self.add = Add() if stride == 1 and inputs == outputs else None

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) if self.add is None else self.add(x, self.conv(x))


def _conv(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6())
