"""VGG networks (Simonyan & Zisserman 2015, table 1, columns D and E)."""

from collections import OrderedDict

from torch import nn

from ..layers.flatten import ChannelsLastFlatten
from .arguments import check_arguments

#: channels of the 3x3 convolutions between poolings
CHANNELS = (64, 128, 256, 512, 512)
#: convolutions between poolings
CONVOLUTIONS_16, CONVOLUTIONS_19 = (2, 2, 3, 3, 3), (2, 2, 4, 4, 4)
#: units of the two dense layers before the classifier
DENSE_UNITS = 4096
#: every pooling halves height and width
POOLED_BY = 2 ** len(CHANNELS)


def vgg16(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds VGG-16: 15.5 G multiply-accumulates at 224x224, 138.4 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width); height and width at least 32.
    """
    return _vgg(CONVOLUTIONS_16, num_classes, input_shape)


def vgg19(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds VGG-19: 19.6 G multiply-accumulates at 224x224, 143.7 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width); height and width at least 32.
    """
    return _vgg(CONVOLUTIONS_19, num_classes, input_shape)


def _vgg(convolutions: tuple[int, ...], num_classes: int, input_shape: tuple[int, ...]) -> nn.Sequential:
    """Builds `features` (conv1_1 ... pool5), flattened channels last as in Keras, and `classifier`."""
    check_arguments(num_classes, input_shape, smallest=POOLED_BY)
    channels, height, width = input_shape
    features: OrderedDict[str, nn.Module] = OrderedDict()
    for stage, (outputs, count) in enumerate(zip(CHANNELS, convolutions, strict=True), start=1):
        for position in range(1, count + 1):
            features[f"conv{stage}_{position}"] = nn.Conv2d(channels, outputs, 3, padding=1)
            features[f"relu{stage}_{position}"] = nn.ReLU()
            channels = outputs
        features[f"pool{stage}"] = nn.MaxPool2d(2)
    flat = channels * (height // POOLED_BY) * (width // POOLED_BY)
    classifier = OrderedDict(
        flatten=ChannelsLastFlatten(),
        dense1=nn.Linear(flat, DENSE_UNITS),
        relu1=nn.ReLU(),
        dense2=nn.Linear(DENSE_UNITS, DENSE_UNITS),
        relu2=nn.ReLU(),
        dense3=nn.Linear(DENSE_UNITS, num_classes),
    )
    return nn.Sequential(OrderedDict(features=nn.Sequential(features), classifier=nn.Sequential(classifier)))
