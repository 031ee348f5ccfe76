"""EAST, a detector of text (Zhou et al. 2017, figure 3), on ResNet-50 v1: a surrogate for that of PUB-III.

PUB-III measures "EAST with ResNet-50" and does not define it. It prints a float file of 96,210 kB, and
15,072.5 MFLOP for 320x320x3. By these two figures alone, without looking at times or memory, it is the
public TensorFlow implementation on TF-Slim's ResNet-50: 7,536,230,400 multiply-accumulates are 15,072.46
MFLOP at two each; 24,041,254 weights, normalisations folded, are 96,165 kB, and a file adds its structure.
Other readings are off: heads for quadrangles 15,073.7 MFLOP, the outputs of all four stages merged 15,256.0,
strides in the first unit of a block 16,606.0 and more, no last 3x3 convolution 14,954.5.

So the stride is in the last unit of a block, and merged are, from coarse to fine, the outputs of block 4,
block 2, block 1 and the first pooling. Left out are the subtraction of the image means, and behind the
sigmoids the scaling of distances and angles to pixels and radians. Doubled maps have their corners where
torch puts them (half-pixel centres); TensorFlow 1 had them elsewhere.
"""

from collections import OrderedDict

from torch import Tensor, nn

from ..layers.combine import Concatenate
from .arguments import check_arguments
from .conv_norm import conv_norm
from .resnet import BLOCKS, EXPANSION, ROOT_CHANNELS, UNITS_50, version_1

#: channels of the three merges (Zhou et al. 2017, figure 3)
MERGED = (128, 64, 32)
#: maps of each head: score, distances to four sides, angle (Zhou et al. 2017, table 1, RBOX)
HEADS = (("score", 1), ("distances", 4), ("angle", 1))
#: the deepest maps have a 32nd of the height and width
MULTIPLE = 32


def east_resnet50(num_classes: int, input_shape: tuple[int, ...] = (3, 320, 320)) -> nn.Module:
    """Builds EAST on ResNet-50: 7.54 G multiply-accumulates at 320x320, 24.0 M parameters.

    Args:
        num_classes: without meaning here: the heads are a score, four distances and an angle.
        input_shape: (channels, height, width); height and width multiples of 32.

    Returns:
        A network that gives a tuple of maps in [0, 1] at a quarter of the height and width, with 1, 4 and 1
        channels.

    Raises:
        AtollError: for another input shape.
    """
    check_arguments(2, input_shape, smallest=MULTIPLE, multiple=MULTIPLE)
    return East(input_shape[0])


class East(nn.Module):
    """ResNet-50 v1, a branch that merges its maps from coarse to fine, and three heads.

    Args:
        in_channels: of the images.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(version_1(in_channels, UNITS_50))
        first, second, _, fourth = (EXPANSION * width for width, _ in BLOCKS)
        coarse = fourth
        self.merges = nn.ModuleList()
        for fine, merged in zip((second, first, ROOT_CHANNELS), MERGED, strict=True):
            self.merges.append(Merge(coarse + fine, merged))
            coarse = merged
        self.last = conv_norm(coarse, coarse, 3, padding=1)
        self.heads = nn.ModuleDict({name: _head(coarse, maps) for name, maps in HEADS})

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = {}
        for name, part in self.body.named_children():
            x = maps[name] = part(x)
        for merge, fine in zip(self.merges, ("block2", "block1", "pool"), strict=True):
            x = merge(x, maps[fine])
        x = self.last(x)
        return tuple(head(x) for head in self.heads.values())


class Merge(nn.Module):
    """Doubles coarse maps, puts fine ones behind them, and convolves both: 1x1, then 3x3.

    Args:
        inputs: channels of both together.
        outputs: channels made.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear")
        self.concatenate = Concatenate()
        self.reduce = conv_norm(inputs, outputs, 1)
        self.convolve = conv_norm(outputs, outputs, 3, padding=1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        return self.convolve(self.reduce(self.concatenate(self.upsample(coarse), fine)))


def _head(inputs: int, maps: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(inputs, maps, 1), sigmoid=nn.Sigmoid()))
