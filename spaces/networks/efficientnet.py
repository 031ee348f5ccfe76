"""EfficientNet-B0 (Tan & Le 2019, table 1) and EfficientNet v2 S (Tan & Le 2021, table 4)."""

from typing import NamedTuple

from torch import nn

from .arguments import check_arguments
from .conv_norm import conv_norm
from .inverted_residual import BATCH_NORM_EPS, Functions, Residual, around_blocks, inverted_residual

#: squeeze-excitations squeeze to a quarter of what their block reads
SQUEEZE = 4
#: functions of the squeeze-excitations
EXCITING: Functions = (nn.SiLU, nn.Sigmoid)


class Stage(NamedTuple):
    """Blocks of one kind: how many, window, stride of the first, expansion, channels, whether fused."""

    blocks: int
    size: int
    stride: int
    expansion: int
    channels: int
    fused: bool = False


#: table 1 of the first paper
B0 = (
    Stage(1, 3, 1, 1, 16), Stage(2, 3, 2, 6, 24), Stage(2, 5, 2, 6, 40), Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112), Stage(4, 5, 2, 6, 192), Stage(1, 3, 1, 6, 320),
)  # fmt: skip
#: table 4 of the second paper
V2_S = (
    Stage(2, 3, 1, 1, 24, True), Stage(4, 3, 2, 4, 48, True), Stage(4, 3, 2, 4, 64, True),
    Stage(6, 3, 2, 4, 128), Stage(9, 3, 1, 6, 160), Stage(15, 3, 2, 6, 256),
)  # fmt: skip


def efficientnet_b0(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds EfficientNet-B0: 386 M multiply-accumulates at 224x224, 5.3 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).
    """
    return _efficientnet(32, B0, num_classes, input_shape)


def efficientnet_v2_s(num_classes: int, input_shape: tuple[int, ...] = (3, 384, 384)) -> nn.Module:
    """Builds EfficientNet v2 S: 8.37 G multiply-accumulates at 384x384, 21.5 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).
    """
    return _efficientnet(24, V2_S, num_classes, input_shape)


def _efficientnet(
    stem_channels: int, stages: tuple[Stage, ...], num_classes: int, input_shape: tuple[int, ...]
) -> nn.Sequential:
    """Builds `stem`, `blocks` (see `inverted_residual`), `head`, `mean`, `flatten` and `classifier`."""
    check_arguments(num_classes, input_shape)
    channels = stem_channels
    blocks = nn.Sequential()
    for stage in stages:
        for position in range(stage.blocks):
            blocks.append(_block(stage, channels, stage.stride if position == 0 else 1))
            channels = stage.channels
    return around_blocks(input_shape[0], stem_channels, blocks, channels, num_classes, nn.SiLU)


def _block(stage: Stage, inputs: int, stride: int) -> nn.Module:
    if stage.fused and stage.expansion == 1:  # nothing to narrow again
        body = conv_norm(inputs, stage.channels, stage.size, stride, "same", nn.SiLU, BATCH_NORM_EPS)
        return Residual(body) if stride == 1 and inputs == stage.channels else body
    return inverted_residual(
        inputs,
        stage.expansion * inputs,
        stage.channels,
        stage.size,
        stride,
        nn.SiLU,
        0 if stage.fused else inputs // SQUEEZE,
        stage.fused,
        exciting=EXCITING,
    )
