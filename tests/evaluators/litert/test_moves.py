"""Operations that move values, pool and average: the file computes what torch does, and is its plan."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert.inspect import operator_names
from atoll.evaluators.litert.lower import lower
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.hw_models.tables.file_table import layer_table_of
from atoll.hw_models.tables.network_table import layer_table
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.techniques.quantize import Quantize
from torch import Tensor, nn

SHAPE = (3, 12, 12)


class Net(nn.Module):
    """A convolution with negative values, what is tried, another convolution or a dense layer, a sum."""

    def __init__(self, between: Callable[[Tensor], Tensor], channels: int = 8, rows: int = 0) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.between = between
        self.rows = rows
        self.end = nn.Linear(rows, 5) if rows else nn.Conv2d(channels, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.end(self.between(self.stem(x)))
        return x.flatten(1).tanh() if self.rows else x.mean((2, 3))


def shuffle(x: Tensor) -> Tensor:
    batch, channels, height, width = x.size()
    x = x.view(batch, 2, channels // 2, height, width)
    return torch.transpose(x, 1, 2).contiguous().view(batch, -1, height, width)


def halves(x: Tensor) -> Tensor:
    one, other = x.chunk(2, dim=1)
    return shuffle(torch.cat((torch.relu(one), other), 1))


def channels_last(x: Tensor) -> Tensor:
    return F.gelu(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def focus(x: Tensor) -> Tensor:
    """YOLOv5's first step: pixels of every second row and column side by side."""
    return torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)


class LastNormed(nn.Module):
    """ConvNeXt's: channels last, normalised, scaled, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.dense = nn.Linear(8, 8)
        self.scale = nn.Parameter(torch.linspace(0.1, 0.8, 8))

    def forward(self, x: Tensor) -> Tensor:
        y = self.dense(self.norm(x.permute(0, 2, 3, 1))) * self.scale
        return x + y.permute(0, 3, 1, 2)


#: name -> (function of [N, 8, 12, 12], channels that it makes, features of its rows where it makes rows)
BETWEEN: dict[str, tuple[Callable[[Tensor], Any], int, int]] = {
    "ceil max": (lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True), 8, 0),
    "ceil max beyond": (lambda x: F.max_pool2d(x, 5, 3, 1, ceil_mode=True), 8, 0),
    "padded max": (lambda x: F.max_pool2d(x, 3, 2, 1), 8, 0),
    "padded max of what is positive": (lambda x: F.max_pool2d(torch.sigmoid(x), 3, 2, 1), 8, 0),
    "max of one size": (lambda x: F.max_pool2d(x, 3, 1, 1), 8, 0),
    "ceil mean": (lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True), 8, 0),
    "mean without padding": (lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), 8, 0),
    "adaptive mean": (lambda x: F.adaptive_avg_pool2d(x, (4, 3)), 8, 0),
    "adaptive mean of windows that overlap": (lambda x: F.adaptive_avg_pool2d(x[..., :7], (6, 2)), 8, 0),
    "adaptive max": (lambda x: F.adaptive_max_pool2d(x, (2, 6)), 8, 0),
    "shuffle": (shuffle, 8, 0),
    "halves": (halves, 8, 0),
    "channel shuffle": (nn.ChannelShuffle(4), 8, 0),
    "pixel shuffle": (nn.PixelShuffle(2), 2, 0),
    "pixel unshuffle": (lambda x: F.pixel_unshuffle(x, 3), 72, 0),
    "channels last": (channels_last, 8, 0),
    "transposed maps": (lambda x: x.transpose(2, 3) + x, 8, 0),
    "focus": (focus, 32, 0),
    "parts": (lambda x: x[:, 1:7].narrow(2, 2, 5)[:, :, :, 3:], 6, 0),
    "one row": (lambda x: x[:, :, 4].unsqueeze(2), 8, 0),
    "split": (lambda x: torch.split(x, [3, 3, 2], 1)[1] - x.unbind(3)[4].unsqueeze(3)[:, :3], 3, 0),
    "regrouped": (lambda x: x.reshape(x.size(0), 16, 6, 12), 16, 0),
    "padded": (lambda x: F.pad(x, (0, 1, 2, 0)), 8, 0),
    "padded channels": (lambda x: F.pad(x, (0, 0, 0, 0, 1, 3)), 12, 0),
    "zero pad": (nn.ZeroPad2d((1, 0, 0, 3)), 8, 0),
    "padded with a number": (nn.ConstantPad2d(1, 0.3), 8, 0),
    "beside": (lambda x: torch.cat([x, F.relu(x)], 2), 8, 0),
    "mean of channels": (lambda x: torch.cat([x, x.mean(1, keepdim=True)], 1), 9, 0),
    "mean of rows": (lambda x: x * x.mean(3, keepdim=True), 8, 0),
    "softmax of rows": (lambda x: F.softmax(x, 2), 8, 0),
    "sums over rows": (lambda x: x * x.sum(2, keepdim=True), 8, 0),
    "softmax of columns": (lambda x: F.softmax(x, 3), 8, 0),
    "cut off": (lambda x: nn.Hardtanh(-0.3, 0.2)(x) + F.hardtanh(2 * x) * x.clamp(min=-0.1), 8, 0),
    "cut off at zero": (lambda x: x.clamp(0, 1) + torch.clamp(x, 0, 6) - x.clamp(max=0.3).clamp(0), 8, 0),
    "the larger": (lambda x: torch.maximum(x, x.mean(1, keepdim=True)) - torch.minimum(x, -x), 8, 0),
    "rows": (lambda x: x.flatten(2).transpose(1, 2), 0, 8),
    "rows of positions": (lambda x: x.flatten(2), 0, 144),
    "rows of columns": (lambda x: x.mean(2), 0, 12),
    "dense on maps": (lambda x: x.permute(0, 2, 3, 1).flatten(1, 2), 0, 8),
    "length": (lambda x: F.max_pool1d(x.flatten(2), 4), 0, 36),
    "convolution of a length": (nn.Sequential(
        nn.Flatten(2), nn.Conv1d(8, 6, 5, 3, 1), nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 6, 3, groups=6),
        nn.ConvTranspose1d(6, 4, 4, 2, 1)), 0, 92),
    "normalised maps with channels last": (LastNormed(), 8, 0),
    "mean of a length": (lambda x: F.avg_pool1d(x.mean(3), 3, 2, 1), 0, 6),
    "mean over a length": (lambda x: F.adaptive_avg_pool1d(x.flatten(2), 1).transpose(1, 2), 0, 8),
    "adaptive mean of a length": (lambda x: F.adaptive_avg_pool1d(x.flatten(2), 12), 0, 12),
}  # fmt: skip


def built(name: str) -> tuple[nn.Module, Tensor]:
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = adopt(Net(*BETWEEN[name]), SHAPE).eval()
        return network, torch.rand(24, *SHAPE) * 2 - 1


def same_rows(network: nn.Module, content: bytes) -> None:
    plan, file = layer_table(network, SHAPE), layer_table_of(TfliteFile.parse(content), "file")
    planned, written = ([(row.cost, row.live_bytes) for row in table.rows] for table in (plan, file))
    assert planned == written


@pytest.mark.parametrize("name", BETWEEN)
def test_the_float_file_is_the_network_and_its_plan(name: str) -> None:
    network, images = built(name)
    content = lower(network, SHAPE)
    same_rows(network, content)
    with torch.no_grad():
        want = network(images).numpy()
    for delegate in (True, False):
        got = LiteRtRunner(content, delegate=delegate).run(images[:4].permute(0, 2, 3, 1).numpy())
        np.testing.assert_allclose(got, want[:4], atol=1e-5 * np.ptp(want))


@pytest.mark.parametrize(
    ("name", "moves"),
    [
        ("normalised maps with channels last", []),
        ("rows", ["RESHAPE", "RESHAPE"]),
        ("shuffle", ["RESHAPE", "TRANSPOSE", "RESHAPE"]),
        ("parts", ["SLICE", "SLICE", "SLICE"]),
    ],
)
def test_nothing_is_transposed_without_need(name: str, moves: list[str]) -> None:
    network, _ = built(name)
    names = operator_names(lower(network, SHAPE))
    assert [n for n in names if n in ("RESHAPE", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "GATHER")] == moves


INPUTS: dict[str, tuple[tuple[int, ...], Callable[[], nn.Module]]] = {
    "features": ((20,), lambda: nn.Sequential(
        nn.Linear(20, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 4))),
    "sequence": ((3, 40), lambda: nn.Sequential(
        nn.Conv1d(3, 8, 5, 2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(8, 6, 3, padding=1),
        nn.AvgPool1d(3), nn.Flatten(), nn.Linear(18, 4))),
    "rows": ((7, 5), lambda: nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, 4), nn.Flatten(1))),
    "a map that comes out": ((2, 30), lambda: nn.Sequential(
        nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Conv1d(4, 3, 1))),
}  # fmt: skip


@pytest.mark.parametrize("bits", [32, 8])
@pytest.mark.parametrize("name", INPUTS)
def test_inputs_other_than_images(name: str, bits: int) -> None:
    """They lie with channels last in the file, as images do, and so does what comes out."""
    shape, build = INPUTS[name]
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = adopt(build(), shape).eval()
        x = torch.rand(32, *shape) * 2 - 1
        if bits == 8:
            context = SimpleNamespace(images=lambda count: x[:count])
            network, _ = Quantize(bits=8).apply(network, context)  # type: ignore[arg-type]
        want = network.eval()(x).movedim(1, -1).numpy()
    content = lower(network, shape)
    plan, file = layer_table(network, shape), layer_table_of(TfliteFile.parse(content), "file")
    assert [row.cost for row in plan.rows] == [row.cost for row in file.rows]
    runner = LiteRtRunner(content)
    got = runner.run(x.movedim(1, -1).numpy())
    step = 1e-5 * np.ptp(want) if runner.output_grid is None else 2.1 * runner.output_grid.scale
    np.testing.assert_allclose(got, want, atol=step)
