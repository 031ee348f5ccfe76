"""A fully convolutional network for windows of sensor signals (Wang et al. 2017, figure 1b)."""

from collections import OrderedDict

from torch import nn

from .arguments import SIGNAL, check_arguments

#: (channels, window) of the convolutions (section II.B)
BLOCKS = ((128, 8), (256, 5), (128, 3))


def fcn_1d(num_classes: int, input_shape: tuple[int, ...] = (9, 128)) -> nn.Module:
    """Builds the network: 34.7 M multiply-accumulates, 0.27 M parameters for 9 sensors, 128 steps, 6 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, length); an even window has its odd zero behind, as in Keras.

    Returns:
        A Sequential of `block1` ... `block3`, each with `conv`, `norm` and `relu`, `mean`, `flatten` and
        `classifier`.

    Raises:
        AtollError: for fewer than two classes or an empty shape.
    """
    check_arguments(num_classes, input_shape, axes=SIGNAL)
    channels = input_shape[0]
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (outputs, size) in enumerate(BLOCKS, start=1):
        conv = nn.Conv1d(channels, outputs, size, padding="same")
        block = OrderedDict(conv=conv, norm=nn.BatchNorm1d(outputs), relu=nn.ReLU())
        parts[f"block{number}"] = nn.Sequential(block)
        channels = outputs
    mean = OrderedDict(mean=nn.AdaptiveAvgPool1d(1), flatten=nn.Flatten())
    return nn.Sequential(OrderedDict(**parts, **mean, classifier=nn.Linear(channels, num_classes)))
