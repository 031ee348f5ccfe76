"""Residual networks of bottlenecks, with the stride in the last unit of a block (TF-Slim, Keras V2).

Version 1: He et al. 2016a, table 1. Version 2, normalised before its convolutions: He et al. 2016b, figure
4e. The papers halve the maps in the first unit of a block. TF-Slim does so in the last one, which saves a
tenth of the work of version 1; its networks are the ones that were published as `.tflite` files.
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn

from ..layers.combine import Add
from ..layers.same_padding import SameMaxPool2d
from .arguments import check_arguments
from .conv_norm import conv_norm

#: units of each block (He et al. 2016a, table 1)
UNITS_50 = (3, 4, 6, 3)
UNITS_152 = (3, 8, 36, 3)
#: (channels of the 3x3 convolution, stride of the last unit) of the four blocks
BLOCKS = ((64, 2), (128, 2), (256, 2), (512, 1))
#: channels of the first convolution
ROOT_CHANNELS = 64
#: a bottleneck gives four times the channels of its 3x3 convolution
EXPANSION = 4


def resnet50_v1(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds ResNet-50 v1: 3.48 G multiply-accumulates at 224x224, 25.6 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).
    """
    return _resnet(version_1, UNITS_50, num_classes, input_shape)


def resnet50_v2(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds ResNet-50 v2: 3.48 G multiply-accumulates at 224x224, 25.6 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).
    """
    return _resnet(version_2, UNITS_50, num_classes, input_shape)


def resnet152_v2(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds ResNet-152 v2: 10.9 G multiply-accumulates at 224x224, 60.2 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).
    """
    return _resnet(version_2, UNITS_152, num_classes, input_shape)


class UnitV1(nn.Module):
    """Three convolutions, each normalised behind, beside a shortcut; ReLU behind the sum.

    Args:
        inputs: channels read.
        width: channels of the 3x3 convolution.
        stride: of the 3x3 convolution; the shortcut skips as many positions.
    """

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.shortcut: nn.Module = (
            conv_norm(inputs, outputs, 1, stride, activation=None) if inputs != outputs else _every(stride)
        )
        self.residual = nn.Sequential(
            OrderedDict(
                reduce=conv_norm(inputs, width, 1),
                convolve=conv_norm(width, width, 3, stride, padding=1),
                expand=conv_norm(width, outputs, 1, activation=None),
            )
        )
        self.add = Add()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.add(self.residual(x), self.shortcut(x)))


class UnitV2(nn.Module):
    """Normalisation and ReLU, then three convolutions beside a shortcut; nothing behind the sum.

    A shortcut that changes the channels reads the normalised maps, any other the maps as they came.

    Args:
        inputs: channels read.
        width: channels of the 3x3 convolution.
        stride: of the 3x3 convolution; the shortcut skips as many positions.
    """

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.projects = inputs != outputs
        self.norm = nn.BatchNorm2d(inputs)
        self.relu = nn.ReLU()
        self.shortcut: nn.Module = nn.Conv2d(inputs, outputs, 1, stride) if self.projects else _every(stride)
        self.residual = nn.Sequential(
            OrderedDict(
                reduce=conv_norm(inputs, width, 1),
                convolve=conv_norm(width, width, 3, stride, padding=1),
                expand=nn.Conv2d(width, outputs, 1),
            )
        )
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        normed = self.relu(self.norm(x))
        return self.add(self.residual(normed), self.shortcut(normed if self.projects else x))


def version_1(in_channels: int, units: tuple[int, ...]) -> OrderedDict[str, nn.Module]:
    """Returns the parts of version 1 up to the last maps: `root`, `pool` and `block1` to `block4`.

    Args:
        in_channels: of the images.
        units: of each block.
    """
    root = conv_norm(in_channels, ROOT_CHANNELS, 7, 2, padding=3)
    return OrderedDict(root=root, pool=SameMaxPool2d(3, 2), **_blocks(UnitV1, units))


def version_2(in_channels: int, units: tuple[int, ...]) -> OrderedDict[str, nn.Module]:
    """Returns the parts of version 2 up to the last maps: those of version 1, and `norm` and `relu`.

    Args:
        in_channels: of the images.
        units: of each block.
    """
    root = nn.Conv2d(in_channels, ROOT_CHANNELS, 7, 2, 3)
    blocks = _blocks(UnitV2, units)
    norm = nn.BatchNorm2d(EXPANSION * BLOCKS[-1][0])
    return OrderedDict(root=root, pool=SameMaxPool2d(3, 2), **blocks, norm=norm, relu=nn.ReLU())


def _blocks(unit: type[UnitV1] | type[UnitV2], units: tuple[int, ...]) -> OrderedDict[str, nn.Module]:
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    inputs = ROOT_CHANNELS
    for number, (count, (width, stride)) in enumerate(zip(units, BLOCKS, strict=True), start=1):
        block = nn.Sequential()
        for position in range(count):
            block.append(unit(inputs, width, stride if position == count - 1 else 1))
            inputs = EXPANSION * width
        blocks[f"block{number}"] = block
    return blocks


def _resnet(
    version: Callable[[int, tuple[int, ...]], OrderedDict[str, nn.Module]],
    units: tuple[int, ...],
    num_classes: int,
    input_shape: tuple[int, ...],
) -> nn.Sequential:
    check_arguments(num_classes, input_shape)
    maps = version(input_shape[0], units)
    classifier = nn.Linear(EXPANSION * BLOCKS[-1][0], num_classes)
    mean = OrderedDict(mean=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    return nn.Sequential(OrderedDict(**maps, **mean, classifier=classifier))


def _every(stride: int) -> nn.Module:
    """Keeps every so many-th position of the maps."""
    return nn.Identity() if stride == 1 else nn.MaxPool2d(1, stride)
