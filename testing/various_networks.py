"""Small networks of everything that people's networks have, each with one thing that is special.

They are written as users write them: functions of torch beside modules, no module of ours.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 4
#: of the images
SHAPE = (3, 16, 16)


def _around(*middle: nn.Module, channels: int = 16) -> nn.Sequential:
    """Returns a classifier with something in its middle that reads maps of 16 channels of 8x8."""
    first = nn.Conv2d(3, 16, 3, stride=2, padding=1)
    last = nn.Conv2d(channels, 32, 3, padding=1)
    end = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, CLASSES))
    return nn.Sequential(first, *middle, last, *end)


class TwoInputs(nn.Module):
    """Two images of one size, and what is alike in them."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 16, 3, stride=2), nn.Conv2d(3, 16, 3, stride=2)
        self.merge = nn.Conv2d(32, 16, 3)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        both = torch.cat((F.relu(self.left(left)), F.relu(self.right(right))), 1)
        return self.head(F.relu(self.merge(both)).mean((2, 3)))


class TwoOutputs(nn.Module):
    """Classes and a box."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 16, 3, stride=2), nn.Conv2d(16, 32, 3)
        self.classes, self.box = nn.Linear(32, CLASSES), nn.Linear(32, 4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = F.relu(self.conv2(F.relu(self.conv1(x)))).mean((2, 3))
        return {"classes": self.classes(x), "box": torch.sigmoid(self.box(x))}


class SharedModule(nn.Module):
    """One convolution, norm and activation at three sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.shared, self.norm = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.stem(x))
        for _ in range(3):
            x = self.pool(self.relu(self.norm(self.shared(x))))
        return self.head(x.mean((2, 3)))


class BranchesOnShapes(nn.Module):
    """What it does depends on sizes, which are constants once the input is known."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor, scale: float | None = None, mask: Tensor | None = None) -> Tensor:
        x = F.relu(self.conv1(x))
        while x.shape[-1] > 8:
            x = F.max_pool2d(x, 2)
        if x.size(2) != x.size(3):
            raise ValueError(f"expected square maps, got {x.size(2)}x{x.size(3)}")
        x = F.relu(self.conv2(x))
        x = F.adaptive_avg_pool2d(x, 1).view(x.shape[0], -1) * (scale or 1.0)
        return self.head(x if mask is None else x * mask)


class Interpolates(nn.Module):
    """A pyramid: coarse maps are enlarged to the size of fine ones and added."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, stride=2, padding=1)
        self.classify = nn.Conv2d(16, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = F.relu(self.fine(x))
        coarse = F.relu(self.coarse(fine))
        larger = F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=False)
        return F.interpolate(self.classify(fine + larger), scale_factor=2, mode="nearest")


class MeansOverAxes(nn.Module):
    """Means over width, over height, over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.rows, self.columns = nn.Linear(16 * 16, 32), nn.Linear(16 * 16, 32)
        self.places, self.head = nn.Linear(256, 32), nn.Linear(96, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x))
        rows = F.relu(self.rows(x.mean(3).flatten(1)))
        columns = F.relu(self.columns(x.mean(dim=-2).flatten(1)))
        places = F.relu(self.places(torch.mean(x, dim=1, keepdim=True).flatten(1)))
        return self.head(torch.cat((rows, columns, places), 1))


class AsymmetricPadding(nn.Module):
    """Zeros on some sides only, by function and by module."""

    def __init__(self) -> None:
        super().__init__()
        self.pad, self.conv1 = nn.ZeroPad2d((1, 0, 2, 0)), nn.Conv2d(3, 16, 3, stride=2)
        self.conv2, self.conv3 = nn.Conv2d(16, 16, (3, 5), padding=(1, 2)), nn.Conv2d(16, 32, 3)
        self.head = nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv2(F.relu(self.conv1(self.pad(x)))))
        return self.head(F.relu(self.conv3(F.pad(x, (0, 1, 0, 1)))).mean((2, 3)))


class StochasticDepth(nn.Module):
    """A residual block that training leaves out at random; evaluation never does (Huang et al. 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self._dropped(F.relu(self.conv(x)))

    def _dropped(self, x: Tensor, kept: float = 0.8) -> Tensor:
        if not self.training:
            return x
        return x * torch.empty(x.shape[0], 1, 1, 1, device=x.device).bernoulli_(kept) / kept


class NormWithActivation(nn.BatchNorm2d):
    """A subclass of BatchNorm2d that activates as well, as libraries of networks have it."""

    def forward(self, input: Tensor) -> Tensor:
        normed = F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, self.training,
            self.momentum or 0.0, self.eps,
        )  # fmt: skip
        return F.relu(normed)


class MyLinear(nn.Linear):
    """A subclass of Linear that computes what Linear does."""

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)


class LayerScale(nn.Module):
    """Channels normalised at every position and weighed by a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.scale = nn.LayerNorm(16), nn.Parameter(torch.linspace(0.5, 1.5, 16))

    def forward(self, x: Tensor) -> Tensor:
        return x + (self.norm(x.permute(0, 2, 3, 1)) * self.scale).permute(0, 3, 1, 2)


class ChannelShuffle(nn.Module):
    """Halves the channels, convolves one half and shuffles both."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        one, other = x.chunk(2, dim=1)
        x = torch.cat((one, F.relu(self.conv(other))), 1)
        n, c, h, w = x.size()
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


class SelfAttention(nn.Module):
    """torch's own attention over positions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.attention = (
            nn.Conv2d(3, 16, 4, stride=4),
            nn.MultiheadAttention(16, 2, batch_first=True),
        )
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.conv(x).flatten(2).transpose(1, 2)
        read, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        return self.head((tokens + read).mean(1))


class Recurrent(nn.Module):
    """A GRU over the steps of a signal behind a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gru = nn.Conv1d(3, 16, 5, stride=2, padding=2), nn.GRU(16, 16, batch_first=True)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        steps, _ = self.gru(F.relu(self.conv(x)).transpose(1, 2))
        return self.head(steps[:, -1])


class DeepConvLstm(nn.Module):
    """Four convolutions, two LSTMs and a dense layer for windows of sensors (Ordonez & Roggen 2016).

    Sensors are channels here, and read together from the first convolution on.
    """

    def __init__(self) -> None:
        super().__init__()
        convs = [nn.Conv1d(channels, 64, 5) for channels in (9, 64, 64, 64)]
        self.convs = nn.Sequential(*(layer for conv in convs for layer in (conv, nn.ReLU())))
        self.lstm = nn.LSTM(64, 128, num_layers=2, batch_first=True)
        self.head = nn.Linear(128, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        steps, _ = self.lstm(self.convs(x).transpose(1, 2))
        return self.head(steps[:, -1])


def _up_and_down() -> nn.Sequential:
    return _around(nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1), nn.ReLU(), channels=8)


#: name -> what makes the network, shapes of its inputs without the batch
VARIOUS: dict[str, tuple[Callable[[], nn.Module], tuple[tuple[int, ...], ...]]] = {
    "two_inputs": (TwoInputs, (SHAPE, SHAPE)),
    "two_outputs": (TwoOutputs, (SHAPE,)),
    "shared_module": (SharedModule, (SHAPE,)),
    "branches_on_shapes": (BranchesOnShapes, (SHAPE,)),
    "interpolates": (Interpolates, (SHAPE,)),
    "means_over_axes": (MeansOverAxes, (SHAPE,)),
    "asymmetric_padding": (AsymmetricPadding, (SHAPE,)),
    "dilation": (lambda: _around(nn.Conv2d(16, 16, 3, padding=2, dilation=2), nn.ReLU()), (SHAPE,)),
    "silu": (lambda: _around(nn.SiLU()), (SHAPE,)),
    "gelu": (lambda: _around(nn.GELU()), (SHAPE,)),
    "relu6": (lambda: _around(nn.ReLU6()), (SHAPE,)),
    "hardtanh": (lambda: _around(nn.Hardtanh(-2.0, 2.0)), (SHAPE,)),
    "prelu": (lambda: _around(nn.PReLU(16)), (SHAPE,)),
    "group_norm": (lambda: _around(nn.GroupNorm(4, 16), nn.ReLU()), (SHAPE,)),
    "instance_norm": (lambda: _around(nn.InstanceNorm2d(16, affine=True), nn.ReLU()), (SHAPE,)),
    "layer_scale": (lambda: _around(LayerScale()), (SHAPE,)),
    "norm_subclass": (lambda: _around(NormWithActivation(16)), (SHAPE,)),
    "linear_subclass": (lambda: nn.Sequential(_around(), nn.ReLU(), MyLinear(CLASSES, CLASSES)), (SHAPE,)),
    "stochastic_depth": (lambda: _around(StochasticDepth()), (SHAPE,)),
    "channel_shuffle": (lambda: _around(ChannelShuffle()), (SHAPE,)),
    "pool_ceil_mode": (lambda: _around(nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)), (SHAPE,)),
    "pool_to_2x2": (lambda: _around(nn.ReLU(), nn.AdaptiveAvgPool2d(2)), (SHAPE,)),
    "pixel_shuffle": (lambda: _around(nn.PixelShuffle(2), channels=4), (SHAPE,)),
    "transposed_convolution": (_up_and_down, (SHAPE,)),
    "attention": (SelfAttention, (SHAPE,)),
    "gru": (Recurrent, ((3, 32),)),
    "deep_conv_lstm": (DeepConvLstm, ((9, 24),)),
}
