"""A dense layer in tensor-train form."""

from math import prod
from typing import Any, Self

import torch
from torch import Tensor, nn

from ..kernels.calibration import Method
from ..kernels.tensor_train import (
    automatic_modes,
    balanced_modes,
    bond_ranks,
    decompose,
    full_matrix,
    merge,
    relative_ranks,
)
from .activation_grid import ActivationGrid
from .cost import OperationCost, kernel, storage_bits
from .factor import Factor
from .layer import Layer, keep_bias, new_bias, round_as_it_runs, stage_spec

#: bytes that one more stage costs in the artifact: an operation, a reshape, a transpose and their tensors
STAGE_BYTES = 300
#: a form may be this much larger than the smallest one if it does less work
SIZE_SLACK = 1.25


class TTDense(Layer):
    """y = W x + b with W a tensor train, computed as a chain of small dense stages.

    Stage k multiplies [rows, m_k r_k] by the factor of core k, [r_(k-1) n_k, m_k r_k], beginning with the
    last core, and moves n_k to the front; an input of more dimensions is read by its last one. Merging
    neighbouring cores gives the same layer with fewer, larger stages: the *execution form* (chain of all
    cores, merged pairs, one dense stage) is the list of modes.

    Args:
        in_modes, out_modes: m_k and n_k; their products are the layer's sizes.
        ranks: r_0..r_d.
    """

    type_name = "tt_dense"
    narrowest_bits = 2
    takes_dynamic = True
    features_last = True
    decomposed = True

    def __init__(
        self,
        in_modes: tuple[int, ...],
        out_modes: tuple[int, ...],
        ranks: tuple[int, ...],
        bias: bool = True,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self.in_modes, self.out_modes, self.ranks = tuple(in_modes), tuple(out_modes), tuple(ranks)
        self.cores = nn.ModuleList(
            Factor((ranks[k] * out_modes[k], in_modes[k] * ranks[k + 1]), device=device)
            for k in range(len(in_modes))
        )
        self.bias = new_bias(bias, prod(out_modes), device)
        #: grids between the stages, in the order of computation; empty where activations are float
        self.stage_grids = nn.ModuleList()

    @property
    def inputs(self) -> int:
        return prod(self.in_modes)

    @property
    def outputs(self) -> int:
        return prod(self.out_modes)

    def factors(self) -> dict[str, Factor]:
        return {f"cores.{k}": core for k, core in enumerate(self.cores) if isinstance(core, Factor)}

    def stages(self) -> list[tuple[Factor, int, int]]:
        """Returns (factor, rank r_(k-1), mode n_k) in the order of computation, last core first."""
        count = len(self.in_modes)
        factors = list(self.factors().values())
        return [(factors[k], self.ranks[k], self.out_modes[k]) for k in reversed(range(count))]

    def compute(self, x: Tensor) -> Tensor:
        leading = x.shape[:-1]
        if x.is_meta and x.shape[-1] == self.inputs:  # as of a normalisation: shapes alone
            return x.new_empty(*leading, self.outputs)
        batch = leading.numel()
        for position, (factor, rank, mode) in enumerate(self.stages()):
            x = x.reshape(batch, -1, factor.shape[1])
            x = (round_as_it_runs(x, (-1,)) if self.dynamic else x) @ factor().T
            if position < len(self.stage_grids):
                x = self.stage_grids[position](x)
            x = x.reshape(batch, -1, rank, mode).permute(0, 3, 1, 2)
        x = x.reshape(*leading, self.outputs)
        return x if self.bias is None else x + self.bias

    @property
    def sliceable(self) -> bool:
        """Whether all outputs are in the first core and all inputs in the last, as in an SVD."""
        return self.out_modes[0] == self.outputs and self.in_modes[-1] == self.inputs

    # Structure --------------------------------------------------------------------------------------

    def set_cores(self, cores: list[Tensor]) -> None:
        """Fills unconstrained factors from cores [r_(k-1), m_k, n_k, r_k]."""
        for factor, core in zip(self.factors().values(), cores, strict=True):
            factor.set(core.permute(0, 2, 1, 3).reshape(factor.shape))

    def effective_cores(self) -> list[Tensor]:
        """Returns the cores [r_(k-1), m_k, n_k, r_k] as the layer computes with them."""
        found = []
        for k, factor in enumerate(self.factors().values()):
            split = (self.ranks[k], self.out_modes[k], self.in_modes[k], self.ranks[k + 1])
            found.append(factor.effective().reshape(split).permute(0, 2, 1, 3))
        return found

    def dense_weight(self) -> Tensor:
        """Returns the matrix [out, in] that the layer stands for."""
        return full_matrix(self.effective_cores())

    def merged(self, groups: tuple[int, ...]) -> "TTDense":
        """Returns the same unconstrained layer with neighbouring cores contracted.

        Its tensors are its own.

        Args:
            groups: how many cores go into each stage, in order; sums to the number of cores.
        """
        cores, in_modes, out_modes, ranks, start = [], [], [], [1], 0
        ours = self.effective_cores() if self._device.type != "meta" else None
        for size in groups:
            end = start + size
            in_modes.append(prod(self.in_modes[start:end]))
            out_modes.append(prod(self.out_modes[start:end]))
            ranks.append(self.ranks[end])
            if ours is not None:
                core = ours[start]
                for following in ours[start + 1 : end]:
                    core = merge(core, following)
                cores.append(core)
            start = end
        form = TTDense(tuple(in_modes), tuple(out_modes), tuple(ranks), self.bias is not None, self._device)
        if ours is not None:
            form.set_cores(cores)
        form.bias = None if self.bias is None else nn.Parameter(self.bias.detach().clone())
        form.take_activations_of(self)
        return form

    def settled(self) -> "TTDense":
        """Returns the execution form to keep: the least work among the forms that are about the smallest.

        Chosen from sizes alone, so that a plan and a trained layer choose alike, when the first constraint is
        put on the layer (constraints sit on the factors of the form).
        """
        count = len(self.in_modes)
        if count < 2 or any(factor.constraints for factor in self.factors().values()):
            return self
        pairs = tuple([2] * (count // 2) + [1] * (count % 2))
        forms = [self.merged(groups) for groups in {(1,) * count, pairs}]
        smallest = min(form._form_bytes() for form in forms)
        small = [form for form in forms if form._form_bytes() <= SIZE_SLACK * smallest]
        return min(small, key=lambda form: (form._macs(), form._form_bytes()))

    def fastest(self) -> "TTDense":
        """Returns the execution form that moves the fewest elements between stages: cores, or their pairs.

        Small stages take their time to permute what they hand on, not to multiply: for PUB-II's layer in
        8 bits 53 us core by core, 5 in pairs, 9 as one matrix (LiteRT 2.3 on x86, own measurement 2026).
        """
        count = len(self.in_modes)
        pairs = tuple([2] * (count // 2) + [1] * (count % 2))
        forms = [self, self.merged(pairs)] if count > 2 else [self]
        return min(forms, key=lambda form: (form._moved_elements(), form._macs()))

    def _form_bytes(self) -> int:
        return sum(factor.shape.numel() + STAGE_BYTES for factor in self.factors().values())

    def _macs(self) -> int:
        return sum(cost.macs for cost in self.costs((self.inputs,), (self.outputs,)))

    def _moved_elements(self) -> int:
        return sum(cost.moved_elements for cost in self.costs((self.inputs,), (self.outputs,)))

    @property
    def _device(self) -> torch.device:
        return next(self.parameters()).device

    def grid_stages(self, bits: int, calibration: Method = "min_max") -> None:
        """Puts a grid behind every stage but the last, whose output the layer's own grid rounds."""
        self.stage_grids = nn.ModuleList(
            ActivationGrid(bits, device=self._device, calibration=calibration) for _ in self.in_modes[1:]
        )

    def output_rows(self) -> Tensor:
        return self.dense_weight()

    def keep_outputs(self, index: Tensor) -> None:
        if self.sliceable:
            self._factors[0].keep(0, index)
            self.out_modes = (index.numel(), *self.out_modes[1:])
        else:
            self._decompose_again(self._weight_or_meta().index_select(0, index.to(self._device)))
        self.bias = keep_bias(self.bias, index)

    def keep_inputs(self, index: Tensor) -> None:
        if self.sliceable:
            self._factors[-1].keep(1, index)
            self.in_modes = (*self.in_modes[:-1], index.numel())
        else:
            self._decompose_again(self._weight_or_meta().index_select(1, index.to(self._device)))

    @property
    def _factors(self) -> list[Factor]:
        return list(self.factors().values())

    def _weight_or_meta(self) -> Tensor:
        if self._device.type == "meta":
            return torch.empty(self.outputs, self.inputs, device="meta")
        return self.dense_weight()

    def _decompose_again(self, weight: Tensor) -> None:
        """Writes a smaller matrix as a train of the same largest rank; constraints meet their fate."""
        before = list(self.factors().values())
        fresh = TTDense.of(weight, max(self.ranks), count=len(self.in_modes))
        for old, new in zip(before, fresh.factors().values(), strict=True):
            new.inherit(old)
        self.in_modes, self.out_modes, self.ranks = fresh.in_modes, fresh.out_modes, fresh.ranks
        self.cores = fresh.cores

    @classmethod
    def of(
        cls,
        weight: Tensor,
        rank: int | None,
        in_modes: tuple[int, ...] | None = None,
        out_modes: tuple[int, ...] | None = None,
        count: int | None = None,
        max_error: float = 0.0,
    ) -> "TTDense":
        """Returns the tensor train of a matrix [out, in] without bias, by TT-SVD; structure alone on meta.

        Args:
            weight: [out, in].
            rank: of every bond; None for the smallest that keep `max_error`, and 1 on meta.
            in_modes, out_modes: automatic where they are None.
            count: of automatic modes; None for as many as suit the sizes.
            max_error: relative to the weight's Frobenius norm.
        """
        outputs, inputs = weight.shape
        if in_modes is None or out_modes is None:
            automatic = automatic_modes(inputs, outputs)
            if count is not None:
                automatic = balanced_modes(inputs, count), balanced_modes(outputs, count)
            in_modes, out_modes = in_modes or automatic[0], out_modes or automatic[1]
        if rank is None and not weight.is_meta:
            ranks = relative_ranks(weight, in_modes, out_modes, max_error)
        else:
            ranks = bond_ranks(in_modes, out_modes, rank or 1)
        layer = cls(in_modes, out_modes, ranks, bias=False, device=weight.device)
        if not weight.is_meta:
            layer.set_cores(decompose(weight, in_modes, out_modes, ranks))
        return layer

    # Cost -------------------------------------------------------------------------------------------

    def costs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> list[OperationCost]:
        batch = torch.Size(input_shape[:-1]).numel()  # rows of features: 1 but for inputs of more dimensions
        elements, found = batch * self.inputs, []
        for position, (factor, rank, mode) in enumerate(self.stages()):
            outputs, inputs = factor.shape
            rows = elements // inputs
            each = rows // batch
            # two dense layers follow each other as they are, and so does what is moved in front of nothing
            moves = not self.sliceable and mode > 1 and each * rank > 1
            several = (each if self.sliceable else rows) > 1
            train = moves or several
            compute, calibrated = kernel(factor, self.narrowest_bits, self.activation_bits, self.dynamic)
            last = position == len(self.in_modes) - 1
            found.append(
                OperationCost(
                    kind="contraction" if several else "dense",
                    macs=rows * inputs * outputs,
                    weight_elements=inputs * outputs,
                    weight_bits=storage_bits(factor, self.narrowest_bits),
                    bias_elements=self.outputs if last and self.bias is not None else 0,
                    input_elements=elements,
                    output_elements=rows * outputs,
                    activation_bits=self.activation_bits,
                    compute=compute,
                    moved_elements=rows * outputs if moves else 0,
                    rank_elements=rank * rows * outputs if train else 0,
                    reduction=inputs,
                    columns=outputs,
                    calibrated=calibrated,
                )
            )
            elements = rows * outputs
        return found

    def body_spec(self) -> dict[str, Any]:
        return {
            "in_modes": list(self.in_modes),
            "out_modes": list(self.out_modes),
            "ranks": list(self.ranks),
            "bias": self.bias is not None,
            **stage_spec(self.stage_grids),
        }

    @classmethod
    def from_body(cls, spec: dict[str, Any], device: torch.device) -> Self:
        modes = (tuple(spec["in_modes"]), tuple(spec["out_modes"]), tuple(spec["ranks"]))
        layer = cls(*modes, bias=spec["bias"], device=device)
        layer.grid_stages_as(spec)
        return layer
