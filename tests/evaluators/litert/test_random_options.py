"""Small networks with options drawn at random: adopted and written as they are, or refused in words."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert.lower import lower
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.graph.heads import heads
from torch import Tensor, nn

SHAPE = (4, 9, 8)
X = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(3)) * 2 - 1
#: nets of each part of the test
COUNT = 25

#: module -> the options that it may be drawn with, beside what it must be given
MODULES: dict[Callable[..., nn.Module], dict[str, tuple[Any, ...]]] = {
    nn.Conv2d: {
        "kernel_size": (1, 3, (3, 2)), "stride": (1, 1, 2), "padding": (0, 1, "valid"), "dilation": (1, 1, 2),
        "groups": (1, 2, 4), "bias": (True, False), "padding_mode": ("zeros", "zeros", "zeros", "reflect"),
    },
    nn.BatchNorm2d: {
        "eps": (1e-5, 1e-2), "momentum": (0.1, None), "affine": (True, False),
        "track_running_stats": (True, True, True, False),
    },
    nn.MaxPool2d: {
        "kernel_size": (2, 3, (2, 1)), "stride": (None, 1, 2), "padding": (0, 0, 1), "dilation": (1, 1, 1, 2),
        "ceil_mode": (False, False, True),
    },
    nn.AvgPool2d: {
        "kernel_size": (2, 3), "stride": (None, 1, 2), "padding": (0, 0, 1), "ceil_mode": (False, True),
        "count_include_pad": (True, False), "divisor_override": (None, None, 3),
    },
    nn.AdaptiveAvgPool2d: {"output_size": (1, 2, (None, 1), (3, 2))},
    nn.AdaptiveMaxPool2d: {"output_size": (1, 2)},
    nn.Upsample: {
        "scale_factor": (2, 1.5), "mode": ("nearest", "bilinear", "nearest-exact", "bicubic"),
        "recompute_scale_factor": (None, True),
    },
    nn.LeakyReLU: {"negative_slope": (0.01, 0.3, -0.2), "inplace": (False, True)},
    nn.ELU: {"alpha": (1.0, 0.5), "inplace": (False, True)},
    nn.GELU: {"approximate": ("none", "tanh")},
    nn.ReLU: {"inplace": (False, True)},
    nn.ReLU6: {}, nn.Hardswish: {"inplace": (False, True)}, nn.Hardsigmoid: {}, nn.SiLU: {"inplace": (True,)},
    nn.Sigmoid: {}, nn.Tanh: {}, nn.Softmax: {"dim": (1, -3, 2)}, nn.Dropout2d: {"inplace": (False, True)},
    nn.Identity: {}, nn.InstanceNorm2d: {"affine": (True,)}, nn.PReLU: {}, nn.Hardtanh: {"max_val": (6.0,)},
    nn.Softplus: {"beta": (2,)}, nn.ChannelShuffle: {"groups": (2,)},
}  # fmt: skip

#: function or method -> its options
CALLS: tuple[tuple[Callable[..., Any] | str, dict[str, tuple[Any, ...]]], ...] = (
    (F.interpolate, {
        "scale_factor": (2,), "mode": ("bilinear",), "align_corners": (None, True),
        "antialias": (False, True), "recompute_scale_factor": (None, True),
    }),
    (F.interpolate, {"size": ((5, 16), (18, 16)), "mode": ("nearest", "bilinear", "area")}),
    (F.avg_pool2d, {
        "kernel_size": (2,), "padding": (0, 1), "divisor_override": (None, 3),
        "count_include_pad": (True, False),
    }),
    (F.max_pool2d, {"kernel_size": (2,), "padding": (0, 1), "ceil_mode": (True, False), "dilation": (1, 2)}),
    (F.softmax, {"dim": (1, 3), "dtype": (None, torch.float32, torch.float64)}),
    (torch.softmax, {"dim": (1, -3), "dtype": (None, torch.float64)}),
    (torch.mean, {"dim": ((2, 3), (2,), (-1, -2)), "keepdim": (True,), "dtype": (None, torch.float64)}),
    ("mean", {"dim": ((2, 3), (1,)), "keepdim": (True,)}),
    (F.leaky_relu, {"negative_slope": (0.01, 0.3), "inplace": (True, False)}),
    (F.elu, {"alpha": (1.0, 2.0)}), (F.gelu, {"approximate": ("none", "tanh")}),
    (F.relu, {"inplace": (True, False)}), ("relu_", {}), ("sigmoid", {}), ("clone", {}), ("contiguous", {}),
    (F.hardtanh, {"min_val": (0.0,), "max_val": (6.0,)}),
    (F.threshold, {"threshold": (0.1,), "value": (0.0,)}),
    (F.dropout, {"training": (False, False, True)}), (F.normalize, {"dim": (1,)}),
    (lambda x: torch.add(x, x, alpha=3), {}), (lambda x: torch.div(x, 2, rounding_mode="floor"), {}),
    (lambda x: torch.sub(x, 0.5, alpha=2), {}), (lambda x: 1 - x, {}), (lambda x: x / 3, {}),
    (lambda x: x * x.mean((2, 3), keepdim=True), {}), (lambda x: x - x.amax((2, 3), keepdim=True), {}),
    (lambda x: torch.cat([x, x[:, :1]], 1)[:, 1:], {}), (lambda x: x.flip(3), {}),
    (lambda x: x.view(torch.int32).view(torch.float32), {}), (lambda x: x.transpose(2, 3), {}),
    (lambda x: x.flatten(2).view(x.shape), {}), (lambda x: x.add_(1) + x, {}),
    (lambda x: x + torch.cat([x, x], 1)[:, 2:6], {}), (lambda x: torch.cat((x, x), dim=3), {}),
    (lambda x: x.permute(0, 1, 3, 2).contiguous(), {}), (lambda x: x.to(torch.float64).to(torch.float32), {}),
    (lambda x: x.squeeze(1).clamp(max=1), {}), (lambda x: x.masked_fill(x < 0, 0.5), {}),
    (lambda x: x.roll(1, 1), {}), (lambda x: F.pad(x, (1, 0, 2, 0), mode="constant", value=0.5), {}),
)  # fmt: skip

ENDS: dict[str, Callable[[Tensor], Any]] = {
    "maps": lambda x: x,
    "positions": lambda x: x.mean((2, 3)),
    "flat": lambda x: x.flatten(1),
    "heads": lambda x: {"maps": x, "rest": [x.mean((2, 3)), torch.flatten(x, 1)]},
}


class Function(nn.Module):
    """Calls a function or method."""

    def __init__(self, call: Callable[..., Any] | str, options: dict[str, Any]) -> None:
        super().__init__()
        self.call, self.options = call, options

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor
        if isinstance(self.call, str):
            found = getattr(x, self.call)(**self.options)
        else:
            found = self.call(x, **self.options)
        return found


class Drawn(nn.Module):
    """Parts one after the other, one of them perhaps twice."""

    def __init__(self, draw: random.Random, part: Callable[[random.Random], nn.Module]) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 4, 3, padding=1)
        self.parts = nn.ModuleList([part(draw), nn.BatchNorm2d(4), part(draw)])
        if draw.random() < 0.3:
            self.parts.append(self.parts[draw.randrange(3)])
        if draw.random() < 0.3:
            self.parts.insert(1, nn.ReLU(inplace=draw.random() < 0.5))
        self.end = draw.choice(list(ENDS))

    def forward(self, x: Tensor) -> Any:
        x = self.first(x)
        for part in self.parts:
            x = part(x)
        return ENDS[self.end](x)


def drawn(draw: random.Random, options: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    return {name: draw.choice(values) for name, values in options.items()}


def module(draw: random.Random) -> nn.Module:
    kind = draw.choice(list(MODULES))
    options = drawn(draw, MODULES[kind])
    given = {"Conv2d": (4, 4), "BatchNorm2d": (4,), "InstanceNorm2d": (4,)}
    return kind(*given.get(getattr(kind, "__name__", ""), ()), **options)


def function(draw: random.Random) -> nn.Module:
    call, options = draw.choice(CALLS)
    return Function(call, drawn(draw, options))


def network(seed: int, part: Callable[[random.Random], nn.Module]) -> nn.Module | None:
    """Returns a network whose norms have seen images, None where torch itself does not run it."""
    torch.manual_seed(seed)
    try:
        made = Drawn(random.Random(seed), part).train()
        made(torch.rand(8, *SHAPE) * 2 - 1)
        made.eval()(X)
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError):
        return None
    return made


def in_torch_s_layout(found: Any) -> Tensor:
    """Returns a file's output [1, H, W, C] or [1, C] as torch gives it."""
    head = torch.from_numpy(found)
    return head.permute(0, 3, 1, 2) if head.dim() == 4 else head


@pytest.mark.parametrize("part", [module, function])
@pytest.mark.parametrize("block", range(8))
def test_the_function_is_kept_or_refused(block: int, part: Callable[[random.Random], nn.Module]) -> None:
    adopted = written = 0
    for seed in range(block * COUNT, (block + 1) * COUNT):
        made = network(seed, part)
        if made is None:
            continue
        with torch.no_grad():
            wanted: tuple[Tensor, ...] = heads(made(X))
            try:
                ours = adopt(made, SHAPE).eval()
            except AtollError as error:
                assert " " in str(error)
                continue
            adopted += 1
            given: tuple[Tensor, ...] = heads(ours(X))
            for head, want in zip(given, wanted, strict=True):
                # what a network casts to float64 is computed in float32
                assert torch.allclose(head.double(), want.double(), atol=1e-5, rtol=1e-5), f"{seed}: {made}"
        try:
            layer_table(ours, SHAPE)
            content = lower(ours, SHAPE)
        except AtollError:
            continue
        written += 1
        runner = LiteRtRunner(content)
        for at in range(len(X)):
            found = runner.run_heads(X[at].permute(1, 2, 0).numpy())
            for raw, want in zip(found, wanted, strict=True):
                same = torch.allclose(
                    in_torch_s_layout(raw)[0].double(), want[at].double(), atol=1e-4, rtol=1e-4
                )
                assert same, f"{seed}: {made}"
    assert adopted > 3
    assert written > 0
