"""MobileNet v2 of width 1.0 (Sandler et al. 2018, table 2), as Keras builds it."""

from torch import nn

from .arguments import check_arguments
from .inverted_residual import around_blocks, inverted_residual

#: channels of the first convolution
STEM_CHANNELS = 32
#: (expansion, channels, blocks, stride of the first of them): t, c, n and s of the paper
STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


def mobilenet_v2(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds MobileNet v2: 301 M multiply-accumulates at 224x224, 3.5 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).

    Returns:
        A Sequential of `stem`, `blocks` (see `inverted_residual`), `head`, `mean`, `flatten`, `classifier`.

    Raises:
        AtollError: for fewer than two classes or an empty shape.
    """
    check_arguments(num_classes, input_shape)
    channels = STEM_CHANNELS
    blocks = nn.Sequential()
    for expansion, outputs, count, stride in STAGES:
        for position in range(count):
            step = stride if position == 0 else 1
            blocks.append(inverted_residual(channels, expansion * channels, outputs, stride=step))
            channels = outputs
    return around_blocks(input_shape[0], STEM_CHANNELS, blocks, channels, num_classes)
