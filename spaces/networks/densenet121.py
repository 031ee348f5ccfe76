"""DenseNet-121 (Huang et al. 2017, table 1): every layer reads what all before it in its block made."""

from collections import OrderedDict

from torch import Tensor, nn

from ..layers.combine import Concatenate
from .arguments import check_arguments
from .conv_norm import conv_norm

#: layers of each block (table 1)
LAYERS = (6, 12, 24, 16)
#: channels that a layer adds, "growth rate" (table 1)
GROWTH = 32
#: a layer's 1x1 convolution gives so many times the growth (section 3, "Bottleneck layers")
BOTTLENECK = 4
#: channels of the first convolution: twice the growth (section 3, "Implementation Details")
ROOT_CHANNELS = 64
#: halved five times, three of them without padding
SMALLEST = 29


def densenet121(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds DenseNet-121: 2.83 G multiply-accumulates at 224x224, 8.0 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width); height and width at least 29.

    Raises:
        AtollError: for fewer than two classes or an input that is too small.
    """
    check_arguments(num_classes, input_shape, smallest=SMALLEST)
    channels = ROOT_CHANNELS
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        root=conv_norm(input_shape[0], channels, 7, 2, padding=3), pool=nn.MaxPool2d(3, 2, padding=1)
    )
    for number, count in enumerate(LAYERS, start=1):
        if number > 1:
            parts[f"transition{number - 1}"] = _transition(channels)
            channels //= 2
        layers = [DenseLayer(channels + GROWTH * position) for position in range(count)]
        parts[f"block{number}"] = nn.Sequential(*layers)
        channels += GROWTH * count
    parts["norm"] = nn.BatchNorm2d(channels)
    parts["relu"] = nn.ReLU()
    parts["mean"] = nn.AdaptiveAvgPool2d(1)
    parts["flatten"] = nn.Flatten()
    parts["classifier"] = nn.Linear(channels, num_classes)
    return nn.Sequential(parts)


class DenseLayer(nn.Module):
    """Two convolutions, normalised before; what they make comes behind what they read.

    Args:
        inputs: channels read.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.relu = nn.ReLU()
        self.reduce = conv_norm(inputs, BOTTLENECK * GROWTH, 1)
        self.convolve = nn.Conv2d(BOTTLENECK * GROWTH, GROWTH, 3, padding=1, bias=False)
        self.concatenate = Concatenate()

    def forward(self, x: Tensor) -> Tensor:
        return self.concatenate(x, self.convolve(self.reduce(self.relu(self.norm(x)))))


def _transition(channels: int) -> nn.Sequential:
    """Halves the channels, and height and width (section 3, "Compression": theta = 0.5)."""
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(channels),
            relu=nn.ReLU(),
            conv=nn.Conv2d(channels, channels // 2, 1, bias=False),
            pool=nn.AvgPool2d(2),
        )
    )
