"""RepVGG-A0 (Ding et al. 2021, tables 2 and 3): trained with branches, run as one convolution."""

from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.combine import Add
from ..layers.structure import replace
from .arguments import check_arguments

#: (channels, blocks) of the stages, each of which halves the maps (table 2; widths 0.75 and 2.5)
STAGES = ((48, 1), (48, 2), (96, 4), (192, 14), (1280, 1))


def repvgg_a0(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds RepVGG-A0 to run: 1.36 G multiply-accumulates at 224x224, 8.3 M parameters with 1000 classes.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).

    Returns:
        A Sequential of `stages`, `mean`, `flatten` and `classifier`; a block has `conv` and `relu`.
    """
    return _repvgg(_merged_block, num_classes, input_shape)


def repvgg_a0_branches(num_classes: int, input_shape: tuple[int, ...] = (3, 224, 224)) -> nn.Module:
    """Builds RepVGG-A0 as it is trained, 9.1 M parameters with 1000 classes; see `merge_branches`.

    Args:
        num_classes: number of logits.
        input_shape: (channels, height, width).
    """
    return _repvgg(Branches, num_classes, input_shape)


def merge_branches(network: nn.Module) -> nn.Module:
    """Returns a copy in which every block of branches is one convolution that gives the same in evaluation.

    Source: Ding et al. 2021, section 3.3 and figure 4.

    Args:
        network: with blocks as those of `repvgg_a0_branches` anywhere, trained.
    """
    merged = deepcopy(network)
    for name, block in list(merged.named_modules()):
        if isinstance(block, Branches):
            replace(merged, name, block.merged())
    return merged


class Branches(nn.Module):
    """A 3x3 convolution, a 1x1 convolution and where shapes allow the input, each normalised, added up.

    Args:
        inputs, outputs: channels.
        stride: of both convolutions.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv3 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.norm0 = nn.BatchNorm2d(inputs) if stride == 1 and inputs == outputs else None
        self.add, self.add0 = Add(), Add()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        total = self.add(self.norm3(self.conv3(x)), self.norm1(self.conv1(x)))
        return self.relu(total if self.norm0 is None else self.add0(total, self.norm0(x)))

    def merged(self) -> nn.Module:
        """Returns the convolution with biases and the ReLU that give the same in evaluation."""
        wide, point = self.conv3, F.pad(self.conv1.weight, [1] * 4)
        parts = [_scaled(wide.weight, self.norm3), _scaled(point, self.norm1)]
        if self.norm0 is not None:
            parts.append(_scaled(nn.init.dirac_(torch.zeros_like(wide.weight)), self.norm0))
        conv = nn.Conv2d(wide.in_channels, wide.out_channels, 3, wide.stride[0], 1).to(wide.weight)
        with torch.no_grad():
            conv.weight.copy_(torch.stack([weight for weight, _ in parts]).sum(0))
            conv.bias.copy_(torch.stack([bias for _, bias in parts]).sum(0))  # type: ignore[union-attr]
        return nn.Sequential(OrderedDict(conv=conv, relu=nn.ReLU())).train(self.training)


def _scaled(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Returns the weight and the biases of a convolution with its normalisation inside."""
    scale = norm.weight / (norm.get_buffer("running_var") + norm.eps).sqrt()
    return weight * scale.reshape(-1, 1, 1, 1), norm.bias - norm.get_buffer("running_mean") * scale


def _merged_block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(inputs, outputs, 3, stride, 1), relu=nn.ReLU()))


def _repvgg(
    block: Callable[[int, int, int], nn.Module], num_classes: int, input_shape: tuple[int, ...]
) -> nn.Sequential:
    check_arguments(num_classes, input_shape)
    channels, stages = input_shape[0], nn.Sequential()
    for outputs, count in STAGES:
        stage = nn.Sequential(block(channels, outputs, 2))
        stages.append(stage.extend([block(outputs, outputs, 1) for _ in range(count - 1)]))
        channels = outputs
    mean = OrderedDict(mean=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    return nn.Sequential(OrderedDict(stages=stages, **mean, classifier=nn.Linear(channels, num_classes)))
