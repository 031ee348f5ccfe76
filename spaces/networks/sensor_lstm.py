"""A small recurrent network (Hochreiter & Schmidhuber 1997) for windows of sensor signals."""

from torch import Tensor, nn

from .arguments import SIGNAL, check_arguments

#: units of the one layer (own choice: a size that fits a microcontroller)
UNITS = 32


def sensor_lstm(num_classes: int, input_shape: tuple[int, ...] = (9, 128)) -> nn.Module:
    """Builds the network: 0.67 M multiply-accumulates, 5,702 parameters for 9 sensors, 128 steps, 6 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, length).

    Raises:
        AtollError: for fewer than two classes or an empty shape.
    """
    check_arguments(num_classes, input_shape, axes=SIGNAL)
    return SensorLstm(input_shape[0], num_classes)


class SensorLstm(nn.Module):
    """What an LSTM says after the last step, and a dense layer.

    Args:
        channels: of the signal.
        classes: number of logits.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, UNITS, batch_first=True)
        self.classifier = nn.Linear(UNITS, classes)

    def forward(self, x: Tensor) -> Tensor:
        steps, _ = self.lstm(x.transpose(1, 2))
        return self.classifier(steps[:, -1])
