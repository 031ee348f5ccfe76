"""GhostNet (Han et al. 2020, table 1): half of the channels are cheap functions of the other half."""

from collections import OrderedDict

from torch import Tensor, nn

from ..layers.combine import Add, Concatenate
from .arguments import check_arguments
from .conv_norm import conv_norm
from .inverted_residual import SqueezeExcitation, divisible

#: channels of the first convolution, of the last one of maps, and of the dense layer behind their means
STEM_CHANNELS, LAST_CHANNELS, HEAD_CHANNELS = 16, 960, 1280
#: squeeze-excitations squeeze to a quarter, in multiples of four (the authors' code)
SQUEEZE, MULTIPLE = 4, 4
#: (window, expanded, channels, squeeze-excitation, stride) of the bottlenecks (table 1)
BLOCKS = (
    (3, 16, 16, False, 1),
    (3, 48, 24, False, 2), (3, 72, 24, False, 1),
    (5, 72, 40, True, 2), (5, 120, 40, True, 1),
    (3, 240, 80, False, 2), (3, 200, 80, False, 1), (3, 184, 80, False, 1), (3, 184, 80, False, 1),
    (3, 480, 112, True, 1), (3, 672, 112, True, 1),
    (5, 672, 160, True, 2), (5, 960, 160, False, 1), (5, 960, 160, True, 1), (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
)  # fmt: skip


def ghostnet(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds GhostNet: 141 M multiply-accumulates at 224x224, 5.2 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).

    Returns:
        A Sequential of `stem`, `blocks`, `last`, `mean`, `head`, `relu`, `flatten` and `classifier`.

    Raises:
        AtollError: for fewer than two classes or an empty shape.
    """
    check_arguments(num_classes, input_shape)
    channels, blocks = STEM_CHANNELS, nn.Sequential()
    for size, expanded, outputs, excites, stride in BLOCKS:
        blocks.append(GhostBottleneck(channels, expanded, outputs, size, stride, excites))
        channels = outputs
    return nn.Sequential(
        OrderedDict(
            stem=conv_norm(input_shape[0], STEM_CHANNELS, 3, 2, padding=1),
            blocks=blocks,
            last=conv_norm(channels, LAST_CHANNELS, 1),
            mean=nn.AdaptiveAvgPool2d(1),
            head=nn.Conv2d(LAST_CHANNELS, HEAD_CHANNELS, 1),
            relu=nn.ReLU(),
            flatten=nn.Flatten(),
            classifier=nn.Linear(HEAD_CHANNELS, num_classes),
        )
    )


class Ghost(nn.Module):
    """A 1x1 convolution to half of the channels; a depthwise 3x3 one of it gives the others (figure 1b).

    Args:
        inputs, outputs: channels; outputs even.
        activation: behind both convolutions, None for none.
    """

    def __init__(self, inputs: int, outputs: int, activation: type[nn.Module] | None = nn.ReLU) -> None:
        super().__init__()
        half = outputs // 2
        self.primary = conv_norm(inputs, half, 1, activation=activation)
        self.cheap = conv_norm(half, half, 3, padding=1, activation=activation, groups=half)
        self.concatenate = Concatenate()

    def forward(self, x: Tensor) -> Tensor:
        primary = self.primary(x)
        return self.concatenate(primary, self.cheap(primary))


class GhostBottleneck(nn.Module):
    """Two ghost modules, between them what strides and what excites, beside a shortcut (figure 3).

    Args:
        inputs, expanded, outputs: channels.
        size: of the depthwise windows that stride.
        stride: 1 or 2.
        excites: whether there is a squeeze-excitation.
    """

    def __init__(
        self, inputs: int, expanded: int, outputs: int, size: int, stride: int, excites: bool
    ) -> None:
        super().__init__()
        parts: OrderedDict[str, nn.Module] = OrderedDict(expand=Ghost(inputs, expanded))
        if stride > 1:
            parts["depthwise"] = _strided(expanded, size, stride)
        if excites:
            parts["excitation"] = SqueezeExcitation(expanded, divisible(expanded / SQUEEZE, MULTIPLE))
        parts["project"] = Ghost(expanded, outputs, None)
        self.body = nn.Sequential(parts)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            point = conv_norm(inputs, outputs, 1, activation=None)
            self.shortcut = nn.Sequential(_strided(inputs, size, stride), point)
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        return self.add(self.body(x), self.shortcut(x))


def _strided(channels: int, size: int, stride: int) -> nn.Sequential:
    return conv_norm(channels, channels, size, stride, size // 2, None, groups=channels)
