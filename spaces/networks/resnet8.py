"""ResNet-8, the image classifier of MLPerf Tiny (Banbury et al. 2021; He et al. 2016a, section 4.2)."""

from collections import OrderedDict

from torch import Tensor, nn

from ..layers.combine import Add
from ..layers.same_padding import SameConv2d
from .arguments import check_arguments
from .conv_norm import conv_norm

#: channels of the first convolution; (channels, stride) of the residual units
STEM_CHANNELS = 16
UNITS = ((16, 1), (32, 2), (64, 2))
#: of the normalisations (Keras)
EPS = 1e-3


def resnet8(num_classes: int, input_shape: tuple[int, ...] = (3, 32, 32)) -> nn.Module:
    """Builds ResNet-8: 12.5 M multiply-accumulates at 32x32, 78,186 parameters with 10 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).

    Returns:
        A Sequential of `stem`, `units`, `mean`, `flatten` and `classifier`.

    Raises:
        AtollError: for fewer than two classes or an empty shape.
    """
    check_arguments(num_classes, input_shape)
    channels, units = STEM_CHANNELS, nn.Sequential()
    for outputs, stride in UNITS:
        units.append(Unit(channels, outputs, stride))
        channels = outputs
    return nn.Sequential(
        OrderedDict(
            stem=_conv(input_shape[0], STEM_CHANNELS),
            units=units,
            mean=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            classifier=nn.Linear(channels, num_classes),
        )
    )


class Unit(nn.Module):
    """Two convolutions beside a shortcut, which is a 1x1 convolution without norm where channels change.

    Args:
        inputs, outputs: channels.
        stride: of the first convolution and of the shortcut.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = _conv(inputs, outputs, stride)
        self.second = _conv(outputs, outputs, activation=None)
        self.shortcut = nn.Identity() if inputs == outputs else SameConv2d(inputs, outputs, 1, stride)
        self.add = Add()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.add(self.second(self.first(x)), self.shortcut(x)))


def _conv(
    inputs: int, outputs: int, stride: int = 1, activation: type[nn.Module] | None = nn.ReLU
) -> nn.Sequential:
    return conv_norm(inputs, outputs, 3, stride, "same", activation, EPS, bias=True)
