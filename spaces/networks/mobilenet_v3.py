"""MobileNet v3 (Howard et al. 2019), the small one of PUB-I table 2."""

from collections import OrderedDict

from torch import nn

from .arguments import check_arguments
from .conv_norm import conv_norm
from .inverted_residual import BATCH_NORM_EPS, inverted_residual

#: channels of the first convolution, of the last one of maps, and of the dense layer behind their means
STEM_CHANNELS, LAST_CHANNELS, HEAD_CHANNELS = 16, 576, 1280
#: (window, expanded, channels, squeeze-excitation, activation, stride): table 2 of the paper
BLOCKS = (
    (3, 16, 16, True, nn.ReLU, 2),
    (3, 72, 24, False, nn.ReLU, 2),
    (3, 88, 24, False, nn.ReLU, 1),
    (5, 96, 40, True, nn.Hardswish, 2),
    (5, 240, 40, True, nn.Hardswish, 1),
    (5, 240, 40, True, nn.Hardswish, 1),
    (5, 120, 48, True, nn.Hardswish, 1),
    (5, 144, 48, True, nn.Hardswish, 1),
    (5, 288, 96, True, nn.Hardswish, 2),
    (5, 576, 96, True, nn.Hardswish, 1),
    (5, 576, 96, True, nn.Hardswish, 1),
)


def mobilenet_v3_small_full_se(
    num_classes: int, input_shape: tuple[int, int, int] = (3, 224, 224)
) -> nn.Module:
    """Builds MobileNet v3 small with as many channels in squeeze-excitations as around, and a head of 1280.

    PUB-I table 2 names no variant; 12.17 MB and 15.24 MFLOP at 64x64 with 11 classes fit this one. (The paper
    of the network squeezes to a quarter and has 2.9 M parameters.)

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).

    Returns:
        A Sequential of `stem`, `blocks` (see `inverted_residual`), `last`, `mean`, `head`, `activation`,
        `flatten` and `classifier`.

    Raises:
        AtollError: for fewer than two classes or an empty shape.
    """
    check_arguments(num_classes, input_shape)
    channels = STEM_CHANNELS
    blocks = nn.Sequential()
    for size, expanded, outputs, excites, activation, stride in BLOCKS:
        squeezed = expanded if excites else 0
        blocks.append(inverted_residual(channels, expanded, outputs, size, stride, activation, squeezed))
        channels = outputs
    return nn.Sequential(
        OrderedDict(
            stem=conv_norm(input_shape[0], STEM_CHANNELS, 3, 2, "same", nn.Hardswish, BATCH_NORM_EPS),
            blocks=blocks,
            last=conv_norm(channels, LAST_CHANNELS, 1, activation=nn.Hardswish, eps=BATCH_NORM_EPS),
            mean=nn.AdaptiveAvgPool2d(1),
            head=nn.Conv2d(LAST_CHANNELS, HEAD_CHANNELS, 1),
            activation=nn.Hardswish(),
            flatten=nn.Flatten(),
            classifier=nn.Linear(HEAD_CHANNELS, num_classes),
        )
    )
