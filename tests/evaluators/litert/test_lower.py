"""Files written from networks compute what the networks compute, and have the size that was predicted."""

from collections import OrderedDict
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert.inspect import operator_names, overhead_bytes, tensor_rows
from atoll.evaluators.litert.lower import lower
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.dense import Dense
from atoll.spaces.layers.flatten import ChannelsLastFlatten
from atoll.spaces.layers.norm import Norm
from atoll.spaces.layers.structure import to_meta
from atoll.spaces.networks import build_network
from atoll.spaces.techniques.binarize import Binarize
from atoll.spaces.techniques.cluster import Cluster
from atoll.spaces.techniques.mixed_precision import MixedPrecision
from atoll.spaces.techniques.quantize import Quantize
from atoll.spaces.techniques.tensor_train import TensorTrain
from torch import Tensor, nn

SHAPE = (3, 8, 8)


class Residual(nn.Module):
    """Strided, depthwise and pointwise convolutions, an addition, a concatenation, a global pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(8)
        self.pointwise = nn.Conv2d(8, 8, 1)
        self.dilated = nn.Conv2d(8, 4, 3, padding=2, dilation=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.stem(x)))
        x = self.relu(x + self.pointwise(self.relu(self.depthwise_norm(self.depthwise(x)))))
        x = torch.cat([x, self.dilated(x)], 1)
        return self.head(self.flatten(self.pool(x)))


def papers() -> nn.Module:
    """The papers' plan, tiny."""
    return build_network("compact_cnn", 7, SHAPE)


def channels_first(bias: bool = True) -> nn.Module:
    """Torch's own flattening, biases, a dense layer that a normalisation follows."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 6, 3, bias=bias),
            relu=nn.ReLU6(),
            pool=nn.AvgPool2d(2),
            flatten=nn.Flatten(),
            dense=nn.Linear(54, 128, bias=bias),
            norm=nn.BatchNorm1d(128),
            rectify=nn.ReLU(),
            drop=nn.Dropout(),
            head=nn.Linear(128, 5),
        )
    )


def prepared(build: Callable[[], nn.Module]) -> tuple[nn.Module, Tensor]:
    """An adopted network with lively normalisations, in evaluation mode, and images for it."""
    torch.manual_seed(0)
    network = adopt(build(), SHAPE)
    images = torch.rand(64, *SHAPE) * 2 - 1
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.weight, -1.0, 1.0)  # signs too
    network.train()
    with torch.no_grad():
        for _ in range(20):
            network(images)
    return network.eval(), images


def compressed(network: nn.Module, images: Tensor, *steps: object) -> nn.Module:
    """The network after the steps, without any training."""
    context = SimpleNamespace(
        generator=torch.Generator().manual_seed(0),
        input_shape=SHAPE,
        num_classes=5,
        teacher=None,
        epochs_left=0.0,
        images=lambda count: images[:count],
        fit=lambda model, **_: None,
    )
    for step in steps:
        network = step.apply(network, context)[0].eval()  # type: ignore[attr-defined]
    return network


def run(content: bytes, images: Tensor) -> tuple[np.ndarray, float | None]:
    runner = LiteRtRunner(content)
    grid = runner.output_grid
    return runner.run(images.permute(0, 2, 3, 1).numpy()), None if grid is None else grid.scale


def logits(network: nn.Module, images: Tensor) -> np.ndarray:
    with torch.no_grad():
        return network(images).numpy()


def assert_close(got: np.ndarray, want: np.ndarray, step: float) -> None:
    """Equal but for values between two steps, which may fall either way in every layer, and what follows.

    An average pooling keeps its input's grid in the file and not in the network: that alone is half a step.
    """
    steps = np.abs(got - want) / step
    assert steps.mean() <= 2.5
    assert steps.max() <= 12
    assert (got.argmax(1) == want.argmax(1)).mean() > 0.85


class Functions(nn.Module):
    """Squeeze and excitation by a hard-swish and a view, pooling and activations as functions, a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1)
        self.squeeze = nn.Linear(8, 4)
        self.excite = nn.Linear(4, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.conv2(F.max_pool2d(F.hardswish(self.conv1(x)), 2)))
        batch, channels, _, _ = x.shape
        pooled = F.avg_pool2d(x, x.size()[2:]).view(batch, channels)
        factor = torch.sigmoid(self.excite(F.relu6(self.squeeze(pooled))))
        x = F.leaky_relu(torch.mul(x, factor.view(batch, channels, 1, 1)), 0.2)
        return self.head(torch.tanh(F.elu(x)).mean((2, 3)))


NETWORKS = [papers, channels_first, Residual, Functions]
FLOAT_STEPS: list[tuple[str, tuple]] = [
    ("baseline", ()),
    ("int8 weights", (Quantize(bits=8, activations="float"),)),
    ("int4 weights", (Quantize(bits=4, activations="float", first_last="same"),)),
    ("int2 weights", (Quantize(bits=2, activations="float", first_last="same"),)),
    ("int4 in int3", (Quantize(bits=3, activations="float", first_last="same"),)),
    ("affine int4", (Quantize(bits=4, activations="float", first_last="same", scheme="affine"),)),
    ("affine int2", (Quantize(bits=2, activations="float", scheme="affine", granularity="per_tensor"),)),
    ("mixed", (MixedPrecision(bits=4.5, activations="float"),)),
    ("binary", (Binarize(),)),
    ("clusters", (Cluster(),)),
]
INT8_STEPS: list[tuple[str, tuple]] = [
    ("int8", (Quantize(bits=8),)),
    ("int4", (Quantize(bits=4, first_last="same"),)),
    ("float ends", (Quantize(bits=8, first_last="float"),)),
    ("affine int8", (Quantize(bits=8, scheme="affine", calibration="percentile", method="ptq"),)),
    ("mixed int8", (MixedPrecision(bits=4.5),)),
    ("clusters on a grid", (Cluster(), Quantize(bits=8))),
]


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("steps", [s for _, s in FLOAT_STEPS], ids=[n for n, _ in FLOAT_STEPS])
def test_float_activations_are_exact(build: Callable[[], nn.Module], steps: tuple) -> None:
    network, images = prepared(build)
    network = compressed(network, images, *steps)
    content = lower(network, SHAPE)
    want = logits(network, images)
    got, _ = run(content, images)
    np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())
    assert len(lower(to_meta(network), SHAPE)) == len(content)
    assert lower(network, SHAPE) == content


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("steps", [s for _, s in INT8_STEPS], ids=[n for n, _ in INT8_STEPS])
def test_int8_activations_agree_to_a_few_steps(build: Callable[[], nn.Module], steps: tuple) -> None:
    network, images = prepared(build)
    network = compressed(network, images, *steps)
    content = lower(network, SHAPE)
    want = logits(network, images)
    got, step = run(content, images)
    assert_close(got, want, step or np.abs(want).max() / 128)
    assert len(lower(to_meta(network), SHAPE)) == len(content)


class Heads(nn.Module):
    """Three heads, one of them read by another, the last flattened as torch flattens."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.classes = nn.Linear(144, 5)
        self.box = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> dict[str, object]:
        x = torch.relu(self.conv(x)).flatten(1)
        classes = self.classes(x)
        return {"classes": classes, "rest": (self.box(classes), x)}


@pytest.mark.parametrize(("steps", "tolerance"), [((), 1e-5), ((Quantize(bits=8),), 4)])
def test_every_head_is_an_output(steps: tuple, tolerance: float) -> None:
    network, images = prepared(Heads)
    network = compressed(network, images, *steps)
    content = lower(network, SHAPE)
    assert len(content) == len(lower(to_meta(network).eval(), SHAPE))
    runner = LiteRtRunner(content)
    with torch.no_grad():
        found = network(images[:1])
    wanted = (found["classes"], *found["rest"])
    heads = runner.run_heads(images[0].permute(1, 2, 0).numpy())
    for got, want, raw in zip(heads, wanted, runner.outputs, strict=True):
        step = raw["quantization"][0] or 1.0
        np.testing.assert_allclose(got, want.numpy(), atol=tolerance * step)
    with pytest.raises(AtollError, match="got a file with 3 outputs, allowed is one"):
        run(content, images)


def test_a_softmax_ships() -> None:
    network, images = prepared(lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.Softmax(dim=1)))
    np.testing.assert_allclose(run(lower(network, SHAPE), images)[0], logits(network, images), atol=1e-6)


@pytest.mark.parametrize("build", NETWORKS)
def test_half_precision_agrees_to_its_own_precision(build: Callable[[], nn.Module]) -> None:
    """A folded normalisation multiplies the weights, and what it gives is rounded to half precision again."""
    network, images = prepared(build)
    network = compressed(network, images, Quantize(bits=16))
    content = lower(network, SHAPE)
    want = logits(network, images)
    got, _ = run(content, images)
    np.testing.assert_allclose(got, want, atol=2.0**-9 * np.abs(want).max())
    weights = {row.dtype for row in tensor_rows(content) if row.constant and len(row.shape) == 4}
    assert "float16" in weights
    assert len(lower(to_meta(network), SHAPE)) == len(content)


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("granularity", ["per_channel", "per_tensor"])
def test_kernels_that_round_as_they_run_agree(
    build: Callable[[], nn.Module], bits: int, granularity: str
) -> None:
    """Equal but for activations between two steps, which may fall either way."""
    network, images = prepared(build)
    step = Quantize(bits=bits, first_last="same", activations="dynamic", granularity=granularity)
    network = compressed(network, images, step)
    content = lower(network, SHAPE)
    want = logits(network, images)
    got, _ = run(content, images)
    errors = np.abs(got - want) / np.abs(want).max()
    assert errors.max() <= 0.02
    assert np.median(errors) <= 1e-4
    widened = operator_names(content).count("DEQUANTIZE")
    assert widened == (1 if build is Residual else 0)  # the depthwise convolution
    assert len(lower(to_meta(network), SHAPE)) == len(content)


def test_a_tensor_train_rounds_every_stage_as_it_runs() -> None:
    network, images = prepared(papers)
    steps = (TensorTrain(rank=3, fit_steps=0), Quantize(bits=8, activations="dynamic"))
    network = compressed(network, images, *steps)
    content = lower(network, SHAPE)
    want = logits(network, images)
    got, _ = run(content, images)
    assert "TRANSPOSE" in operator_names(content)
    assert "DEQUANTIZE" not in operator_names(content)
    assert np.abs(got - want).max() <= 0.02 * np.abs(want).max()


def test_whole_int8_has_no_float_tensor() -> None:
    network, images = prepared(papers)
    content = lower(compressed(network, images, Quantize(bits=8)), SHAPE)
    assert {row.dtype for row in tensor_rows(content)} == {"int8", "int32"}


@pytest.mark.parametrize(
    ("steps", "types"),
    [
        ((Quantize(bits=2),), ["int8", "int8", "int4", "int8", "int4", "int8", "int2", "int8"]),
        (
            (Quantize(bits=2, first_last="same"),),
            ["int4", "int8", "int4", "int8", "int4", "int8", "int2", "int2"],
        ),
        ((Binarize(),), ["float32", "float32", "int4", "float32", "int4", "float32", "int2", "float32"]),
    ],
)
def test_weights_ship_in_the_narrowest_right_type(steps: tuple, types: list[str]) -> None:
    network, images = prepared(papers)
    content = lower(compressed(network, images, *steps), SHAPE)
    found = [row.dtype for row in tensor_rows(content) if row.constant and len(row.shape) > 1]
    assert found == types


def test_normalisations_fold_or_become_one_operator() -> None:
    network, images = prepared(papers)
    block = ["CONV_2D", "DEPTHWISE_CONV_2D"]
    float_names = [*block, "MAX_POOL_2D", *block, "MAX_POOL_2D", *block, "FULLY_CONNECTED", "FULLY_CONNECTED"]
    assert operator_names(lower(network, SHAPE)) == float_names
    assert operator_names(lower(compressed(network, images, Quantize(bits=8)), SHAPE)) == float_names


def test_torch_s_flattening_costs_no_operator_before_a_dense_layer() -> None:
    network, _ = prepared(channels_first)
    names = ["CONV_2D", "AVERAGE_POOL_2D", "FULLY_CONNECTED", "FULLY_CONNECTED"]
    assert operator_names(lower(network, SHAPE)) == names


@pytest.mark.parametrize("bias", [True, False])
def test_a_bias_that_is_not_there_has_the_scales_of_the_weights(bias: bool) -> None:
    network, images = prepared(lambda: channels_first(bias))
    integers = compressed(network, images, Quantize(bits=8))
    file = TfliteFile.parse(lower(integers, SHAPE))
    _, weights, zeros = (file.tensors[index] for index in file.operators[0].inputs)
    first, size = zeros.data
    assert any(file.content[first : first + size]) == bias
    assert (weights.scales == zeros.scales) == (not bias)
    got, step = run(file.content, images)
    assert_close(got, logits(integers, images), step)


@pytest.mark.parametrize("build", [papers, channels_first])
@pytest.mark.parametrize("bits", [None, 8, 4])
def test_tensor_train(build: Callable[[], nn.Module], bits: int | None) -> None:
    network, images = prepared(build)
    steps = [TensorTrain(rank=3, fit_steps=0)] + ([Quantize(bits=bits)] if bits else [])
    train = compressed(network, images, *steps)
    content = lower(train, SHAPE)
    want = logits(train, images)
    got, step = run(content, images)
    assert "TRANSPOSE" in operator_names(content)
    if step is None:
        np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())
    else:
        assert_close(got, want, step)
    assert len(lower(to_meta(train), SHAPE)) == len(content)


def test_structure_overhead_of_the_reference_network() -> None:
    """Issue target: at most 4 kB with tensor train and int4 or int8."""
    network = to_meta(adopt(build_network("baseline_cnn", 35, (3, 64, 64)), (3, 64, 64)))
    for step in (TensorTrain(rank=4), Quantize(bits=4)):
        network = step.plan(network)
    assert overhead_bytes(lower(network, (3, 64, 64))) <= 4000


def test_a_dead_channel_ships() -> None:
    """Zero gain and zero weights: scales stay valid and the bias arrives."""
    network, images = prepared(papers)
    norm, dense = network.get_submodule("classifier.bn4"), network.get_submodule("classifier.dense1")
    assert isinstance(norm, Norm)
    assert isinstance(dense, Dense)
    with torch.no_grad():
        norm.weight[0] = 0.0
        dense.weight.set(dense.weight.effective() * (torch.arange(dense.outputs) != 1)[:, None])
    network = compressed(network, images, Quantize(bits=8))
    want = logits(network, images)
    got, step = run(lower(network, SHAPE), images)
    assert step is not None
    assert np.abs(got - want).max() <= 4 * step


def test_a_dead_layer_ships_in_float() -> None:
    """A layer whose outputs are all zero has no useful grid: its kernel would refuse the file."""
    network, images = prepared(papers)
    with torch.no_grad():
        network.get_parameter("features.conv3.bias").fill_(-100.0)
    network = compressed(network, images, Quantize(bits=8))
    content = lower(network, SHAPE)
    got, step = run(content, images)
    assert step is not None
    assert "DEQUANTIZE" in operator_names(content)
    assert np.abs(got - logits(network, images)).max() <= 4 * step


def test_an_operation_without_counterpart_is_named() -> None:
    network = adopt(nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 2, 1), odd=nn.LogSoftmax(1))), SHAPE)
    with pytest.raises(AtollError, match="odd: LogSoftmax cannot be written for LiteRT"):
        lower(network, SHAPE)


@pytest.mark.parametrize(
    ("size", "stride", "padding"), [(3, 2, 1), (5, 1, 2), (3, 1, 0), (1, 2, 0), (4, 3, 2), (2, 2, 1)]
)
def test_paddings_mean_what_torch_means(size: int, stride: int, padding: int) -> None:
    network = adopt(
        nn.Sequential(nn.Conv2d(3, 4, size, stride, padding), ChannelsLastFlatten()), SHAPE
    ).eval()
    images = torch.rand(2, *SHAPE)
    np.testing.assert_allclose(run(lower(network, SHAPE), images)[0], logits(network, images), atol=1e-5)


@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(3, 1, 1), nn.MaxPool2d(2), nn.AvgPool2d(3, 2, 1)]
)
@pytest.mark.parametrize("before", [nn.ReLU(), nn.Identity()])
def test_poolings_with_padding(pool: nn.Module, before: nn.Module) -> None:
    network = adopt(nn.Sequential(nn.Conv2d(3, 4, 1), before, pool, nn.Flatten()), SHAPE).eval()
    images = torch.rand(2, *SHAPE)
    np.testing.assert_allclose(run(lower(network, SHAPE), images)[0], logits(network, images), atol=1e-5)
