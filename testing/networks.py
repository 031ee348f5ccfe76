"""Two tiny networks for images of (1, 16, 16) and four classes: they train in a second."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from ..spaces.layers.flatten import ChannelsLastFlatten
from .worlds import CLASSES


def sequential() -> nn.Module:
    """Two convolutions with BatchNorm after ReLU, as in the papers, and a dense layer worth a train."""
    parts = OrderedDict(
        conv1=nn.Conv2d(1, 16, 3, padding="same", bias=False),
        relu1=nn.ReLU(),
        bn1=nn.BatchNorm2d(16),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(16, 16, 3, padding=1),
        relu2=nn.ReLU(),
        bn2=nn.BatchNorm2d(16),
        pool2=nn.MaxPool2d(2),
        flatten=ChannelsLastFlatten(),
        dense1=nn.Linear(256, 64, bias=False),
        bn3=nn.BatchNorm1d(64),
        dense2=nn.Linear(64, CLASSES),
    )
    return nn.Sequential(parts)


class Residual(nn.Module):
    """A depthwise separable block with a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.pointwise = nn.Conv2d(16, 16, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.pool = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.dense1 = nn.Linear(256, 64)
        self.dense2 = nn.Linear(64, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        y = torch.relu(self.bn1(self.depthwise(x)))
        x = self.pool(torch.relu(x + self.bn2(self.pointwise(y))))
        return self.dense2(torch.relu(self.dense1(self.flatten(x))))
