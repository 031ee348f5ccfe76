"""Every value of an integer file is the network's own: operation by operation, with and without XNNPACK.

Each operation gets what the file has before it, so that what one rounds otherwise is not what the next is
blamed for. The bound is one step of the value's grid.
"""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert.inspect import float_tensors, operator_names, tensor_rows
from atoll.evaluators.litert.lower import Lowered, lower, lowered, operator_layers
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.litert.silent_float import silent_floats
from atoll.evaluators.litert.values import LoweredValue
from atoll.evaluators.plain_network.network import Form, plain_network
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.combine import Add, Concatenate, Multiply
from atoll.spaces.layers.program import Program
from atoll.spaces.layers.structure import to_meta
from atoll.spaces.networks import NETWORKS as ZOO
from atoll.spaces.networks import build_network
from atoll.spaces.quantization.activation_grids import integer_throughout
from atoll.spaces.techniques.quantize import Quantize
from torch import Tensor, nn

SHAPE = (3, 12, 12)
IMAGES = 48


class Shortcut(nn.Module):
    """Sums in place, one of them cut off, and what two branches read; a shared activation module."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.one = nn.Conv2d(8, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.two = nn.Conv2d(8, 8, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = identity = F.relu6(self.stem(x))
        out = self.bn2(self.two(self.relu(self.bn1(self.one(x)))))
        out += identity
        out = F.max_pool2d(self.relu(out), 2)
        out = out + F.relu6(self.one(out))
        return self.head(F.dropout(out.mean((2, 3)), 0.5, self.training))


class SqueezeExcite(nn.Module):
    """Hard-swish, a gate by a hard sigmoid, one by a sigmoid on a view, SiLU."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.squeeze = nn.Conv2d(8, 4, 1)
        self.excite = nn.Conv2d(4, 8, 1)
        self.conv = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.gate = nn.Linear(8, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.hardswish(self.stem(x))
        x = x * F.hardsigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1)))))
        x = F.silu(self.conv(x))
        gate = torch.sigmoid(self.gate(F.avg_pool2d(x, x.size()[2:]).view(x.size(0), -1)))
        x = torch.mul(x, gate.view(x.size(0), 8, 1, 1))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class DenseBlock(nn.Module):
    """Every layer reads all before it, behind a normalisation; an average pooling, then a largest value."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(4 * n) for n in (1, 2, 3))
        self.convs = nn.ModuleList(nn.Conv2d(4 * n, 4, 3, padding=1) for n in (1, 2, 3))
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = torch.cat([x, conv(F.relu(norm(x)))], 1)
        return torch.softmax(self.head(self.pool(F.avg_pool2d(x, 2)).flatten(1)), 1)


class Inception(nn.Module):
    """Branches side by side as modules of ours: poolings, a sigmoid, a concatenation of concatenations."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.one = nn.Conv2d(8, 4, 1)
        self.three = nn.Sequential(nn.Conv2d(8, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU6())
        self.pool = nn.AvgPool2d(3, 1, 1)
        self.project = nn.Conv2d(8, 4, 1)
        self.join = Concatenate()
        self.reduce = nn.MaxPool2d(2)
        self.scale = Multiply()
        self.add = Add()
        self.head = nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        y = self.join(torch.sigmoid(self.one(x)), self.three(x), self.project(self.pool(x)))
        z = self.join(self.reduce(y), self.reduce(self.scale(y, y)))
        return self.head(self.add(z, z).mean(dim=[2, 3]))


class Functions(nn.Module):
    """Every function of one value, numbers on either side, upsampling, a difference."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, stride=2)
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Conv2d(8, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x * 0.5)
        x = F.gelu(x) + F.elu(1 - x) / 3
        x = F.leaky_relu(self.conv(torch.tanh(x)), 0.2) - x
        x = F.interpolate(
            F.interpolate(x, scale_factor=2.0, mode="nearest"), scale_factor=0.5, mode="bilinear"
        )
        x = F.relu(x) * -2.0 + F.gelu(x, approximate="tanh")
        return self.head(F.adaptive_avg_pool2d(x, (1, 1))).flatten(1)


class Shuffled(nn.Module):
    """Halves of channels, one on its way as it is, shuffled; pixels to channels and back; parts, padding."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.branch = nn.Conv2d(4, 4, 3, padding=1)
        self.unshuffle = nn.PixelUnshuffle(2)
        self.mix = nn.Conv2d(32, 16, 1)
        self.pad = nn.ZeroPad2d((0, 1, 1, 0))
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        one, other = self.stem(x).chunk(2, 1)
        x = torch.cat([one, F.gelu(self.branch(other))], 1)
        x = x.view(x.size(0), 2, 4, 12, 12).transpose(1, 2).reshape(x.size(0), 8, 12, 12)
        x = self.mix(self.unshuffle(x)) + 0.1
        x = F.pixel_shuffle(torch.cat([x, x[:, ::2]], 1), 2)[:, :4, 1:, ::2]
        x = self.pad(x)
        x = torch.cat([x, x.mean(3, keepdim=True).expand(-1, -1, -1, 5)], 3)
        return self.head(F.adaptive_avg_pool2d(x, (2, 2)).flatten(1))


class Rows(nn.Module):
    """Dense layers on maps with channels last and on rows, a sum across, a mean, a softmax of columns."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.widen = nn.Linear(8, 16)
        self.narrow = nn.Linear(16, 8)
        self.across = nn.Linear(9, 9)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.narrow(F.gelu(self.widen(x.permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)
        x = x.flatten(2).transpose(1, 2)
        x = x + F.relu(self.across(x.transpose(1, 2))).transpose(1, 2)
        x = x * F.softmax(x, 1)
        return self.head(x.mean(1))


class Pooled(nn.Module):
    """Windows that reach over the edge, of what may be negative and what may not; maps with one axis."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.ceil = nn.MaxPool2d(5, 3, 1, ceil_mode=True)
        self.mean = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.conv = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = (
            F.hardtanh(self.ceil(self.stem(x)))
            + self.ceil(self.stem(x)).clamp(0, 1)
            + F.max_pool2d(F.relu6(self.stem(x)), 3, 3)
        )
        x = self.conv(self.mean(F.interpolate(x, scale_factor=2.0)))
        x = F.avg_pool1d(F.max_pool1d(x.flatten(2), 3, 2, 1), 4)
        return self.head(F.adaptive_avg_pool1d(x, 1).flatten(1))


NETWORKS = [Shortcut, SqueezeExcite, DenseBlock, Inception, Functions, Shuffled, Rows, Pooled]


def quantized(build: Callable[[], nn.Module]) -> tuple[Program, Tensor]:
    """The network with random weights on 8 bits, and the images that its ranges were seen on."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = adopt(build(), SHAPE)
        images = F.interpolate(torch.rand(IMAGES, 3, 4, 4) * 2 - 1, SHAPE[1:], mode="bilinear")
        context = SimpleNamespace(images=lambda count: images[:count])
        found, decisions = Quantize(bits=8).apply(network, context)  # type: ignore[arg-type]
    assert isinstance(found, Program)
    assert "stays_float" not in decisions
    return found.eval(), images


def in_torch_order(value: LoweredValue, found: np.ndarray) -> Tensor:
    """Integers of one value for several images, [N, C, H, W], [N, features], …."""
    whole = torch.from_numpy(np.concatenate(found)).float().reshape(-1, *value.shape)
    return whole.permute(0, *(1 + value.order.index(axis) for axis in range(len(value.order))))


def file_values(network: Program, written: Lowered, images: Tensor, delegate: bool) -> dict[str, Tensor]:
    """What the runtime makes of every value that has a grid: a file that returns them all."""
    names = list(network.value_grids.roundings)
    written.model.outputs = [written.values[name].index for name in names]
    runner = LiteRtRunner(written.model.to_bytes(), delegate=delegate)
    assert runner.input_grid is not None
    found: list[list[np.ndarray]] = [[] for _ in names]
    for raw in runner.input_grid.quantize(images.permute(0, 2, 3, 1).numpy()):
        runner.interpreter.set_tensor(runner.input["index"], raw[None])
        runner.interpreter.invoke()
        for rows, output in zip(found, runner.outputs, strict=True):
            rows.append(runner.interpreter.get_tensor(output["index"]).reshape(1, -1))
    return {name: in_torch_order(written.values[name], rows) for name, rows in zip(names, found, strict=True)}


class Forced(nn.Module):
    """Rounds values as the network does, says how far the file is from that, and goes on with the file's."""

    def __init__(self, table: nn.Module, found: dict[str, Tensor]) -> None:
        super().__init__()
        self.table, self.found = table, found
        self.steps: dict[str, Tensor] = {}

    def forward(self, name: str, value: Tensor) -> Tensor:
        value = self.table(name, value)
        if name not in self.found:
            return value
        scale, zero_point = self.table.grid_of(name).scale_and_zero_point()  # type: ignore[operator]
        integers = (value / scale).round() + zero_point
        self.steps[name] = (integers - self.found[name]).abs()
        return (self.found[name] - zero_point) * scale


@pytest.mark.parametrize("delegate", [True, False], ids=["XNNPACK", "plain"])
@pytest.mark.parametrize("build", NETWORKS)
def test_every_operation_is_within_a_step(build: Callable[[], nn.Module], delegate: bool) -> None:
    network, images = quantized(build)
    found = file_values(network, lowered(network, SHAPE), images, delegate)
    forced = Forced(network.value_grids, found)
    network.value_grids = forced  # type: ignore[assignment]
    with torch.no_grad():
        network(images)
    assert forced.steps.keys() == found.keys()
    assert {name: float(steps.max()) for name, steps in forced.steps.items() if steps.max() > 1} == {}
    assert all(len(integers.unique()) > 8 for integers in found.values())
    # ties, and what kernels round twice: the plain mean most of all
    most = 0.12 if delegate else 0.6
    assert {name: float(steps.mean()) for name, steps in forced.steps.items() if steps.mean() > most} == {}


@pytest.mark.parametrize("build", NETWORKS)
def test_the_whole_file_is_integers(build: Callable[[], nn.Module]) -> None:
    """Rounded otherwise here and there, the answers are a few steps apart at the end."""
    network, images = quantized(build)
    assert integer_throughout(network)
    content = lower(network, SHAPE)
    assert float_tensors(content) == []
    assert {row.dtype for row in tensor_rows(content)} == {"int8", "int32"}
    assert "DEQUANTIZE" not in operator_names(content)
    assert len(lower(to_meta(network).eval(), SHAPE)) == len(content)
    runner = LiteRtRunner(content)
    assert runner.output_grid is not None
    with torch.no_grad():
        want = network(images).numpy()
    steps = np.abs(runner.run(images.permute(0, 2, 3, 1).numpy()) - want) / runner.output_grid.scale
    assert steps.mean() <= 1
    assert steps.max() <= 4


@pytest.mark.parametrize("build", NETWORKS)
def test_the_float_file_is_the_network(build: Callable[[], nn.Module]) -> None:
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = adopt(build(), SHAPE).eval()
        images = torch.rand(4, *SHAPE) * 2 - 1
        want = network(images).numpy()
    got = LiteRtRunner(lower(network, SHAPE)).run(images.permute(0, 2, 3, 1).numpy())
    np.testing.assert_allclose(got, want, atol=1e-5 * max(1.0, np.abs(want).max()))


@pytest.mark.parametrize("form", ["arithmetic", "pairs"])
def test_a_program_leaves_in_other_forms_too(form: Form) -> None:
    """Averages round halves away there as well, and torch.export follows a program's calls."""
    network, images = quantized(DenseBlock)
    plain = plain_network(network, form)
    exported = torch.export.export(plain, (images[:1],)).module()
    with torch.no_grad():
        torch.testing.assert_close(plain(images), network(images))
        torch.testing.assert_close(exported(images[:1]), network(images[:1]))


def test_a_float_tensor_is_found_with_its_operator() -> None:
    """A group normalisation in the middle has no integer kernel; a file with one says where it is float."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        parts = [nn.Conv2d(3, 4, 3), nn.ELU(), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(400, 3)]
        network = adopt(nn.Sequential(*parts), SHAPE).eval()
        images = torch.rand(8, *SHAPE) * 2 - 1
        context = SimpleNamespace(images=lambda count: images[:count])
        steps = (Quantize(bits=8, layers="0|4"), Quantize(bits=8, layers="2"))
        part, _ = steps[0].apply(network, context)  # type: ignore[arg-type]
        whole, _ = steps[1].apply(part, context)  # type: ignore[arg-type]
    assert not integer_throughout(part)
    content = lower(part.eval(), SHAPE)
    layers = operator_layers(part, SHAPE)
    found = {layers[tensor.operator] for tensor in float_tensors(content)}
    assert found == {"1", "2"}
    assert integer_throughout(whole)
    assert float_tensors(lower(whole.eval(), SHAPE)) == []


def test_silent_floats_are_told_where_integers_were_asked_for() -> None:
    """A group normalisation has no kernel at all; a layer whose values are all zero has one without a use."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        parts = [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(400, 3)]
        parts[0].bias.fill_(-100.0)  # type: ignore[union-attr,operator]
        network = adopt(nn.Sequential(*parts), SHAPE).eval()
        images = torch.rand(8, *SHAPE) * 2 - 1
        context = SimpleNamespace(images=lambda count: images[:count])
        whole, _ = Quantize(bits=8).apply(network, context)  # type: ignore[arg-type]
        part, _ = Quantize(bits=8, first_last="float").apply(network, context)  # type: ignore[arg-type]
    content = lower(whole, SHAPE)
    assert silent_floats(whole, SHAPE, content)[0].startswith("DEQUANTIZE of 0 makes or reads float32 ")
    assert silent_floats(part, SHAPE, lower(part, SHAPE)) == []


#: those that a test has time for; the others are slow ones
QUICK = ("mobilenet_v2", "mobilenet_v3_small_full_se", "squeezenet", "inception_v1", "densenet121")
SIZES = {"inception_v4": 75, "east_resnet50": 64}
#: those of which some part has no integer kernel, or whose input is no image
NOT_INTEGER = (
    "dense_autoencoder", "vgg16_bn", "shufflenet_v2", "convnext_tiny", "unet", "fcn_1d", "vit_tiny",
    "sensor_lstm",
)  # fmt: skip
#: those with no operation or order of operations that another one has not
NOTHING_NEW = ("resnet34", "resnet50", "mobilenet_v3_large", "efficientnet_v2_s", "repvgg_a0")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow)
        for name, _ in ZOO
        if name not in (*NOT_INTEGER, *NOTHING_NEW)
    ],
)
def test_every_network_of_the_zoo_is_integer_everywhere(name: str) -> None:
    size = SIZES.get(name, 32)
    shape = (3, size, size)
    network = adopt(build_network(name, 10, shape), shape)
    made = torch.Generator().manual_seed(0)
    images = F.interpolate(torch.rand(4, 3, 4, 4, generator=made) * 2 - 1, shape[1:], mode="bilinear")
    context = SimpleNamespace(images=lambda count: images[:count])
    network, decisions = Quantize(bits=8).apply(network, context)  # type: ignore[arg-type]
    assert "stays_float" not in decisions
    assert {row.cost.compute for row in layer_table(network, shape).rows} == {"int8"}
    assert {row.cost.activation_bits for row in layer_table(network, shape).rows} == {8}
    written = lowered(network.eval(), shape)
    assert float_tensors(written.model.to_bytes()) == []
    if isinstance(network, Program):
        forced = Forced(network.value_grids, file_values(network, written, images, delegate=True))
        network.value_grids = forced  # type: ignore[assignment]
        with torch.no_grad():
            network(images)
        assert {name: float(steps.max()) for name, steps in forced.steps.items() if steps.max() > 1} == {}
