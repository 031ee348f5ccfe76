"""ShuffleNet v2 of width 1.0 (Ma et al. 2018, table 5): half of the channels pass, all are shuffled."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from .arguments import check_arguments
from .conv_norm import conv_norm

#: channels of the first convolution and of the last one
STEM_CHANNELS, LAST_CHANNELS = 24, 1024
#: (channels, units) of the stages, each of which halves the maps
STAGES = ((116, 4), (232, 8), (464, 4))


def shufflenet_v2(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds ShuffleNet v2: 145 M multiply-accumulates at 224x224, 2.3 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).

    Returns:
        A Sequential of `stem`, `pool`, `stages`, `last`, `mean`, `flatten` and `classifier`.

    Raises:
        AtollError: for fewer than two classes or an empty shape.
    """
    check_arguments(num_classes, input_shape)
    channels, stages = STEM_CHANNELS, nn.Sequential()
    for outputs, count in STAGES:
        units = [HalvingUnit(channels, outputs), *(Unit(outputs) for _ in range(count - 1))]
        stages.append(nn.Sequential(*units))
        channels = outputs
    return nn.Sequential(
        OrderedDict(
            stem=conv_norm(input_shape[0], STEM_CHANNELS, 3, 2, padding=1),
            pool=nn.MaxPool2d(3, 2, padding=1),
            stages=stages,
            last=conv_norm(channels, LAST_CHANNELS, 1),
            mean=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            classifier=nn.Linear(LAST_CHANNELS, num_classes),
        )
    )


class Unit(nn.Module):
    """Convolves one half of the channels and shuffles the two (figure 3c).

    Args:
        channels: read and made.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = _branch(channels // 2, channels // 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        passing, taken = x.chunk(2, dim=1)
        return shuffled(torch.cat((passing, self.branch(taken)), dim=1))


class HalvingUnit(nn.Module):
    """Convolves all channels in two ways, at half the height and width, and shuffles the two (figure 3d).

    Args:
        inputs, outputs: channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        depthwise = conv_norm(inputs, inputs, 3, 2, 1, None, groups=inputs)
        self.short = nn.Sequential(depthwise, conv_norm(inputs, outputs // 2, 1))
        self.branch = _branch(inputs, outputs // 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return shuffled(torch.cat((self.short(x), self.branch(x)), dim=1))


def shuffled(x: Tensor) -> Tensor:
    """Returns channels of the two halves in turns (Zhang et al. 2018, "Channel Shuffle", two groups).

    Args:
        x: (N, C, height, width).
    """
    count, channels, height, width = x.shape
    return x.view(count, 2, channels // 2, height, width).transpose(1, 2).reshape(x.shape)


def _branch(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        conv_norm(inputs, outputs, 1),
        conv_norm(outputs, outputs, 3, stride, 1, None, groups=outputs),
        conv_norm(outputs, outputs, 1),
    )
