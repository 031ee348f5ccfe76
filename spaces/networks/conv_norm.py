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
    relu: bool = True,
    eps: float = 1e-5,
) -> nn.Sequential:
    """Returns a convolution without biases, its normalisation and ReLU as `conv`, `norm` and `relu`.

    Args:
        inputs, outputs: channels.
        size: of the window, or (height, width).
        stride: of the window.
        padding: zeros on every side, or "same" as TensorFlow has it.
        relu: whether there is a ReLU.
        eps: of the normalisation.
    """
    conv = (
        SameConv2d(inputs, outputs, size, stride, bias=False)
        if padding == "same"
        else nn.Conv2d(inputs, outputs, size, stride, padding, bias=False)
    )
    parts: OrderedDict[str, nn.Module] = OrderedDict(conv=conv, norm=nn.BatchNorm2d(outputs, eps))
    if relu:
        parts["relu"] = nn.ReLU()
    return nn.Sequential(parts)
