"""U-Net (Ronneberger et al. 2015, figure 1), a class for every pixel, padded and with norms."""

from torch import Tensor, nn

from ..layers.combine import Concatenate
from .arguments import check_arguments
from .conv_norm import conv_norm

#: channels of the first maps, and how often they are doubled while height and width are halved
CHANNELS, HALVINGS = 64, 4


def unet(num_classes: int, input_shape: tuple[int, ...] = (1, 256, 256), width: int = CHANNELS) -> nn.Module:
    """Builds U-Net: 48.1 G multiply-accumulates at 256x256, 31.0 M parameters with one channel and 2 classes.

    The paper's convolutions have no padding, so that its answer is smaller than the image, and no norms.

    Args:
        num_classes: number of logits of every pixel.
        input_shape: (channels, height, width); height and width multiples of 16.
        width: channels of the first maps.

    Returns:
        A network that gives (N, num_classes, height, width).

    Raises:
        AtollError: for fewer than two classes, or sizes that four halvings do not divide.
    """
    check_arguments(num_classes, input_shape, smallest=2**HALVINGS, multiple=2**HALVINGS)
    return UNet(input_shape[0], width, num_classes)


class UNet(nn.Module):
    """Convolutions at ever smaller sizes, then at ever larger ones that also read what the former made.

    Args:
        inputs: channels of the image.
        width: channels of the first maps.
        classes: channels of the result.
    """

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(HALVINGS + 1)]
        self.down = nn.ModuleList(
            _two_convolutions(before, after) for before, after in zip([inputs, *widths], widths, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        rising = widths[-2::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * channels, channels, 2, 2) for channels in rising)
        self.concatenate = nn.ModuleList(Concatenate() for _ in rising)
        self.merge = nn.ModuleList(_two_convolutions(2 * channels, channels) for channels in rising)
        self.classifier = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skipped = []
        for level, convolve in enumerate(self.down):
            x = convolve(self.pool(x) if level else x)
            skipped.append(x)
        skipped.pop()
        for up, concatenate, merge in zip(self.up, self.concatenate, self.merge, strict=True):
            x = merge(concatenate(skipped.pop(), up(x)))
        return self.classifier(x)


def _two_convolutions(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(conv_norm(inputs, outputs, 3, padding=1), conv_norm(outputs, outputs, 3, padding=1))
