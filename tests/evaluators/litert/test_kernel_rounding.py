"""Integer kernels round as the simulation says, to the bit; and so do networks beside their files."""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert import as_shipped, operators
from atoll.evaluators.litert.as_shipped import rounding_as_shipped
from atoll.evaluators.litert.kernel_rounding import KernelRounding
from atoll.evaluators.litert.lower import lower
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.writer import TfliteModel
from atoll.evaluators.measuring.artifact import shipped_logits, verify_artifact
from atoll.evaluators.training.prediction import predict_logits
from atoll.spaces.errors import AtollError
from atoll.spaces.layers.activation_grid import ActivationGrid
from atoll.spaces.layers.structure import scaling_of
from torch import Tensor, nn

Compressed = Callable[[nn.Module, Tensor, str], nn.Module]
SIZE = 6
#: operator, bits, inputs, outputs, whether a scale per channel
KERNELS = [
    ("conv", 8, 16, 8, True),
    ("conv", 4, 16, 8, True),
    ("conv", 4, 5, 7, False),
    ("grouped", 4, 16, 8, True),
    ("depthwise", 8, 12, 12, True),
    ("depthwise", 4, 12, 12, True),
    ("dense", 8, 15, 9, True),
    ("dense", 4, 16, 9, True),
    ("dense", 4, 15, 9, False),
    ("dense", 2, 16, 9, True),
    ("dense", 2, 18, 9, True),
    ("dense", 2, 16, 9, False),
]
SHAPES = {
    "conv": lambda inputs, outputs: ((outputs, 3, 3, inputs), 0),
    "grouped": lambda inputs, outputs: ((outputs, 3, 3, inputs // 2), 0),
    "depthwise": lambda inputs, outputs: ((1, 3, 3, outputs), 3),
    "dense": lambda inputs, outputs: ((outputs, inputs), 0),
}
SOURCE, TARGET = TensorGrid(float(np.float32(0.017)), -7), TensorGrid(float(np.float32(0.05)), 5)


def accumulated(kind: str, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Sums of products of whole numbers, exact in float64."""
    if kind == "dense":
        return x @ weight.T
    order = (3, 0, 1, 2) if kind == "depthwise" else (0, 3, 1, 2)
    groups = {"conv": 1, "grouped": 2, "depthwise": x.shape[-1]}[kind]
    kernel = torch.from_numpy(weight.transpose(order).copy())
    return (
        F.conv2d(torch.from_numpy(x).permute(0, 3, 1, 2), kernel, groups=groups).permute(0, 2, 3, 1).numpy()
    )


@pytest.mark.parametrize(("kind", "bits", "inputs", "outputs", "per_channel"), KERNELS)
def test_a_kernel_rounds_to_the_bit(
    kind: str, bits: int, inputs: int, outputs: int, per_channel: bool
) -> None:
    rng = np.random.default_rng(bits)
    shape, axis = SHAPES[kind](inputs, outputs)
    levels = 2 ** (bits - 1) - 1
    integers = rng.integers(-levels, levels + 1, shape).astype(np.float64)
    # results fill the grid: fewer bits, fewer and larger steps of the accumulator
    spread = 40 * TARGET.scale / (70 * SOURCE.scale * levels * np.sqrt(np.prod(shape) / outputs))
    scales = (rng.uniform(0.5, 1, outputs if per_channel else 1) * spread).astype(np.float32)
    steps = np.float32(SOURCE.scale) * np.broadcast_to(scales, outputs)

    model = TfliteModel()
    x = model.add_input((1, inputs) if kind == "dense" else (1, SIZE, SIZE, inputs), SOURCE)
    bias = rng.integers(-300, 300, outputs)
    constants = (
        model.add_constant(integers, f"int{bits}", scales, axis),
        model.add_constant(bias, "int32", np.float32(SOURCE.scale) * scales),
    )
    if kind == "dense":
        y = operators.fully_connected(model, x, *constants, grid=TARGET)
    else:
        build = operators.depthwise_conv_2d if kind == "depthwise" else operators.conv_2d
        y = build(model, x, *constants, grid=TARGET, padding="valid")
    model.outputs = [y]
    raw = rng.integers(-128, 128, (300 if kind == "dense" else 30, *model.tensors[x].shape[1:]))
    found = LiteRtRunner(model.to_bytes()).run_raw(raw.astype(np.int8)).astype(int)

    sums = accumulated(kind, raw - float(SOURCE.zero_point), integers)
    rounding = KernelRounding.of(model, model.operators[-1])
    assert rounding is not None
    unbiased = torch.from_numpy(sums * steps.astype(np.float64))
    ours = rounding.beside(np.zeros(outputs)).on_grid(unbiased, axis=-1).numpy()
    expected = np.rint(ours / TARGET.scale) + TARGET.zero_point
    nearest = np.rint((sums + bias) * steps / np.float64(TARGET.scale)) + TARGET.zero_point
    twice = rounding.shift is not None
    assert np.ptp(found) > 100 and (np.clip(nearest, -128, 127) != found).any() == twice, "it means something"
    assert np.array_equal(found, expected)


def layer(kind: str) -> nn.Sequential:
    """One layer of a kind behind a convolution that makes its integers, the first with a normalisation."""
    torch.manual_seed(3)
    after = {
        "conv": lambda: nn.Conv2d(8, 12, 3, padding=1),
        "depthwise": lambda: nn.Conv2d(8, 8, 3, padding=1, groups=8),
        "folded": lambda: nn.Sequential(nn.Conv2d(8, 12, 3), nn.BatchNorm2d(12)),
        "alone": lambda: nn.Sequential(nn.ReLU(), nn.BatchNorm2d(8)),
        "dense": lambda: nn.Sequential(nn.Flatten(), nn.Linear(8 * 64, 24)),
    }[kind]()
    network = nn.Sequential(OrderedDict(first=nn.Conv2d(3, 8, 3, padding=1, bias=False), after=after))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.weight, 0.3, 1.0)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
    return network


IMAGES = torch.randint(0, 256, (40, 3, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def differing(network: nn.Module) -> tuple[float, float]:
    """The shares of a file's integers that are not the network's, with its kernels' roundings and without."""
    scaled = scaling_of(network).to_network(IMAGES)
    runner = LiteRtRunner(lower(network, (3, 8, 8)))
    found = torch.from_numpy(runner.run(scaled.movedim(1, -1).numpy()))
    with rounding_as_shipped(network):
        shipped = predict_logits(network, IMAGES)
    assert runner.output_grid is not None

    def share(said: Tensor) -> float:
        steps = (found - said.movedim(1, -1)).abs() / runner.output_grid.scale
        assert steps.max() < 3
        return float((steps > 0.5).float().mean())

    return share(shipped), share(predict_logits(network, IMAGES))


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("kind", ["conv", "depthwise", "folded", "alone", "dense"])
def test_a_network_rounds_as_its_file(compressed: Compressed, kind: str, bits: int) -> None:
    network = compressed(
        layer(kind), scaling_of(layer(kind)).to_network(IMAGES), f"quantize(bits={bits}, first_last=same)"
    )
    with_them, without = differing(network)
    # sums of float32, each of a few bits less than the integers: next to a tie one may fall on its other side
    assert with_them <= 2e-4
    assert without > 20 * with_them


@pytest.mark.parametrize("bits", [4, 8])
def test_a_train_rounds_before_its_bias_as_its_file(compressed: Compressed, bits: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 36), nn.ReLU())
    nn.init.uniform_(network[1].bias, -1, 1)
    recipe = f"tensor_train(rank=4, fit_steps=0) -> quantize(bits={bits}, first_last=same)"
    with_them, without = differing(compressed(network, scaling_of(network).to_network(IMAGES), recipe))
    assert with_them <= 2e-3
    assert without > 0.02


def test_a_file_is_verified_against_the_same_roundings(compressed: Compressed) -> None:
    network = compressed(layer("dense"), scaling_of(layer("dense")).to_network(IMAGES), "quantize(bits=4)")
    found = verify_artifact(lower(network, (3, 8, 8)), network, IMAGES, torch.zeros(len(IMAGES)).long())
    assert found.agreement == 1.0 and found.quality == found.network_quality
    assert found.largest_difference_lsb is not None and found.largest_difference_lsb < 0.01


def test_a_network_without_a_file_is_said_and_not_run_otherwise(
    compressed: Compressed, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = compressed(layer("conv"), scaling_of(layer("conv")).to_network(IMAGES), "quantize(bits=4)")

    def refuse(graph: object) -> None:
        raise AtollError("after: no file")

    monkeypatch.setattr(as_shipped, "lowered_graph", refuse)
    with pytest.raises(AtollError, match="no file"):
        shipped_logits(network, IMAGES)


def hooked(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if module._forward_pre_hooks or module._forward_hooks]


def test_nothing_of_it_stays_where_the_network_fails(compressed: Compressed) -> None:
    network = compressed(layer("conv"), scaling_of(layer("conv")).to_network(IMAGES), "quantize(bits=4)")
    with pytest.raises(RuntimeError, match="channels"), rounding_as_shipped(network):
        assert hooked(network)
        predict_logits(network, IMAGES[:, :2])
    assert not hooked(network)


def test_nothing_of_it_stays(compressed: Compressed) -> None:
    network = compressed(layer("conv"), scaling_of(layer("conv")).to_network(IMAGES), "quantize(bits=4)")
    before = predict_logits(network, IMAGES)
    with rounding_as_shipped(network):
        assert not torch.equal(predict_logits(network, IMAGES), before)
    assert torch.equal(predict_logits(network, IMAGES), before)
    assert not hooked(network) and any(isinstance(m, ActivationGrid) for m in network.modules())
