"""A surrogate for PUB-III's text recognition network, of which it prints a size and a count alone."""

from torch import nn

from .papers_cnn import papers_cnn


def text_recognition_unidentified(num_classes: int, input_shape: tuple[int, ...] = (3, 64, 64)) -> nn.Module:
    """Builds the plan of the papers' baseline at widths that meet the printed 0.88 MB and 20.2 MFLOP.

    Chosen without looking at times or memory. Convolutions of 18, 32, 32 channels and a dense layer of 25
    units: at 64x64x3 with 35 classes 0.883 MB of float weights, and by the papers' own rule for the baseline
    (`hw_models/tables/flop_count.py`) 20.07 MFLOP.

    Args:
        num_classes: number of logits; 35 in PUB-III.
        input_shape: (channels, height, width); height and width multiples of 4.
    """
    return papers_cnn((18, 32, 32), 25, num_classes, input_shape)
