"""ConvNeXt-Tiny (Liu et al. 2022, table 9): wide depthwise windows, layer norms, GELU, layer scale."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from ..layers.combine import Add
from .arguments import check_arguments

#: (channels, blocks) of the stages (section 2.2)
STAGES = ((96, 3), (192, 3), (384, 9), (768, 3))
#: size and stride of the first convolution, and of those between the stages
STEM_SIZE, HALVING_SIZE = 4, 2
#: halved three times behind the first convolution
SMALLEST = STEM_SIZE * HALVING_SIZE**3
#: of the depthwise windows, and how many times wider a block is inside (figure 4)
SIZE, EXPANSION = 7, 4
#: of the norms, and what a block's result is weighed by at first (appendix A.1)
EPS, LAYER_SCALE = 1e-6, 1e-6


def convnext_tiny(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds ConvNeXt-Tiny: 4.46 G multiply-accumulates at 224x224, 28.6 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width); height and width at least 32.

    Returns:
        A Sequential of `stem`, `stages`, `mean`, `norm`, `flatten` and `classifier`.

    Raises:
        AtollError: for fewer than two classes or an input that is too small.
    """
    check_arguments(num_classes, input_shape, smallest=SMALLEST)
    channels, stages = STAGES[0][0], nn.Sequential()
    for outputs, count in STAGES:
        stage = nn.Sequential()
        if outputs != channels:
            stage.append(ChannelNorm(channels))
            stage.append(nn.Conv2d(channels, outputs, HALVING_SIZE, HALVING_SIZE))
        stages.append(stage.extend([Block(outputs) for _ in range(count)]))
        channels = outputs
    stem = nn.Conv2d(input_shape[0], STAGES[0][0], STEM_SIZE, STEM_SIZE)
    return nn.Sequential(
        OrderedDict(
            stem=nn.Sequential(stem, ChannelNorm(STAGES[0][0])),
            stages=stages,
            mean=nn.AdaptiveAvgPool2d(1),
            norm=ChannelNorm(channels),
            flatten=nn.Flatten(),
            classifier=nn.Linear(channels, num_classes),
        )
    )


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of maps (N, C, height, width), at every position by itself.

    Args:
        channels: of the maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, EPS)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """A depthwise window, then two dense layers at every position, weighed, beside the input (figure 4).

    Args:
        channels: read and made.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, SIZE, padding=SIZE // 2, groups=channels)
        self.norm = nn.LayerNorm(channels, EPS)
        self.expand = nn.Linear(channels, EXPANSION * channels)
        self.gelu = nn.GELU()
        self.project = nn.Linear(EXPANSION * channels, channels)
        self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), LAYER_SCALE))
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        rows = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        maps = self.project(self.gelu(self.expand(rows))).permute(0, 3, 1, 2)
        return self.add(x, self.layer_scale * maps)
