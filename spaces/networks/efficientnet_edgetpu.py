"""EfficientNet-EdgeTPU (Gupta & Akin 2020, "Accelerator-aware neural network design using AutoML")."""

from torch import nn

from .arguments import check_arguments
from .inverted_residual import around_blocks, inverted_residual

#: channels of the first convolution
STEM_CHANNELS = 32
#: (blocks, window, stride of the first, expansion, channels that it multiplies, channels, fused, residuals):
#: efficientnet_edgetpu_builder.py in the repository tensorflow/tpu. The first one multiplies 24 channels,
#: although it reads 32.
STAGES = (
    (1, 3, 1, 4, 24, 24, True, False),
    (2, 3, 2, 8, 24, 32, True, True),
    (4, 3, 2, 8, 32, 48, True, True),
    (5, 5, 2, 8, 48, 96, False, True),
    (4, 5, 1, 8, 96, 144, False, True),
    (2, 5, 2, 8, 144, 192, False, True),
)


def efficientnet_edgetpu_s(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds EfficientNet-EdgeTPU-S: 1.79 G multiply-accumulates at 224x224, 5.4 M parameters.

    A fused block strides in its 3x3 convolution, as in timm's `efficientnet_es`, whose count is the published
    one; in tensorflow/tpu the 1x1 one behind it strides, at 2.35 G multiply-accumulates.

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
    for count, size, stride, expansion, multiplied, outputs, fused, skip in STAGES:
        for position in range(count):
            expanded = expansion * (multiplied if position == 0 else outputs)
            step = stride if position == 0 else 1
            blocks.append(
                inverted_residual(channels, expanded, outputs, size, step, nn.ReLU, fused=fused, skip=skip)
            )
            channels = outputs
    return around_blocks(input_shape[0], STEM_CHANNELS, blocks, channels, num_classes, nn.ReLU)
