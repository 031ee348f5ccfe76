"""Constraints in every subset and order: all hold at once, exactly; what must be stored is counted right."""

from copy import deepcopy
from itertools import permutations

import pytest
import torch
from atoll.spaces.errors import AtollError
from atoll.spaces.kernels.affine import symmetric_levels
from atoll.spaces.kernels.importance import largest
from atoll.spaces.layers.binary import Binary
from atoll.spaces.layers.codebook import Codebook
from atoll.spaces.layers.dense import Dense
from atoll.spaces.layers.factor import Factor
from atoll.spaces.layers.mask import Mask
from atoll.spaces.layers.ternary import Ternary
from atoll.spaces.layers.weight_constraint import WeightConstraint
from atoll.spaces.layers.weight_grid import WeightGrid
from atoll.spaces.technique.fates import fates
from torch import Tensor, nn

KINDS = ("codebook", "binary", "ternary", "grid", "mask")
#: every subset of the constraints that can hold at once, in every order: 112
ORDERS = [
    order
    for count in range(5)
    for order in permutations(KINDS, count)
    if not {"binary", "ternary"} <= set(order)
]
CLUSTERS = 4


def weight() -> Tensor:
    return torch.randn(8, 12, generator=torch.Generator().manual_seed(0)) * 0.1


def fitted(kind: str, factor: Factor) -> WeightConstraint:
    """Fits a constraint to what the factor is by now, as the techniques do."""
    now, alone = factor.effective(), factor.find(Codebook) is None
    if kind == "codebook":
        mask = factor.find(Mask)
        return Codebook.fit(now, CLUSTERS, None if mask is None else mask.kept)
    if kind == "binary":
        return Binary.fit(now, per_channel=alone)
    if kind == "ternary":
        return Ternary.fit(now, per_channel=alone)
    if kind == "grid":
        return WeightGrid.fit(now, 4, per_channel=alone)
    return Mask(largest(now.abs(), now.numel() // 2))


def constrained(order: tuple[str, ...]) -> Factor:
    factor = Factor.of(weight())
    for kind in order:
        factor.impose(fitted(kind, factor))
    return factor


def told(before: Factor, after: Factor) -> list[list[str]]:
    """Returns [kind, fate] of what was on a factor before, as a step tells it of a layer."""
    networks = []
    for factor in (before, after):
        layer = Dense(*reversed(factor.shape))
        layer.weight = factor
        networks.append(nn.Sequential(layer))
    return fates(*networks).get("0", [])


def train(factor: Factor, steps: int = 5) -> None:
    """Pulls the weight elsewhere, with weight decay, as later fine-tuning does."""
    target = torch.randn(factor.shape, generator=torch.Generator().manual_seed(1)) * 0.2
    optimizer = torch.optim.AdamW(factor.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        (factor() - target).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(order) or "none")
def test_training_leaves_no_constraint(order: tuple[str, ...]) -> None:
    factor = constrained(order)
    zeros = factor.find(Mask).kept.logical_not() if "mask" in order else torch.zeros(8, 12, dtype=torch.bool)
    groups = None if "codebook" not in order else factor.find(Codebook).index.clone()
    before = factor.effective().clone()
    train(factor)
    now = factor.effective()
    assert not torch.equal(now, before), "nothing was trained"
    assert not now[zeros].any()
    if groups is not None:
        for cluster in range(CLUSTERS):
            assert now[(groups == cluster) & ~zeros].unique().numel() <= 1
    if {"binary", "ternary"} & set(order):
        for row in now:
            assert row[row != 0].abs().unique().numel() <= 1
    if "grid" in order:
        scale = factor.find(WeightGrid).positive_scale()
        levels = torch.round(now / scale)
        assert torch.equal(levels * scale, now)
        assert levels.abs().max() <= symmetric_levels(4)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(order) or "none")
def test_whole_numbers_times_a_scale_are_the_weight_exactly(order: tuple[str, ...]) -> None:
    factor = constrained(order)
    train(factor)
    integers = factor.integers()
    if not {"binary", "ternary", "grid"} & set(order):
        assert integers is None
        return
    assert integers is not None
    assert integers.values.dtype == torch.int8
    assert integers.scale.numel() in (1, 8)
    assert torch.equal(integers.values * integers.scale[:, None], factor.effective())
    assert integers.values.abs().max() <= symmetric_levels(integers.bits)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(order) or "none")
def test_channels_are_sliced_with_their_constraints(order: tuple[str, ...]) -> None:
    factor = constrained(order)
    before = factor.effective()
    rows, columns = torch.tensor([0, 3, 7]), torch.tensor([1, 2, 8, 9, 11])
    factor.keep(0, rows)
    factor.keep(1, columns)
    assert torch.equal(factor.effective(), before[rows][:, columns])
    assert tuple(factor.constraints) == tuple(dict.fromkeys(order))


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(order) or "none")
def test_structure_and_tensors_give_the_factor_back(order: tuple[str, ...]) -> None:
    factor = constrained(order)
    copy = Factor((8, 12))
    copy.allocate(factor.spec())
    copy.load_state_dict(factor.state_dict())
    assert copy.spec() == factor.spec()
    assert torch.equal(copy.effective(), factor.effective())
    assert copy.payload_bits() == factor.payload_bits()


@pytest.mark.parametrize(
    ("order", "bits"),
    [
        ((), 96 * 32),
        (("grid",), 96 * 4 + 8 * 32),  # a scale a channel
        (("mask",), 96 + 48 * 32),  # one bit each says where, then the values
        (("mask", "grid"), 96 + 48 * 4 + 8 * 32),
        (("codebook",), 96 * 2 + 4 * 32),
        (("codebook", "mask"), 96 + 48 * 2 + 4 * 32),  # less than three bits each, with a fifth index
        (("codebook", "grid"), 96 * 2 + 4 * 4 + 32),  # centroids on the grid, one scale
        (("binary",), 96 + 8 * 32),
        (("binary", "mask"), 96 * 2 + 8 * 32),  # ternary
        (("binary", "grid"), 96 + 8 * 32),
        (("codebook", "binary"), 96 + 32),
        (("ternary",), 96 * 2 + 8 * 32),
        (("ternary", "mask"), 96 * 2 + 8 * 32),  # the zeros are there anyway
        (("ternary", "grid"), 96 * 2 + 8 * 32),
        (("codebook", "ternary"), 96 * 2 + 32),
    ],
)
def test_what_must_be_stored(order: tuple[str, ...], bits: int) -> None:
    """8 x 12 weights, 4 bits, 4 clusters, half of the weights masked: counted by hand."""
    assert constrained(order).payload_bits() == bits


def test_few_zeros_are_stored_as_values() -> None:
    factor = constrained(("grid",))
    kept = torch.ones(8, 12, dtype=torch.bool)
    kept[0, :3] = False
    factor.impose(Mask(kept))
    assert factor.payload_bits() == 96 * 4 + 8 * 32


def test_one_of_a_kind_the_later_one() -> None:
    factor = constrained(("grid", "mask"))
    factor.impose(WeightGrid.fit(factor.effective(), 2))
    assert factor.spec() == [{"kind": "mask"}, {"kind": "grid", "bits": 2, "per_channel": True}]


@pytest.mark.parametrize(("first", "second"), [("binary", "ternary"), ("ternary", "binary")])
def test_two_values_and_three_replace_each_other(first: str, second: str) -> None:
    factor = constrained((first, "mask"))
    before = deepcopy(factor)
    factor.impose(fitted(second, factor))
    assert told(before, factor) == [[first, "dropped"]]
    assert list(factor.constraints) == ["mask", second]


def test_signs_after_three_values_are_those_of_the_weights_beneath() -> None:
    factor = constrained(("ternary", "binary"))
    assert torch.equal(factor.effective().sign(), torch.where(weight() >= 0, 1.0, -1.0))


@pytest.mark.parametrize("kind", ["binary", "ternary", "grid"])
def test_sharing_values_across_channels_says_that_scales_are_shared_anew(kind: str) -> None:
    factor = constrained((kind,))
    before = deepcopy(factor)
    factor.impose(fitted("codebook", factor))
    assert told(before, factor) == [[kind, "imposed anew"]]
    assert factor.effective().unique().numel() <= CLUSTERS


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(order) or "none")
def test_factors_of_a_decomposition_inherit_what_is_declared(order: tuple[str, ...]) -> None:
    source = constrained(order)
    part = Factor.of(torch.randn(6, 10, generator=torch.Generator().manual_seed(2)))
    part.inherit(source)
    assert told(source, part) == [
        [kind, "dropped" if kind == "mask" else "imposed anew"] for kind in source.constraints
    ]
    assert set(part.constraints) == set(order) - {"mask"}
    planned = Factor((6, 10), device="meta")
    planned.inherit(source)
    assert planned.spec() == part.spec()


def test_a_codebook_leaves_nothing_to_set() -> None:
    with pytest.raises(AtollError, match="no values of its own"):
        constrained(("codebook",)).set(weight())


def test_the_factor_owns_its_values() -> None:
    source = nn.Parameter(weight())
    factor = Factor.of(source)
    with torch.no_grad():
        factor.raw.add_(1.0)
    assert torch.equal(source, weight())
