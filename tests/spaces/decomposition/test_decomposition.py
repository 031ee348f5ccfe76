"""The four decompositions on whole networks: what they promise, and what they leave alone."""

from collections import OrderedDict
from typing import Any

import pytest
import torch
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.kernels.tensor_train import automatic_modes, parameter_count
from atoll.spaces.layers.conv_chain import ConvChain
from atoll.spaces.layers.layer import Layer
from atoll.spaces.layers.structure import named_layers, structure, to_meta
from atoll.spaces.layers.tt_dense import TTDense
from atoll.spaces.networks import build_network
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.technique.technique import Decisions, Technique
from atoll.testing import World
from torch import Tensor, nn

SHAPE = (3, 12, 12)
STEPS = (
    "tensor_train(rank=4, kinds=all, {})",
    "tucker(rank=0.25, {})",
    "cp(rank=12, {})",
    "svd(rank=6, {})",
    "svd(rank=0.25, kinds=all, {})",
)


class Branched(nn.Module):
    """Residuals, a shared convolution, grouped and depthwise ones, BatchNorm before and after ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(24)
        self.wide = nn.Conv2d(24, 48, (5, 3), padding=(2, 1), bias=False)
        self.norm2 = nn.BatchNorm2d(48)
        self.grouped = nn.Conv2d(48, 48, 3, padding=1, groups=4)
        self.depthwise = nn.Conv2d(48, 48, 3, padding=1, groups=48)
        self.shared = nn.Conv2d(48, 48, 3, padding=2, dilation=2)
        self.point = nn.Conv2d(48, 64, 1, stride=2)
        self.norm3 = nn.BatchNorm2d(64)
        self.dense = nn.Linear(64 * 9, 53)
        self.head = nn.Linear(53, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm1(self.stem(x)))
        x = self.norm2(torch.relu(self.wide(x)))
        x = x + self.depthwise(torch.relu(self.grouped(x)))
        x = self.shared(torch.relu(self.shared(x)))
        x = torch.relu(self.norm3(self.point(x)))
        return self.head(torch.relu(self.dense(torch.flatten(x, 1))))


class Untrained(World):
    """Images of noise and a generator; nothing is trained."""

    def __init__(self, seed: int = 0) -> None:
        noise = torch.randn(48, *SHAPE, generator=torch.Generator().manual_seed(9))
        super().__init__(noise, torch.arange(48) % 4, None, seed, epochs=0)

    def fit(self, model: nn.Module, **_: Any) -> None:
        raise AssertionError("nobody asked for training")


@pytest.fixture(scope="module")
def branched() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return adopt(Branched(), SHAPE).eval()


def carry(text: str, network: nn.Module, seed: int = 0) -> tuple[nn.Module, Decisions]:
    decisions: Decisions = {}
    for step in Recipe.parse(text):
        planned = step.plan(network)
        network, decisions = step.apply(network, Untrained(seed))
        if step.plan_is_exact:
            assert structure(planned) == structure(network)
    return network, decisions


def step(text: str) -> Technique:
    (found,) = Recipe.parse(text).steps
    return found


def layer(network: nn.Module, name: str) -> Layer:
    found = network.get_submodule(name)
    assert isinstance(found, Layer)
    return found


def logits(network: nn.Module) -> Tensor:
    with torch.no_grad():
        return network.eval()(Untrained().images(16))


# Which layers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", STEPS)
def test_every_layer_is_decomposed_or_says_why_not(text: str, branched: nn.Module) -> None:
    network, decisions = carry(text.format("fit_steps=0"), branched)
    names = [name for name, _ in named_layers(branched)]
    done = [name for name, found in named_layers(network) if found.decomposed]
    assert sorted([*done, *decisions["left_alone"]]) == sorted(names)
    assert list(decisions["relative_error"]) == list(decisions["weight_error"]) == done
    convolutions = ["wide", "shared", "point"]
    expected = {
        "tensor_train(rank=4": [*convolutions, "dense"],
        "svd(rank=6": ["dense"],
        "svd(rank=0.25": ["stem", *convolutions, "dense"],
    }
    assert done == expected.get(text.split(",")[0], convolutions)
    reasons = decisions["left_alone"]
    assert reasons["head"] in ("is no convolution", "has 212 weights: too few, allowed are 4096 and more")
    if "wide" in done:
        assert reasons["grouped"] == "convolves 4 groups of channels by themselves"
        assert reasons["depthwise"].startswith("convolves each channel by itself")
        assert "stem" in done or reasons["stem"].endswith(
            "in place of 1090"
        )  # 648 weights, a stage, 24 channels
    else:
        assert reasons["wide"] == reasons["grouped"] == "is a convolution, and kinds=dense"
    again, notes = carry(text.format("fit_steps=0"), network)
    assert structure(again) == structure(network)
    assert {notes["left_alone"][name] for name in done} == {"is decomposed already"}


@pytest.mark.parametrize(
    ("kinds", "done"), [("dense", ["dense"]), ("conv", ["wide"]), ("all", ["wide", "dense"])]
)
def test_kinds_say_what_is_decomposed(kinds: str, done: list[str], branched: nn.Module) -> None:
    for name in ("tensor_train", "svd"):
        planned = step(f"{name}(rank=4, kinds={kinds}, layers=wide|dense)").plan(branched)
        assert [name for name, found in named_layers(planned) if found.decomposed] == done
    _, notes = carry("tensor_train(rank=4, layers=wide|dense, fit_steps=0)", branched)
    assert notes["left_alone"] == {"wide": "is a convolution, and kinds=dense"}


def test_a_convolution_that_would_not_get_smaller_is_left_alone(branched: nn.Module) -> None:
    _, decisions = carry("tucker(rank=48, layers=shared, fit_steps=0)", branched)
    # 48 x 48 more weights twice, 250 bytes a stage, 8 a channel: nothing can pay at full ranks
    assert decisions["left_alone"] == {
        "shared": f"would take about {20736 + 2 * 48 * 48 + 3 * (250 + 8 * 48)} bytes with 8-bit weights "
        f"in place of {20736 + 250 + 8 * 48}"
    }


def test_a_shared_convolution_that_sees_maps_of_two_sizes_is_fitted_to_the_first() -> None:
    shared = nn.Conv2d(24, 24, 3, padding=1)
    parts = [nn.Conv2d(3, 24, 1), shared, nn.MaxPool2d(2), shared, nn.Flatten(), nn.Linear(864, 4)]
    network = adopt(nn.Sequential(*parts), SHAPE).eval()
    after, decisions = carry("tucker(rank=0.25, fit_steps=2)", network)
    assert list(decisions["relative_error"]) == ["1"]
    assert after.get_submodule("1") is after.get_submodule("3")


# What is written -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("tensor_train(rank=512, kinds=conv, max_error=0.1)", "wide"),
        ("tucker(rank=0.99)", "shared"),
        ("svd(rank=53)", "dense"),
    ],
)
def test_full_ranks_give_the_layer_back(text: str, name: str, branched: nn.Module) -> None:
    technique: Any = step(text)
    original = layer(branched, name)
    form = technique.write(original, original.output_rows(), torch.Generator())
    assert torch.allclose(form.output_rows(), original.output_rows(), atol=2e-2 if "0.99" in text else 1e-5)


@pytest.mark.parametrize("text", ["tensor_train(rank=auto, kinds=all, {})", "svd(rank=auto, {})"])
@pytest.mark.parametrize("max_error", [0.6, 0.9])
def test_automatic_ranks_keep_the_error_bound(text: str, max_error: float, branched: nn.Module) -> None:
    technique = step(text.format(f"max_error={max_error}, fit_steps=0"))
    assert not technique.plan_is_exact
    _, decisions = carry(str(technique), branched)
    assert all(error <= max_error + 1e-6 for error in decisions["weight_error"].values())
    if max_error == 0.9:
        assert decisions["weight_error"]


@pytest.mark.parametrize("text", ["tucker(rank=auto, {})", "cp(rank=auto, {})"])
def test_automatic_ranks_of_kernels_keep_the_error_bound(text: str, branched: nn.Module) -> None:
    _, decisions = carry(text.format("max_error=0.9, fit_steps=0, layers=wide|point"), branched)
    assert set(decisions["weight_error"]) == {"wide", "point"}
    assert all(0.5 < error <= 0.9 + 1e-6 for error in decisions["weight_error"].values())


def test_a_rank_that_does_not_pay_is_told(branched: nn.Module) -> None:
    _, decisions = carry("cp(rank=auto, max_error=0.05, layers=point, fit_steps=0)", branched)
    assert decisions["left_alone"]["point"].startswith("no rank up to ")
    assert decisions["left_alone"]["point"].endswith("keeps the error 0.05, and more do not pay")


def test_the_smallest_rank_is_found_for_a_kernel_of_known_rank(branched: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    factors = [torch.randn(size, 5, generator=generator) for size in (48, 24, 5, 3)]
    kernel = torch.stack(
        [torch.einsum("o,i,y,x->oiyx", *(factor[:, r] for factor in factors)) for r in range(5)]
    ).sum(0)
    for name in ("cp", "tucker", "tensor_train"):
        kinds = ", kinds=conv" if name == "tensor_train" else ""
        settings = f"rank=auto, max_error=0.001{kinds}"
        technique: Any = step(f"{name}({settings})")
        form = technique.write(layer(branched, "wide"), kernel, torch.Generator().manual_seed(1))
        assert isinstance(form, ConvChain)
        widths = [factor.shape[0] for factor in form.factors().values()][:-1]
        assert max(widths) == 5, name
        assert (form.dense_weight() - kernel).norm() <= 1e-3 * kernel.norm()


@pytest.mark.parametrize("text", ["tucker(rank=auto, {})", "tensor_train(rank=auto, kinds=all, {})"])
def test_the_plan_of_automatic_ranks_is_a_lower_bound(text: str, branched: nn.Module) -> None:
    planned = step(text.format("max_error=0.7")).plan(branched)
    network, _ = carry(text.format("max_error=0.7, fit_steps=0"), branched)
    for name, found in named_layers(network):
        bound = layer(planned, name)
        assert sum(f.shape.numel() for f in bound.factors().values()) <= sum(
            f.shape.numel() for f in found.factors().values()
        )


@pytest.mark.parametrize("text", STEPS)
def test_from_scratch_has_the_same_structure_and_other_weights(text: str, branched: nn.Module) -> None:
    written, _ = carry(text.format("fit_steps=0"), branched)
    scratch, decisions = carry(text.format("fit_steps=0, start=scratch"), branched)
    assert structure(scratch) == structure(written)
    for name, error in decisions["weight_error"].items():
        assert error > 1.1  # of about the same size and unlike: the square root of two
        rows, original = layer(scratch, name).output_rows(), layer(branched, name).output_rows()
        assert float(rows.norm() / original.norm()) == pytest.approx(1.0, rel=1e-3)
    other, _ = carry(text.format("fit_steps=0, start=scratch"), branched, seed=1)
    assert not torch.equal(logits(other), logits(scratch))


@pytest.mark.parametrize("text", STEPS)
def test_the_fit_comes_nearer_than_the_decomposition(text: str, branched: nn.Module) -> None:
    _, plain = carry(text.format("fit_steps=0"), branched)
    _, fitted = carry(text.format("fit_steps=25"), branched)
    for name, error in fitted["relative_error"].items():
        assert error < plain["relative_error"][name]


def test_the_mean_rank_of_tucker_is_a_share_or_a_number(branched: nn.Module) -> None:
    def ranks(text: str) -> dict[str, list[int]]:
        chains = [(name, found) for name, found in named_layers(step(text).plan(branched))]
        return {
            name: [factor.shape[0] for factor in found.factors().values()][:-1]
            for name, found in chains
            if isinstance(found, ConvChain)
        }

    assert ranks("tucker(rank=0.25)") == {"wide": [6, 12], "shared": [12, 12], "point": [12]}
    assert ranks("tucker(rank=8)") == {"wide": [8, 8], "shared": [8, 8], "point": [8]}
    assert str(step("tucker(rank=8.0)")) == "tucker(rank=8)"
    for wrong in (0, 1.5, 513, -0.5, "half"):
        with pytest.raises(AtollError, match="or a share between 0 and 1 of the layer's channels"):
            step(f"tucker(rank={wrong})")


# Under constraints -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", STEPS)
def test_a_quantized_layer_stays_quantized(text: str, branched: nn.Module) -> None:
    network, decisions = carry("quantize(bits=4) -> " + text.format("fit_steps=2"), branched)
    for name in decisions["relative_error"]:
        found = layer(network, name)
        assert found.activation_bits == 8
        bits = 8 if name == "stem" else 4  # the first layer is kept wider
        assert all(factor.grid_bits == bits for factor in found.factors().values())
        assert len(found.stage_grids) == len(found.factors()) - 1  # type: ignore[arg-type]
        assert ["grid", "imposed anew"] in decisions["fates"][name]
    assert logits(network).isfinite().all()


def test_channels_of_chains_are_removed_exactly(branched: nn.Module) -> None:
    text = "tucker(rank=0.5, fit_steps=0) -> svd(rank=8, fit_steps=0) -> quantize(bits=8)"
    network, _ = carry(text, branched)
    pruned, decisions = carry("prune_channels(ratio=0.5)", network)
    wide, dense = layer(pruned, "wide"), layer(pruned, "dense")
    assert isinstance(wide, ConvChain)
    assert isinstance(dense, TTDense)
    assert (wide.inputs, dense.outputs) == (16, 24)
    assert dense.out_modes == (24, 1)
    assert ["grid", "carried over"] in decisions["fates"]["dense"]


# Shapes ----------------------------------------------------------------------------------------------

MODES = [((16, 16, 8, 8), (4, 4, 2, 2)), ((16, 8, 16, 8), (4, 2, 4, 2)), ((64, 2, 64, 2), (8, 1, 8, 1))]


@pytest.mark.parametrize("rank", [4, 6, 8, 10])
@pytest.mark.parametrize(("ins", "outs"), MODES, ids=str)
def test_the_papers_trains_can_be_written(rank: int, ins: tuple[int, ...], outs: tuple[int, ...]) -> None:
    """PUB-II TT-I to TT-XII: THESIS eq. 9 by hand, on the papers' layer."""
    network = to_meta(adopt(build_network("baseline_cnn", 11, (3, 64, 64)), (3, 64, 64)))
    dims = [f"{key}={'x'.join(map(str, sizes))}" for key, sizes in (("in_dims", ins), ("out_dims", outs))]
    planned = step(f"tensor_train(rank={rank}, {', '.join(dims)})").plan(network)
    train = planned.get_submodule("classifier.dense1")
    assert isinstance(train, TTDense)
    # the last core of the third set has two rows: no matrix has more ranks at that bond
    ranks = (1, rank, rank, min(rank, ins[3] * outs[3]), 1)
    by_hand = sum(ranks[k] * ins[k] * outs[k] * ranks[k + 1] for k in range(4))
    assert train.ranks == ranks
    assert sum(factor.shape.numel() for factor in train.factors().values()) == by_hand
    assert parameter_count(ins, outs, ranks) == by_hand
    if (ins, outs, rank) == (*MODES[1], 4):
        assert by_hand == 1600


@pytest.mark.parametrize(
    ("inputs", "outputs", "modes"),
    [
        (127, 13, ((1, 127), (13, 1))),  # two primes: the singular value decomposition
        (1021, 97, ((1, 1021), (97, 1))),
        (1024, 97, ((16, 8, 8), (97, 1, 1))),
        (1021, 64, ((1021, 1, 1), (4, 4, 4))),
        (16384, 64, ((16, 16, 8, 8), (4, 4, 2, 2))),
    ],
)
def test_modes_suit_any_size(inputs: int, outputs: int, modes: tuple[tuple[int, ...], ...]) -> None:
    assert automatic_modes(inputs, outputs) == modes


@pytest.mark.parametrize(("inputs", "outputs"), [(127, 61), (97, 64), (1021, 13)])
def test_layers_of_prime_sizes_are_decomposed(inputs: int, outputs: int) -> None:
    parts = OrderedDict(flatten=nn.Flatten(), first=nn.Linear(432, inputs), dense=nn.Linear(inputs, outputs))
    network = adopt(nn.Sequential(parts), SHAPE).eval()
    after, _ = carry("tensor_train(rank=2, layers=dense, fit_steps=0)", network)
    train = layer(after, "dense")
    assert isinstance(train, TTDense)
    x = torch.randn(5, inputs, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(train(x), x @ train.output_rows().T + train.bias, rtol=1e-4, atol=1e-4)


def test_a_dense_layer_on_rows_of_maps_becomes_a_train_on_rows() -> None:
    parts = OrderedDict(rows=nn.Linear(12, 512), dense=nn.Linear(512, 64), flatten=nn.Flatten())
    network = adopt(nn.Sequential(parts), SHAPE).eval()
    for text in ("tensor_train(rank=4, fit_steps=2)", "svd(rank=4, fit_steps=2)"):
        after, _ = carry(text, network)
        train = layer(after, "dense")
        assert isinstance(train, TTDense)
        x = torch.randn(2, 3, 12, 512, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            torch.testing.assert_close(train(x), x @ train.output_rows().T + train.bias, rtol=1e-4, atol=1e-4)
        assert train.costs((3, 12, 512), (3, 12, 64))[0].macs == 36 * train.costs((512,), (64,))[0].macs
