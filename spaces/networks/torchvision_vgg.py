"""VGG-16 (Simonyan & Zisserman 2015) with norms, under torchvision's names, so that its weights fit."""

from collections import OrderedDict

from torch import nn

from .arguments import check_arguments
from .vgg import CHANNELS, CONVOLUTIONS_16, DENSE_UNITS, POOLED_BY

#: height and width of the maps that the dense layers read, whatever the images have (torchvision)
POOLED_TO = 7


def vgg16_bn(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224), width: float = 1.0) -> nn.Module:
    """Builds VGG-16 with norms: 15.5 G multiply-accumulates at 224x224, 138.4 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width); height and width at least 32.
        width: what all channels and units inside are multiplied by.

    Returns:
        A Sequential of `features`, `avgpool`, `flatten` and `classifier`.

    Raises:
        AtollError: for fewer than two classes or an input that is too small.
    """
    check_arguments(num_classes, input_shape, smallest=POOLED_BY)
    channels, units, features = input_shape[0], int(width * DENSE_UNITS), nn.Sequential()
    for full, count in zip(CHANNELS, CONVOLUTIONS_16, strict=True):
        outputs = int(width * full)
        for _ in range(count):
            features.extend([nn.Conv2d(channels, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()])
            channels = outputs
        features.append(nn.MaxPool2d(2))
    classifier = nn.Sequential(
        nn.Linear(channels * POOLED_TO**2, units), nn.ReLU(), nn.Dropout(),
        nn.Linear(units, units), nn.ReLU(), nn.Dropout(),
        nn.Linear(units, num_classes),
    )  # fmt: skip
    pooled = OrderedDict(avgpool=nn.AdaptiveAvgPool2d(POOLED_TO), flatten=nn.Flatten())
    return nn.Sequential(OrderedDict(features=features, **pooled, classifier=classifier))
