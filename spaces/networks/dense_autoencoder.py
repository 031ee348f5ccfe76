"""The dense auto-encoder of MLPerf Tiny, which hears machines that break (Banbury et al. 2021)."""

from collections import OrderedDict

from torch import nn

from .arguments import FEATURES, check_arguments

#: units of the dense layers between input and output (Koizumi et al. 2020, DCASE task 2, baseline)
UNITS = (128, 128, 128, 128, 8, 128, 128, 128, 128)
#: of the normalisations (Keras)
EPS = 1e-3


def dense_autoencoder(num_classes: int, input_shape: tuple[int, ...] = (640,)) -> nn.Module:
    """Builds the auto-encoder: 264,192 multiply-accumulates, 267,928 parameters for 640 features.

    Args:
        num_classes: number of outputs, as many as features where it makes its input again.
        input_shape: (features,).

    Returns:
        A Sequential of `hidden1` ... `hidden9`, each with `dense`, `norm` and `relu`, and `output`: values of
        any size.

    Raises:
        AtollError: for fewer than two outputs or an empty shape.
    """
    check_arguments(num_classes, input_shape, axes=FEATURES)
    (inputs,) = input_shape
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for number, units in enumerate(UNITS, start=1):
        hidden = OrderedDict(dense=nn.Linear(inputs, units), norm=nn.BatchNorm1d(units, EPS), relu=nn.ReLU())
        parts[f"hidden{number}"] = nn.Sequential(hidden)
        inputs = units
    return nn.Sequential(OrderedDict(**parts, output=nn.Linear(inputs, num_classes)))
