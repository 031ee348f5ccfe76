"""Blocks of the MobileNets and of EfficientNet: widen, convolve each channel by itself, narrow."""

from collections import OrderedDict

from torch import Tensor, nn

from ..layers.combine import Add, Multiply
from .conv_norm import conv_norm

#: of the normalisations (Keras' MobileNet, MobileNetV2 and MobileNetV3; TensorFlow's EfficientNet-EdgeTPU)
BATCH_NORM_EPS = 1e-3
#: channels of the last convolution (Sandler et al. 2018, table 2; EfficientNets have as many)
HEAD_CHANNELS = 1280
#: the two functions of a squeeze-excitation, and those of MobileNet v3 (Howard et al. 2019, section 5.3)
Functions = tuple[type[nn.Module], type[nn.Module]]
EXCITING: Functions = (nn.ReLU, nn.Hardsigmoid)


class Residual(nn.Module):
    """Adds what a body makes of its input to the input.

    Args:
        body: gives maps of the shape that it reads.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        return self.add(self.body(x), x)


class SqueezeExcitation(nn.Module):
    """Weighs every channel by the means of all of them (Hu et al. 2018; Howard et al. 2019, section 5.3).

    Args:
        channels: of the maps.
        squeezed: channels between the two convolutions of the means.
        functions: what is behind each of the two.
    """

    def __init__(self, channels: int, squeezed: int, functions: Functions = EXCITING) -> None:
        super().__init__()
        activation, sigmoid = functions
        self.gate = nn.Sequential(
            OrderedDict(
                mean=nn.AdaptiveAvgPool2d(1),
                squeeze=nn.Conv2d(channels, squeezed, 1),
                relu=activation(),
                excite=nn.Conv2d(squeezed, channels, 1),
                sigmoid=sigmoid(),
            )
        )
        self.multiply = Multiply()

    def forward(self, x: Tensor) -> Tensor:
        return self.multiply(x, self.gate(x))


def inverted_residual(
    inputs: int,
    expanded: int,
    outputs: int,
    size: int = 3,
    stride: int = 1,
    activation: type[nn.Module] = nn.ReLU6,
    squeezed: int = 0,
    fused: bool = False,
    skip: bool = True,
    exciting: Functions = EXCITING,
) -> nn.Module:
    """Builds 1x1 `expand`, `depthwise`, `excitation` and 1x1 `project`, beside the input where shapes allow.

    Source: Sandler et al. 2018, figure 4d; with squeeze-excitation Howard et al. 2019, figure 4.

    Args:
        inputs: channels read.
        expanded: channels in between; where there are no more than `inputs`, there is no `expand`.
        outputs: channels made.
        size: of the depthwise window.
        stride: of the depthwise window.
        activation: behind `expand` and `depthwise`; `project` has none.
        squeezed: channels of the squeeze-excitation, 0 for none.
        fused: whether one plain convolution stands for `expand` and `depthwise` (EfficientNet-EdgeTPU).
        skip: whether the input is added where it has the shape of the result.
        exciting: the functions of the squeeze-excitation.
    """
    window = (size, stride, "same", activation, BATCH_NORM_EPS)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if fused:
        parts["expand"] = conv_norm(inputs, expanded, *window)
    else:
        if expanded != inputs:
            parts["expand"] = conv_norm(inputs, expanded, 1, activation=activation, eps=BATCH_NORM_EPS)
        parts["depthwise"] = conv_norm(expanded, expanded, *window, groups=expanded)
    if squeezed:
        parts["excitation"] = SqueezeExcitation(expanded, squeezed, exciting)
    parts["project"] = conv_norm(expanded, outputs, 1, activation=None, eps=BATCH_NORM_EPS)
    body = nn.Sequential(parts)
    return Residual(body) if skip and stride == 1 and inputs == outputs else body


def around_blocks(
    inputs: int,
    stem: int,
    blocks: nn.Sequential,
    channels: int,
    num_classes: int,
    activation: type[nn.Module] = nn.ReLU6,
) -> nn.Sequential:
    """Returns `stem`, `blocks`, `head`, `mean`, `flatten` and `classifier`: a network of such blocks.

    Args:
        inputs: channels of an image.
        stem: channels that the blocks read.
        blocks: of the network.
        channels: that they make.
        num_classes: number of logits.
        activation: behind the convolutions of stem and head.
    """
    return nn.Sequential(
        OrderedDict(
            stem=conv_norm(inputs, stem, 3, 2, "same", activation, BATCH_NORM_EPS),
            blocks=blocks,
            head=conv_norm(channels, HEAD_CHANNELS, 1, activation=activation, eps=BATCH_NORM_EPS),
            mean=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            classifier=nn.Linear(HEAD_CHANNELS, num_classes),
        )
    )


def divisible(channels: float, by: int = 8) -> int:
    """Returns the nearest multiple of a number that is not more than a tenth below so many channels.

    Source: `make_divisible` of the MobileNets' code, which GhostNet's and torchvision's share.
    """
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded if rounded >= 0.9 * channels else rounded + by
