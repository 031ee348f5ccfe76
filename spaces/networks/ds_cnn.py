"""DS-CNN, the keyword spotter of MLPerf Tiny (Zhang et al. 2017, "Hello Edge"; Banbury et al. 2021)."""

from collections import OrderedDict

from torch import nn

from .arguments import check_arguments
from .conv_norm import conv_norm

#: channels of every convolution, and how many separable ones there are (the paper's small one)
CHANNELS, BLOCKS = 64, 4
#: window and stride of the first convolution, over time and frequency
STEM_SIZE, STEM_STRIDE = (10, 4), 2
#: of the normalisations (Keras), and of what is left out in training (MLPerf Tiny, keras_model.py)
EPS = 1e-3
DROPOUTS = (0.2, 0.4)


def ds_cnn(num_classes: int, input_shape: tuple[int, ...] = (1, 49, 10)) -> nn.Module:
    """Builds DS-CNN: 2.66 M multiply-accumulates at 49x10, 23,756 parameters with 12 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, steps of time, coefficients of each).

    Returns:
        A Sequential of `stem`, `dropout`, `blocks`, `dropout2`, `mean`, `flatten` and `classifier`.

    Raises:
        AtollError: for fewer than two classes or an empty shape.
    """
    check_arguments(num_classes, input_shape)
    blocks = nn.Sequential()
    for _ in range(BLOCKS):
        depthwise = conv_norm(CHANNELS, CHANNELS, 3, 1, "same", eps=EPS, groups=CHANNELS, bias=True)
        pointwise = conv_norm(CHANNELS, CHANNELS, 1, eps=EPS, bias=True)
        blocks.append(nn.Sequential(OrderedDict(depthwise=depthwise, pointwise=pointwise)))
    return nn.Sequential(
        OrderedDict(
            stem=conv_norm(input_shape[0], CHANNELS, STEM_SIZE, STEM_STRIDE, "same", eps=EPS, bias=True),
            dropout=nn.Dropout(DROPOUTS[0]),
            blocks=blocks,
            dropout2=nn.Dropout(DROPOUTS[1]),
            mean=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            classifier=nn.Linear(CHANNELS, num_classes),
        )
    )
