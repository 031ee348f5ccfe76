"""SqueezeNet 1.0 (Iandola et al. 2016, table 1), without the sparsity."""

from collections import OrderedDict

from torch import nn

from ..layers.same_padding import SameMaxPool2d
from .arguments import check_arguments
from .parallel import Parallel

#: channels of the first convolution, and its window, which stays inside of the maps
STEM_CHANNELS, STEM_SIZE = 96, 7
#: (squeezed, channels of each of the two convolutions behind) of the fire modules between poolings
STAGES = (
    ((16, 64), (16, 64), (32, 128)),
    ((32, 128), (48, 192), (48, 192), (64, 256)),
    ((64, 256),),
)


def squeezenet(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds SqueezeNet 1.0: 0.87 G multiply-accumulates at 224x224, 1.25 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width); height and width at least 7.

    Returns:
        A Sequential of `conv1`, `relu1`, `pool1`, `fire2` ... `fire9` with poolings between, `conv10`,
        `relu10`, `mean` and `flatten`: the last convolution makes the logits.

    Raises:
        AtollError: for fewer than two classes or a smaller input.
    """
    check_arguments(num_classes, input_shape, smallest=STEM_SIZE)
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(input_shape[0], STEM_CHANNELS, STEM_SIZE, 2), relu1=nn.ReLU()
    )
    channels, number = STEM_CHANNELS, 1
    for stage in STAGES:
        parts[f"pool{number}"] = SameMaxPool2d(3, 2)
        for squeezed, outputs in stage:
            number += 1
            parts[f"fire{number}"] = _fire(channels, squeezed, outputs)
            channels = 2 * outputs
    last = OrderedDict(conv10=nn.Conv2d(channels, num_classes, 1), relu10=nn.ReLU())
    return nn.Sequential(OrderedDict(**parts, **last, mean=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten()))


def _fire(inputs: int, squeezed: int, outputs: int) -> nn.Sequential:
    """Returns a 1x1 convolution to a few channels, then a 1x1 and a 3x3 one side by side."""
    point = nn.Sequential(nn.Conv2d(squeezed, outputs, 1), nn.ReLU())
    wide = nn.Sequential(nn.Conv2d(squeezed, outputs, 3, padding=1), nn.ReLU())
    parts = OrderedDict(squeeze=nn.Conv2d(inputs, squeezed, 1), relu=nn.ReLU(), expand=Parallel(point, wide))
    return nn.Sequential(parts)
