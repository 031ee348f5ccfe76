"""Inception v4 (Szegedy et al. 2017, figures 3 to 9), as TF-Slim builds it: every convolution normalised."""

from collections import OrderedDict

from torch import nn

from ..layers.same_padding import SameAvgPool2d
from .arguments import check_arguments
from .conv_norm import INCEPTION_EPS, conv_norm
from .parallel import Parallel

#: how often the modules A, B and C stand one after the other (figure 9)
REPEATS_A, REPEATS_B, REPEATS_C = 4, 7, 3
#: of TF-Slim (inception_v4.py, dropout_keep_prob) and the paper's figure 9
DROPOUT = 0.2
#: least height and width of which the convolutions without padding leave something
SMALLEST = 75

#: one convolution: its channels, the size of its window, and for one without padding its stride
Step = tuple[int, int | tuple[int, int]] | tuple[int, int | tuple[int, int], int]


def inception_v4(num_classes: int, input_shape: tuple[int, ...] = (3, 299, 299)) -> nn.Module:
    """Builds Inception v4: 12.3 G multiply-accumulates at 299x299, 42.6 M parameters with 1001 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width); height and width at least 75.

    Raises:
        AtollError: for fewer than two classes or an input that is too small.
    """
    check_arguments(num_classes, input_shape, smallest=SMALLEST)
    parts: OrderedDict[str, nn.Module] = OrderedDict(stem=_stem(input_shape[0]))
    parts["a"] = nn.Sequential(*(_module_a() for _ in range(REPEATS_A)))
    parts["reduction_a"] = Parallel(
        _chain(384, (384, 3, 2)), _chain(384, (192, 1), (224, 3), (256, 3, 2)), nn.MaxPool2d(3, 2)
    )
    parts["b"] = nn.Sequential(*(_module_b() for _ in range(REPEATS_B)))
    parts["reduction_b"] = Parallel(
        _chain(1024, (192, 1), (192, 3, 2)),
        _chain(1024, (256, 1), (256, (1, 7)), (320, (7, 1)), (320, 3, 2)),
        nn.MaxPool2d(3, 2),
    )
    parts["c"] = nn.Sequential(*(_module_c() for _ in range(REPEATS_C)))
    parts["mean"] = nn.AdaptiveAvgPool2d(1)
    parts["dropout"] = nn.Dropout(DROPOUT)
    parts["flatten"] = nn.Flatten()
    parts["classifier"] = nn.Linear(1536, num_classes)
    return nn.Sequential(parts)


def _stem(channels: int) -> nn.Sequential:
    """From images to 384 channels at an eighth of the height and width (figure 3)."""
    return nn.Sequential(
        _chain(channels, (32, 3, 2), (32, 3, 1), (64, 3)),
        Parallel(nn.MaxPool2d(3, 2), _chain(64, (96, 3, 2))),
        Parallel(
            _chain(160, (64, 1), (96, 3, 1)), _chain(160, (64, 1), (64, (1, 7)), (64, (7, 1)), (96, 3, 1))
        ),
        Parallel(_chain(192, (192, 3, 2)), nn.MaxPool2d(3, 2)),
    )


def _module_a() -> Parallel:
    """384 channels to 384 (figure 4)."""
    return Parallel(
        _chain(384, (96, 1)),
        _chain(384, (64, 1), (96, 3)),
        _chain(384, (64, 1), (96, 3), (96, 3)),
        _averaged(384, 96),
    )


def _module_b() -> Parallel:
    """1024 channels to 1024 (figure 5)."""
    return Parallel(
        _chain(1024, (384, 1)),
        _chain(1024, (192, 1), (224, (1, 7)), (256, (7, 1))),
        _chain(1024, (192, 1), (192, (7, 1)), (224, (1, 7)), (224, (7, 1)), (256, (1, 7))),
        _averaged(1024, 128),
    )


def _module_c() -> Parallel:
    """1536 channels to 1536 (figure 6)."""
    return Parallel(
        _chain(1536, (256, 1)),
        nn.Sequential(_chain(1536, (384, 1)), _forked(384)),
        nn.Sequential(_chain(1536, (384, 1), (448, (3, 1)), (512, (1, 3))), _forked(512)),
        _averaged(1536, 256),
    )


def _forked(inputs: int) -> Parallel:
    return Parallel(_chain(inputs, (256, (1, 3))), _chain(inputs, (256, (3, 1))))


def _averaged(inputs: int, outputs: int) -> nn.Sequential:
    """An average over 3x3 positions, as many of them as there are at the border, and a 1x1 convolution."""
    return nn.Sequential(SameAvgPool2d(3, 1), _chain(inputs, (outputs, 1)))


def _chain(inputs: int, *steps: Step) -> nn.Sequential:
    """Convolutions one after the other."""
    convolutions = []
    for outputs, size, *unpadded in steps:
        stride = unpadded[0] if unpadded else 1
        padding: int | str = 0 if unpadded else "same"
        convolutions.append(conv_norm(inputs, outputs, size, stride, padding, eps=INCEPTION_EPS))
        inputs = outputs
    return nn.Sequential(*convolutions)
