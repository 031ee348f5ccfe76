"""MobileNet v1 (Howard et al. 2017, table 1), as Keras builds it."""

from collections import OrderedDict

from torch import nn

from .arguments import check_arguments
from .conv_norm import conv_norm
from .inverted_residual import BATCH_NORM_EPS

#: channels of the first convolution
STEM_CHANNELS = 32
#: (channels, stride) of the separable convolutions
BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1),
)  # fmt: skip


def mobilenet_v1(
    num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224), width: float = 1.0
) -> nn.Module:
    """Builds MobileNet v1: 569 M multiply-accumulates at 224x224, 4.2 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).
        width: what all channels inside are multiplied by (Howard et al. 2017, section 3.3).

    Returns:
        A Sequential of `stem`, `blocks` (each `depthwise` and `pointwise`), `mean`, `flatten`, `classifier`.

    Raises:
        AtollError: for fewer than two classes or an empty shape.
    """
    check_arguments(num_classes, input_shape)
    channels = stem_channels = int(width * STEM_CHANNELS)
    blocks = nn.Sequential()
    for outputs, stride in BLOCKS:
        blocks.append(_separable(channels, int(width * outputs), stride))
        channels = int(width * outputs)
    return nn.Sequential(
        OrderedDict(
            stem=_conv(input_shape[0], stem_channels, 3, 2),
            blocks=blocks,
            mean=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            classifier=nn.Linear(channels, num_classes),
        )
    )


def mobilenet_v1_025(num_classes: int, input_shape: tuple[int, ...] = (3, 96, 96)) -> nn.Module:
    """Builds MobileNet v1 of width 0.25: 7.5 M multiply-accumulates at 96x96, 0.21 M parameters, 2 classes.

    It finds people in MLPerf Tiny (Banbury et al. 2021, "Visual Wake Words"), where its convolutions have
    biases too, which their normalisations take away again.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).
    """
    return mobilenet_v1(num_classes, input_shape, width=0.25)


def _separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Returns a 3x3 convolution of each channel by itself and a 1x1 one that mixes them."""
    return nn.Sequential(
        OrderedDict(
            depthwise=_conv(inputs, inputs, 3, stride, groups=inputs), pointwise=_conv(inputs, outputs, 1)
        )
    )


def _conv(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return conv_norm(inputs, outputs, size, stride, "same", nn.ReLU6, BATCH_NORM_EPS, groups)
