"""Decomposed layers as files: an operator a stage, the network's own results, the predicted size."""

from collections import OrderedDict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from atoll.evaluators.litert.inspect import operator_names, tensor_rows
from atoll.evaluators.litert.lower import lower
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.structure import to_meta
from atoll.spaces.layers.tt_dense import TTDense
from atoll.spaces.recipes.recipe import Recipe
from torch import Tensor, nn

SHAPE = (3, 12, 12)
STAGES = {
    "tensor_train(rank=6, kinds=conv, fit_steps=0)": ["CONV_2D"] * 4,
    "tucker(rank=0.25, fit_steps=0)": ["CONV_2D"] * 3,
    "cp(rank=12, fit_steps=0)": ["CONV_2D", "DEPTHWISE_CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D"],
}
#: and how many steps the outputs may be off on average
BITS = [
    ("", 0),
    (" -> quantize(bits=8)", 0.7),
    (" -> quantize(bits=4)", 5),
    (" -> quantize(bits=8, activations=float)", 0),
]


class Blocks(nn.Module):
    """A normalisation that folds, one behind a ReLU, strides, dilation, a residual, a large dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False)
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(32, 48, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(48)
        self.conv2 = nn.Conv2d(48, 48, 3, padding=2, dilation=2)
        self.norm2 = nn.BatchNorm2d(48)
        self.flatten = nn.Flatten()
        self.dense = nn.Linear(48 * 36, 40)
        self.norm3 = nn.BatchNorm1d(40)
        self.head = nn.Linear(40, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm1(self.conv1(self.relu(self.stem(x)))))
        x = x + self.norm2(self.relu(self.conv2(x)))
        return self.head(self.relu(self.norm3(self.dense(self.flatten(x)))))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = adopt(Blocks(), SHAPE)
        for module in built.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                nn.init.uniform_(module.bias, -0.5, 0.5)
                nn.init.uniform_(module.weight, 0.3, 1.0)
    return built.eval()


def images() -> Tensor:
    return torch.rand(64, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1


def compressed(network: nn.Module, text: str) -> nn.Module:
    context = SimpleNamespace(
        generator=torch.Generator().manual_seed(0),
        input_shape=SHAPE,
        num_classes=5,
        teacher=None,
        epochs_left=0.0,
        images=lambda count: images()[:count],
        fit=lambda model, **_: None,
    )
    for step in Recipe.parse(text):
        network = step.apply(network, context)[0].eval()  # type: ignore[arg-type]
    return network


def check_file(network: nn.Module, steps_off: float) -> list[str]:
    """Runs the file beside the network; returns its operators without moves between grids.

    int8 results agree to a step at the output but for ties on the way. int4 convolutions run in plain
    kernels, which round twice (see support.py): a chain of them gathers more.
    """
    content = lower(network, SHAPE)
    assert len(lower(to_meta(network), SHAPE)) == len(content)
    with torch.no_grad():
        want = network(images()).numpy()
    runner = LiteRtRunner(content)
    got = runner.run(images().permute(0, 2, 3, 1).numpy())
    if runner.output_grid is None:
        np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())
        assert (got.argmax(1) == want.argmax(1)).all()
    else:
        steps = np.abs(got - want) / runner.output_grid.scale
        assert steps.mean() <= steps_off
        assert steps.max() <= 10 * steps_off
        assert (got.argmax(1) == want.argmax(1)).mean() > 0.85
    return [name for name in operator_names(content) if name not in ("PAD", "QUANTIZE", "DEQUANTIZE")]


@pytest.mark.parametrize(("bits", "steps_off"), BITS)
@pytest.mark.parametrize("text", list(STAGES))
def test_chains_of_convolutions(text: str, bits: str, steps_off: float, network: nn.Module) -> None:
    names = check_file(compressed(network, text + bits), steps_off)
    stages = STAGES[text]
    # the first normalisation is in the last stage, the second one behind a ReLU
    assert names[1 : 1 + 2 * len(stages) + 1] == [*stages, *stages, "DEPTHWISE_CONV_2D"]


@pytest.mark.parametrize("text", list(STAGES))
def test_integer_chains_have_no_float_tensor(text: str, network: nn.Module) -> None:
    content = lower(compressed(network, text + " -> quantize(bits=8)"), SHAPE)
    assert {row.dtype for row in tensor_rows(content)} == {"int8", "int32"}


@pytest.mark.parametrize(("bits", "steps_off"), BITS)
def test_a_singular_value_decomposition_is_two_dense_operators(
    bits: str, steps_off: float, network: nn.Module
) -> None:
    names = check_file(compressed(network, "svd(rank=8, fit_steps=0)" + bits), steps_off)
    # torch's flattening, the bias, the normalisation and the ReLU are all inside
    assert names[-4:] == ["ADD", *["FULLY_CONNECTED"] * 3]


def test_an_integer_chain_by_itself_is_within_a_step() -> None:
    """By itself, without other layers' ties: every output is at most one step off."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = OrderedDict(
            conv=nn.Conv2d(3, 64, 3, padding=1), relu=nn.ReLU(), last=nn.Conv2d(64, 64, 3, 2, 1)
        )
        network = adopt(nn.Sequential(parts), SHAPE).eval()
    for text in STAGES:
        chain = compressed(network, text + " -> quantize(bits=8)")
        runner = LiteRtRunner(lower(chain, SHAPE))
        with torch.no_grad():
            want = chain(images()).permute(0, 2, 3, 1).numpy()
        got = runner.run(images().permute(0, 2, 3, 1).numpy())
        assert runner.output_grid is not None
        steps = np.abs(got.reshape(want.shape) - want) / runner.output_grid.scale
        assert np.quantile(steps, 0.99) <= 1.001


class Rows(nn.Module):
    """Dense layers at every position, with several modes or one of all inputs, and a bias or none."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 64, 4, 4)
        self.wider, self.narrower = nn.Linear(64, 96), nn.Linear(96, 67, bias=False)
        self.head = nn.Linear(67, 5)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.narrower(torch.relu(self.wider(rows))).mean(1))


@pytest.mark.parametrize("rank", [1, 4])
@pytest.mark.parametrize("bits", ["", " -> quantize(bits=8)", " -> quantize(bits=8, activations=dynamic)"])
def test_a_tensor_train_reads_every_row_by_itself(rank: int, bits: str, compressed, written) -> None:
    network = compressed(Rows(), images()[:8], f"tensor_train(rank={rank}, fit_steps=0){bits}")
    assert isinstance(network.get_submodule("wider"), TTDense)
    content = written(network, images()[:8], steps=3.01, share=0.5, dynamic="dynamic" in bits)
    assert operator_names(content).count("TRANSPOSE") >= 1


def test_every_stage_of_a_tensor_train_moves_its_mode_by_one_order(network: nn.Module) -> None:
    content = lower(compressed(network, "tensor_train(rank=4, fit_steps=0)"), SHAPE)
    file = TfliteFile.parse(content)
    _, *moved = [operator for operator in file.operators if operator.name == "TRANSPOSE"]  # one flattens
    assert len(moved) > 2
    assert len({operator.inputs[1] for operator in moved}) == 1
    assert {len(file.tensors[operator.inputs[0]].shape) for operator in moved} == {2}


def test_stages_of_four_bits_share_a_bias_of_zeros_without_scales(network: nn.Module) -> None:
    content = lower(compressed(network, "tucker(rank=0.25, fit_steps=0) -> quantize(bits=4)"), SHAPE)
    file = TfliteFile.parse(content)
    convolutions = [operator for operator in file.operators if operator.name == "CONV_2D"]
    narrow = [one for one in convolutions if file.tensors[one.inputs[1]].dtype == "INT4"]
    biases = [file.tensors[one.inputs[2]] for one in narrow]
    zeros = [
        one.inputs[2]
        for one, bias in zip(narrow, biases, strict=True)
        if not any(content[bias.data[0] : sum(bias.data)])
    ]
    # of each chain the first two stages have none of their own; equally long ones are one
    assert (len(narrow), len(zeros)) == (6, 4)
    assert len(set(zeros)) == len({file.tensors[index].shape for index in zeros}) == 2
    assert {bias.scales[1] for bias in biases} == {0}


def test_the_bias_behind_a_tensor_train_has_one_scale(network: nn.Module) -> None:
    text = "tensor_train(rank=4, fit_steps=0) -> quantize(bits=8)"
    file = TfliteFile.parse(lower(compressed(network, text), SHAPE))
    moved = [at for at, one in enumerate(file.operators) if one.name == "FULLY_CONNECTED"][-2]
    shift = next(one for one in file.operators[moved:] if one.name == "DEPTHWISE_CONV_2D")
    weight, bias = (file.tensors[index] for index in shift.inputs[1:])
    assert (weight.shape, weight.scales[1], bias.scales[1]) == ((1, 1, 1, 40), 1, 1)
