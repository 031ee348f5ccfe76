"""MobileNet v3 (Howard et al. 2019, tables 1 and 2), as Keras builds it, and that of PUB-I table 2."""

from collections import OrderedDict

from torch import nn

from .arguments import check_arguments
from .conv_norm import conv_norm
from .inverted_residual import BATCH_NORM_EPS, divisible, inverted_residual

#: channels of the first convolution; of the dense layer behind the means of the maps, in the small network
#: and in the large one; the last convolution of maps gives so many times what it reads
STEM_CHANNELS, SMALL_HEAD, LARGE_HEAD, LAST_EXPANSION = 16, 1024, 1280, 6
#: squeeze-excitations squeeze to a quarter (section 5.3)
SQUEEZE = 4
#: (window, expanded, channels, squeeze-excitation, activation, stride) of a block
Block = tuple[int, int, int, bool, type[nn.Module], int]
#: table 2 of the paper
SMALL_BLOCKS: tuple[Block, ...] = (
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
#: table 1 of the paper
LARGE_BLOCKS: tuple[Block, ...] = (
    (3, 16, 16, False, nn.ReLU, 1),
    (3, 64, 24, False, nn.ReLU, 2),
    (3, 72, 24, False, nn.ReLU, 1),
    (5, 72, 40, True, nn.ReLU, 2),
    (5, 120, 40, True, nn.ReLU, 1),
    (5, 120, 40, True, nn.ReLU, 1),
    (3, 240, 80, False, nn.Hardswish, 2),
    (3, 200, 80, False, nn.Hardswish, 1),
    (3, 184, 80, False, nn.Hardswish, 1),
    (3, 184, 80, False, nn.Hardswish, 1),
    (3, 480, 112, True, nn.Hardswish, 1),
    (3, 672, 112, True, nn.Hardswish, 1),
    (5, 672, 160, True, nn.Hardswish, 2),
    (5, 960, 160, True, nn.Hardswish, 1),
    (5, 960, 160, True, nn.Hardswish, 1),
)


def mobilenet_v3_small(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds MobileNet v3 small: 57 M multiply-accumulates at 224x224, 2.5 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).
    """
    return _mobilenet_v3(SMALL_BLOCKS, SMALL_HEAD, SQUEEZE, num_classes, input_shape)


def mobilenet_v3_large(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds MobileNet v3 large: 217 M multiply-accumulates at 224x224, 5.5 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).
    """
    return _mobilenet_v3(LARGE_BLOCKS, LARGE_HEAD, SQUEEZE, num_classes, input_shape)


def mobilenet_v3_small_full_se(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds MobileNet v3 small with as many channels in squeeze-excitations as around, and a head of 1280.

    PUB-I table 2 names no variant; 12.17 MB and 15.24 MFLOP at 64x64 with 11 classes fit this one.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).
    """
    return _mobilenet_v3(SMALL_BLOCKS, LARGE_HEAD, 1, num_classes, input_shape)


def _mobilenet_v3(
    plan: tuple[Block, ...], head: int, squeeze: int, num_classes: int, input_shape: tuple[int, ...]
) -> nn.Sequential:
    """Builds `stem`, `blocks`, `last`, `mean`, `head`, `activation`, `flatten` and `classifier`."""
    check_arguments(num_classes, input_shape)
    channels = STEM_CHANNELS
    blocks = nn.Sequential()
    for size, expanded, outputs, excites, activation, stride in plan:
        squeezed = divisible(expanded / squeeze) if excites else 0
        blocks.append(inverted_residual(channels, expanded, outputs, size, stride, activation, squeezed))
        channels = outputs
    last = LAST_EXPANSION * channels
    return nn.Sequential(
        OrderedDict(
            stem=conv_norm(input_shape[0], STEM_CHANNELS, 3, 2, "same", nn.Hardswish, BATCH_NORM_EPS),
            blocks=blocks,
            last=conv_norm(channels, last, 1, activation=nn.Hardswish, eps=BATCH_NORM_EPS),
            mean=nn.AdaptiveAvgPool2d(1),
            head=nn.Conv2d(last, head, 1),
            activation=nn.Hardswish(),
            flatten=nn.Flatten(),
            classifier=nn.Linear(head, num_classes),
        )
    )
