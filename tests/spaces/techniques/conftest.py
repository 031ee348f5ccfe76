"""What the tests of techniques share: a recipe carried out, and weights packed into bits and read back."""

from collections.abc import Callable
from math import ceil, log2
from typing import Any, NamedTuple

import pytest
import torch
from atoll.spaces.layers.factor import Factor
from atoll.spaces.layers.structure import structure
from atoll.spaces.recipes.recipe import Recipe
from torch import Tensor, nn


class Field(NamedTuple):
    """Numbers of one kind as they are stored.

    values: whole numbers from 0 that fit into the bits, or floats of 32 or 16 bits; bits: of each.
    """

    values: Tensor
    bits: int

    @property
    def total(self) -> int:
        """Bits of all, once it is sure that each fits."""
        if not self.values.is_floating_point() and self.values.numel():
            assert self.values.min() >= 0 and self.values.max() < 2**self.bits, (
                "a number does not fit its bits"
            )
        return self.values.numel() * self.bits


class Packed(NamedTuple):
    """A weight tensor as stored: the fields, and the weight that is read from them alone."""

    fields: list[Field]
    decoded: Tensor

    @property
    def bits(self) -> int:
        """Bits of all fields."""
        return sum(field.total for field in self.fields)


def pack(factor: Factor) -> Packed:
    """Packs a factor's effective weight into the fewest bits that its constraints allow, and reads it back.

    Knows the tensors of the constraints (mask, indices, scales, zero points), not what they say they cost.
    """
    weight = factor.effective()
    parts = {kind: dict(c.named_buffers()) for kind, c in factor.constraints.items()}
    if "binary" in parts or "ternary" in parts:
        return _pack_signs(weight, parts)
    kept = parts["mask"]["kept"] if "mask" in parts else torch.ones_like(weight, dtype=torch.bool)
    numbers, read, overhead = _numbers(weight, factor, parts)
    if "codebook" in parts:
        return _pack_codebook(weight, factor, parts, kept, numbers, read, overhead)
    dense = Packed([*overhead, numbers], read(numbers.values))
    if "mask" not in parts:
        return dense
    stored = Field(numbers.values[kept], numbers.bits)
    decoded = torch.zeros_like(weight)
    decoded[kept] = read(numbers.values)[kept]
    sparse = Packed([*overhead, Field(kept.long(), 1), stored], decoded)
    return min(dense, sparse, key=lambda packed: packed.bits)


def _pack_signs(weight: Tensor, parts: dict[str, dict[str, Tensor]]) -> Packed:
    """Packs one sign a weight, or a sign or zero where zeros may be, and one step a channel or tensor."""
    steps = parts["binary" if "binary" in parts else "ternary"]["start"].numel()
    size = weight.abs().reshape(steps, -1).amax(dim=1)
    zeros = "ternary" in parts or "mask" in parts
    numbers = Field((weight.sign() + 1).long() if zeros else (weight > 0).long(), 2 if zeros else 1)
    signs = numbers.values - 1 if zeros else 2 * numbers.values - 1
    decoded = signs * size.reshape(-1, *[1] * (weight.dim() - 1))
    return Packed([Field(size, 32), numbers], decoded)


def _numbers(
    weight: Tensor, factor: Factor, parts: dict[str, dict[str, Tensor]]
) -> tuple[Field, Callable[[Tensor], Tensor], list[Field]]:
    """Returns every weight as a number, how it is read back, and what is stored beside."""
    grid: Any = factor.constraints["grid"] if "grid" in parts else None
    if grid is None:
        if "half_precision" in parts:
            return Field(weight.half(), 16), lambda values: values.float(), []
        return Field(weight, 32), lambda values: values, []
    scale, zero_point = grid.positive_scale().detach(), parts["grid"].get("zero_point")
    half_range = 2 ** (grid.bits - 1)
    overhead = [Field(scale, 32)]
    shift = torch.zeros_like(scale)
    if zero_point is not None:
        shift = zero_point
        overhead.append(Field((zero_point + half_range).long(), grid.bits))
    integers = torch.round(weight / scale + shift)
    return (
        Field((integers + half_range).long(), grid.bits),
        lambda values: (values - half_range - shift) * scale,
        overhead,
    )


def _pack_codebook(
    weight: Tensor,
    factor: Factor,
    parts: dict[str, dict[str, Tensor]],
    kept: Tensor,
    numbers: Field,
    read: Callable[[Tensor], Tensor],
    overhead: list[Field],
) -> Packed:
    """Packs the shared values and which of them a weight takes; zeros apart where there is a mask."""
    codebook: Any = factor.constraints["codebook"]
    index, clusters = parts["codebook"]["index"].long(), codebook.centroids.numel()
    table, values = torch.zeros(clusters), torch.zeros(clusters, dtype=numbers.values.dtype)
    for number in range(clusters):
        taken = kept & (index == number)
        if taken.any():
            assert numbers.values[taken].unique().numel() == 1, "a shared value split"
            values[number] = numbers.values[taken][0]
            table[number] = read(numbers.values)[taken][0]
    shared = [*overhead, Field(values, numbers.bits)]
    which = max(1, ceil(log2(clusters)))
    decoded = torch.where(kept, table[index], 0.0)
    if "mask" not in parts:
        return Packed([*shared, Field(index, which)], decoded)
    zero_apart = torch.where(kept, index + 1, 0)
    dense = Packed([*shared, Field(zero_apart, ceil(log2(clusters + 1)))], decoded)
    sparse = Packed([*shared, Field(kept.long(), 1), Field(index[kept], which)], decoded)
    return min(dense, sparse, key=lambda packed: packed.bits)


@pytest.fixture(scope="session")
def packed() -> Callable[[Factor], Packed]:
    """Packs a weight tensor into bits: see `pack`."""
    return pack


@pytest.fixture
def carry_out(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> Callable[..., tuple[nn.Module, dict[str, Any]]]:
    """Carries out a recipe, each step as planned; returns the network and the last decisions.

    Where no network is given it is the sequential one; after each step an epoch is trained where asked.
    """

    def carry(
        text: str, network: nn.Module | None = None, *, train: bool = False
    ) -> tuple[nn.Module, dict[str, Any]]:
        network = trained["sequential"] if network is None else network
        decisions: dict[str, Any] = {}
        for step in Recipe.parse(text):
            context, before = new_context(trained["sequential"]), network
            network, decisions = step.apply(before, context)
            assert not step.plan_is_exact or structure(step.plan(before)) == structure(network)
            if train:
                context.fit(network)
        return network, decisions

    return carry
