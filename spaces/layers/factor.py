"""A factor: one weight tensor of a layer and the constraints it is under."""

from collections.abc import Iterable
from math import ceil, log2
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from ..errors import AtollError
from .binary import Binary
from .bits import FLOAT_BITS
from .codebook import Codebook
from .half import BITS as HALF_BITS
from .half import Half
from .mask import Mask
from .signs import Signs
from .ternary import Ternary
from .weight_constraint import WeightConstraint
from .weight_grid import WeightGrid

CONSTRAINTS: tuple[type[WeightConstraint], ...] = (Codebook, Binary, Ternary, WeightGrid, Half, Mask)
#: evaluation order: see weight_constraint.py
ORDER = tuple(constraint.kind for constraint in CONSTRAINTS)
C = TypeVar("C", bound=WeightConstraint)


class Integers(NamedTuple):
    """A weight tensor as whole numbers times a scale, exactly.

    values: int8 of the weight's shape; scale: float32 [out] or [1]; bits: the narrowest signed width
    that holds the values; zero_point: int8 of the scale's shape, the value that means zero, None for 0.
    """

    values: Tensor
    scale: Tensor
    bits: int
    zero_point: Tensor | None = None


class Factor(nn.Module):
    """One weight tensor [out, in, ...] with an ordered stack of constraints, one of a kind at most."""

    def __init__(self, shape: tuple[int, ...], device: torch.device | str | None = None) -> None:
        super().__init__()
        self.raw: nn.Parameter | None = nn.Parameter(torch.zeros(shape, device=device))
        self.constraints = nn.ModuleDict()

    @classmethod
    def of(cls, weight: Tensor) -> "Factor":
        """Returns an unconstrained factor that holds a copy of the weight."""
        factor = cls(tuple(weight.shape), device=weight.device)
        factor.set(weight)
        return factor

    def set(self, weight: Tensor) -> None:
        """Copies values into an unconstrained factor."""
        if self.raw is None:
            raise AtollError("a weight with a codebook has no values of its own to set")
        self.raw = nn.Parameter(weight.detach().clone())

    @property
    def shape(self) -> torch.Size:
        """[out, in, ...]."""
        if self.raw is not None:
            return self.raw.shape
        codebook = self.find(Codebook)
        assert codebook is not None
        return codebook.index.shape

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return next(self.parameters()).device

    def find(self, kind: type[C]) -> C | None:
        """Returns the constraint of that kind, None where there is none."""
        has = kind.kind in self.constraints
        found = self.constraints[kind.kind] if has else None
        return found if isinstance(found, kind) else None

    @property
    def signs(self) -> Signs | None:
        """The constraint to signs, with zero or without; None where there is none."""
        return self.find(Binary) or self.find(Ternary)

    def forward(self) -> Tensor:
        """Returns the effective weight: what the layer computes with and what is exported."""
        if self.device.type == "meta":  # a plan: every constraint keeps the shape, and is slow on meta
            return torch.empty(self.shape, device="meta")
        weight: Tensor | None = self.raw
        for kind in ORDER:
            if kind in self.constraints:
                weight = self.constraints[kind](weight)
        assert weight is not None
        return weight

    def effective(self) -> Tensor:
        """Returns the effective weight without gradient."""
        with torch.no_grad():
            return self().detach()

    # Imposing ---------------------------------------------------------------------------------------

    def impose(self, constraint: WeightConstraint) -> None:
        """Adds a constraint that was fitted to the effective weight; it replaces one of its own kind.

        Signs replace ternary values, and these replace signs.
        """
        replaced = [Binary.kind, Ternary.kind] if isinstance(constraint, Signs) else [constraint.kind]
        self._drop(replaced)
        self.constraints[constraint.kind] = constraint
        if isinstance(constraint, Codebook):
            self.raw = None
        self._drop_meaningless()
        self._share_steps()

    def _drop(self, kinds: Iterable[str]) -> None:
        for kind in kinds:
            if kind in self.constraints:
                del self.constraints[kind]

    def _drop_meaningless(self) -> None:
        """Drops half precision beside a grid or signs, and beside signs a grid with a zero point.

        Between its ends such a grid is not the same on both sides of zero: two signs would get two sizes.
        """
        signs, grid = self.signs, self.find(WeightGrid)
        if signs is not None or grid is not None:
            self._drop([Half.kind])
        if signs is not None and grid is not None and grid.affine:
            self._drop([WeightGrid.kind])

    def _share_steps(self) -> None:
        """Makes steps and scales one for all channels where values are shared across channels."""
        codebook = self.find(Codebook)
        if codebook is None:
            return
        for constraint in (self.signs, self.find(WeightGrid)):
            if constraint is not None and constraint.per_channel:
                spec = {**constraint.spec(), "per_channel": False}
                shared: WeightConstraint
                if self.device.type == "meta":
                    shared = type(constraint).from_spec(spec, self.shape, self.device)
                elif isinstance(constraint, WeightGrid):
                    shared = constraint.anew(codebook().detach(), per_channel=False)
                else:
                    shared = type(constraint).fit(codebook().detach(), False, constraint.threshold)
                self.constraints[constraint.kind] = shared

    def inherit(self, source: "Factor") -> None:
        """Imposes the constraints of the layer that this factor was decomposed from, or drops them."""
        for module in source.constraints.values():
            assert isinstance(module, WeightConstraint)
            if module.on_decomposition == "imposed anew":
                fresh = (
                    type(module).from_spec(module.spec(), self.shape, self.device)
                    if self.device.type == "meta"
                    else module.anew(self.effective())
                )
                if fresh is not None:
                    self.impose(fresh)

    def keep(self, dim: int, index: Tensor) -> None:
        """Keeps the entries `index` of one dimension, in the weight and in every constraint."""
        size = self.shape[dim]
        for constraint in self.constraints.values():
            assert isinstance(constraint, WeightConstraint)
            constraint.keep(dim, size, index)
        if self.raw is not None:
            self.raw = nn.Parameter(self.raw.detach().index_select(dim, index.to(self.raw.device)))

    # What must be stored ----------------------------------------------------------------------------

    @property
    def grid_bits(self) -> int | None:
        """Bits of the weight's grid, 1 for signs, 2 for signs and zero, 16 for half, None for float."""
        if self.signs is not None:
            return 1 if self.find(Binary) is not None else 2
        grid = self.find(WeightGrid)
        if grid is None:
            return HALF_BITS if self.find(Half) is not None else None
        return grid.bits

    @property
    def levels(self) -> int | None:
        """How many values signs or a grid leave to a weight; None where neither is there."""
        if self.signs is not None:
            return 2 if self.find(Binary) is not None else 3
        grid = self.find(WeightGrid)
        return None if grid is None else grid.levels

    @property
    def affine(self) -> bool:
        """Whether the weight's integers have a zero point, which no integer kernel takes."""
        grid = self.find(WeightGrid)
        return grid is not None and grid.affine

    @property
    def least(self) -> bool:
        """Whether its grid stands in a plan for itself and wider ones."""
        grid = self.find(WeightGrid)
        return grid is not None and grid.least

    def payload_bits(self) -> int:
        """Returns exactly what must be stored: values at their bits, mask, indices, codebook, scales."""
        count = self.shape.numel()
        mask, codebook = self.find(Mask), self.find(Codebook)
        signs, grid = self.signs, self.find(WeightGrid)
        overhead = 0
        if grid is not None:
            # a zero point is one of the grid's integers
            overhead = (FLOAT_BITS + (grid.bits if grid.affine else 0)) * grid.start.numel()
        if signs is not None:
            # a mask over signs makes them ternary: two bits each
            ternary = mask is not None or isinstance(signs, Ternary)
            return count * (2 if ternary else 1) + FLOAT_BITS * signs.start.numel()
        dense_bits = value_bits = self.grid_bits or FLOAT_BITS
        if codebook is not None:
            overhead += codebook.clusters * value_bits
            value_bits = codebook.index_bits
            dense_bits = max(1, ceil(log2(codebook.clusters + 1)))  # one more index for the zero
        if mask is None or mask.kept.is_meta:
            return count * value_bits + overhead
        return min(count * dense_bits, count + int(mask.kept.sum()) * value_bits) + overhead

    def nonzero(self) -> int:
        """Returns how many effective weights are not zero."""
        return int((self.effective() != 0).sum())

    @torch.no_grad()
    def integers(self) -> Integers | None:
        """Returns the weight as whole numbers times a scale where it is exactly that, else None."""
        signs, grid, mask = self.signs, self.find(WeightGrid), self.find(Mask)
        if signs is None and grid is None:
            return None
        bits = 2 if signs is not None else grid.bits  # type: ignore[union-attr]
        if self.device.type == "meta":
            channels = max(c.start.shape[0] for c in (signs, grid) if c is not None)
            scale = torch.ones(channels)
            zeros = torch.zeros(channels, dtype=torch.int8) if self.affine else None
            return Integers(torch.zeros(self.shape, dtype=torch.int8), scale, bits, zeros)
        effective, zero_point = self.effective(), None
        if signs is not None:
            rows = effective.abs().reshape(effective.shape[0], -1)
            scale = rows.amax(dim=1) if self.steps_per_channel else rows.amax().reshape(1)
            values = torch.sign(effective)
        else:
            assert grid is not None
            scale = grid.positive_scale().flatten()
            weight = self.raw if self.raw is not None else self.constraints[Codebook.kind]()
            values = grid.integers(weight)
            if mask is not None:
                values = values * mask.kept
            if grid.zero_point is not None:
                values = values + grid.zero_point
                zero_point = grid.zero_point.flatten().to(torch.int8)
        scale = scale.detach().float().clamp_min(1e-12)
        return Integers(values.to(torch.int8), scale, bits, zero_point)

    @property
    def steps_per_channel(self) -> bool:
        """Whether each output channel has a scale of its own."""
        return any(c is not None and c.per_channel for c in (self.signs, self.find(WeightGrid)))

    # Structure --------------------------------------------------------------------------------------

    def spec(self) -> list[dict[str, Any]]:
        """Returns the constraints in the order of imposition, as plain JSON."""
        return [c.spec() for c in self.constraints.values() if isinstance(c, WeightConstraint)]

    def allocate(self, specs: list[dict[str, Any]]) -> None:
        """Allocates constraints as `spec` listed them; their tensors are not filled."""
        by_kind = {c.kind: c for c in CONSTRAINTS}
        for spec in specs:
            constraint = by_kind[spec["kind"]].from_spec(spec, self.shape, self.device)
            self.constraints[constraint.kind] = constraint
            if isinstance(constraint, Codebook):
                self.raw = None
