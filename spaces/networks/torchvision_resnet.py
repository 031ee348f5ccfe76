"""ResNet-18, 34 and 50 (He et al. 2016a, table 1) under torchvision's names, so that its weights fit.

ResNet-50 strides in its 3x3 convolutions ("v1.5"), as torchvision's does.
"""

from collections import OrderedDict

from torch import Tensor, nn

from ..layers.combine import Add
from .arguments import check_arguments

#: units of each of the four layers
UNITS_18, UNITS_34_50 = (2, 2, 2, 2), (3, 4, 6, 3)
#: channels of the first convolution, which are doubled from one layer to the next
ROOT_CHANNELS = 64


def resnet18(
    num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224), width: int = ROOT_CHANNELS
) -> nn.Module:
    """Builds ResNet-18: 1.81 G multiply-accumulates at 224x224, 11.7 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).
        width: channels of the first convolution.
    """
    return _resnet(BasicBlock, UNITS_18, num_classes, input_shape, width)


def resnet34(
    num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224), width: int = ROOT_CHANNELS
) -> nn.Module:
    """Builds ResNet-34: 3.66 G multiply-accumulates at 224x224, 21.8 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).
        width: channels of the first convolution.
    """
    return _resnet(BasicBlock, UNITS_34_50, num_classes, input_shape, width)


def resnet50(
    num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224), width: int = ROOT_CHANNELS
) -> nn.Module:
    """Builds ResNet-50 v1.5: 4.09 G multiply-accumulates at 224x224, 25.6 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).
        width: channels of the first convolution.
    """
    return _resnet(Bottleneck, UNITS_34_50, num_classes, input_shape, width)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut.

    Args:
        inputs: channels read.
        width: channels of the convolutions.
        stride: of the first one and of the shortcut.
    """

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)
        self.add = Add()
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(self.add(residual, self.downsample(x)))


class Bottleneck(nn.Module):
    """A 3x3 convolution of few channels between two 1x1 ones, beside a shortcut.

    Args:
        inputs: channels read.
        width: channels of the 3x3 convolution.
        stride: of the 3x3 convolution and of the shortcut.
    """

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)
        self.add = Add()
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x, shortcut = self.relu1(self.bn1(self.conv1(x))), self.downsample(x)
        return self.relu3(self.add(self.bn3(self.conv3(self.relu2(self.bn2(self.conv2(x))))), shortcut))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def _resnet(
    block: type[BasicBlock] | type[Bottleneck],
    units: tuple[int, ...],
    num_classes: int,
    input_shape: tuple[int, ...],
    width: int,
) -> nn.Sequential:
    """Builds `conv1`, `bn1`, `relu`, `maxpool`, `layer1` ... `layer4`, `avgpool`, `flatten` and `fc`."""
    check_arguments(num_classes, input_shape)
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(input_shape[0], width, 7, 2, 3, bias=False),
        bn1=nn.BatchNorm2d(width),
        relu=nn.ReLU(),
        maxpool=nn.MaxPool2d(3, 2, 1),
    )
    channels = width
    for number, count in enumerate(units):
        layer = nn.Sequential()
        for position in range(count):
            stride = 2 if number > 0 and position == 0 else 1
            layer.append(block(channels, width * 2**number, stride))
            channels = block.expansion * width * 2**number
        parts[f"layer{number + 1}"] = layer
    parts["avgpool"] = nn.AdaptiveAvgPool2d(1)
    parts["flatten"] = nn.Flatten()
    parts["fc"] = nn.Linear(channels, num_classes)
    return nn.Sequential(parts)
