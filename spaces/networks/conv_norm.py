"""A convolution with its normalisation and activation, the brick of most networks."""

from collections import OrderedDict

from torch import nn

from ..layers.same_padding import SameConv2d

#: TF-Slim's for Inception; torch's own 1e-5 is TF-Slim's for ResNet and EAST
INCEPTION_EPS = 1e-3


def conv_norm(
    inputs: int,
    outputs: int,
    size: int | tuple[int, int],
    stride: int = 1,
    padding: int | str = 0,
    activation: type[nn.Module] | None = nn.ReLU,
    eps: float = 1e-5,
    groups: int = 1,
    bias: bool = False,
) -> nn.Sequential:
    """Returns a convolution, norm and activation as `conv`, `norm`, `activation`.

    Args:
        inputs, outputs: channels.
        size: of the window, or (height, width).
        stride: of the window.
        padding: zeros on every side, or "same" as TensorFlow has it.
        activation: its module, None for none.
        eps: of the normalisation.
        groups: of channels; as many as there are channels where each is convolved by itself.
        bias: whether the convolution has biases, which the normalisation then takes away again.
    """
    conv = (
        SameConv2d(inputs, outputs, size, stride, groups=groups, bias=bias)
        if padding == "same"
        else nn.Conv2d(inputs, outputs, size, stride, padding, groups=groups, bias=bias)
    )
    parts: OrderedDict[str, nn.Module] = OrderedDict(conv=conv, norm=nn.BatchNorm2d(outputs, eps))
    if activation is not None:
        parts["activation"] = activation()
    return nn.Sequential(parts)
