"""Factors of a convolution's kernel [out, in, kh, kw]: tensor train, Tucker-2 and CP, all by TensorLy.

Each is a list of weights of convolutions that follow each other. Spatial axes of size 1 have no factor, and a
kernel of size 1x1 is a matrix: all three are then its singular value decomposition, in two factors. Any
kernel is a matrix of its outputs and all that they read, which `svd` takes apart.
On the meta device ranks are 1 where they would be found by an error bound, and weights have shapes alone.
"""

import warnings
from math import prod, sqrt

import numpy as np
import torch
from torch import Tensor

from .tensor_train import bond_ranks, bounded_ranks, train_of, truncation_rank

#: sweeps of alternating least squares; kernels of known rank took up to 80 (own measurement, 2026)
CP_SWEEPS = 100
#: the sweeps end where the relative error changes by less
CP_TOLERANCE = 1e-8
#: keeps the normal equations solvable where components are alike, relative to a kernel of norm 1
CP_RIDGE = 1e-10
#: what counts as a rank of an unfolding, relative to its norm
CP_LEAST = 1e-6
#: sweeps of higher-order orthogonal iteration and the change of the relative error that ends them
TUCKER_SWEEPS, TUCKER_TOLERANCE = 50, 1e-6


def modes(kernel: Tensor) -> Tensor:
    """Returns the kernel as [in, kh, kw, out] without spatial axes of size 1."""
    outputs, inputs, tall, wide = kernel.shape
    sizes = (inputs, *(size for size in (tall, wide) if size > 1), outputs)
    return kernel.permute(1, 2, 3, 0).reshape(sizes)


def relative_error(kernel: Tensor, found: Tensor) -> float:
    """Returns the Frobenius norm of the difference relative to that of the kernel (0 for no difference)."""
    difference = float((kernel.double() - found.double()).norm())
    return difference / max(float(kernel.double().norm()), 1e-30)


# Tensor train ------------------------------------------------------------------------------------------


def train_ranks(kernel: Tensor, rank: int | None, max_error: float = 0.0) -> tuple[int, ...]:
    """Returns r_1..r_(d-1) of a train over the kernel's modes.

    Args:
        kernel: [out, in, kh, kw]; its shape alone matters where a rank is given.
        rank: of every bond, cut to what the kernel can have; None for the smallest that keep the error.
        max_error: relative to the Frobenius norm.
    """
    tensor = modes(kernel)
    if rank is None and not kernel.is_meta:
        return bounded_ranks(tensor, max_error)[1:-1]
    return bond_ranks(tuple(tensor.shape), (1,) * tensor.dim(), rank or 1)[1:-1]


def train(kernel: Tensor, ranks: tuple[int, ...]) -> list[Tensor]:
    """Returns the weights [r_1, in, 1, 1], [r_2, r_1, kh, 1], [r_3, r_2, 1, kw], [out, r_3, 1, 1]."""
    axes = _axes(kernel)
    bonds = (kernel.shape[1], *ranks, kernel.shape[0])
    if kernel.is_meta:
        sizes = [(1, 1), *(_size(kernel, axis) for axis in axes), (1, 1)]
        pairs = zip(bonds, bonds[1:], sizes, strict=False)
        return [kernel.new_empty(outputs, inputs, *size) for inputs, outputs, size in pairs]
    first, *spatial, last = train_of(modes(kernel), (1, *ranks, 1))
    middle = [_spatial(core.permute(2, 0, 1), axis) for core, axis in zip(spatial, axes, strict=True)]
    weights = [first[0].T[:, :, None, None], *middle, last[:, :, 0].T[:, :, None, None]]
    return [_padded(w.to(kernel.dtype), bonds[k], bonds[k + 1]) for k, w in enumerate(weights)]


def _axes(kernel: Tensor) -> list[int]:
    """Returns the spatial axes of a kernel that are longer than 1."""
    return [axis for axis in (2, 3) if kernel.shape[axis] > 1]


def _size(kernel: Tensor, axis: int) -> tuple[int, int]:
    """Returns the size of a kernel that is as long as this one along one axis."""
    return (kernel.shape[2], 1) if axis == 2 else (1, kernel.shape[3])


def _spatial(weight: Tensor, axis: int) -> Tensor:
    """Returns [out, in, size] as a kernel that is `size` long along one axis."""
    return weight.unsqueeze(5 - axis)


def _padded(weight: Tensor, inputs: int, outputs: int) -> Tensor:
    """Gives a weight the channels that were asked for, with zeros where the decomposition found fewer."""
    whole = weight.new_zeros(outputs, inputs, *weight.shape[2:])
    whole[: weight.shape[0], : weight.shape[1]] = weight
    return whole


# Singular values --------------------------------------------------------------------------------------


def svd(kernel: Tensor, rank: int | None, max_error: float = 0.0) -> list[Tensor]:
    """Returns the weights [r, in, kh, kw], [out, r, 1, 1]: the nearest of that rank (Zhang et al. 2016).

    Args:
        kernel: [out, in, kh, kw].
        rank: cut to what the kernel can have; None for the smallest that keeps the error.
        max_error: relative to the Frobenius norm.
    """
    outputs, *window = kernel.shape
    rank = 1 if rank is None and kernel.is_meta else rank
    if rank is None:
        rank = truncation_rank(kernel.reshape(outputs, -1), max_error)
    rank = min(rank, outputs, prod(window))
    if kernel.is_meta:
        return [kernel.new_empty(rank, *window), kernel.new_empty(outputs, rank, 1, 1)]
    matrix = kernel.detach().double().reshape(outputs, -1)
    rows, values, columns = torch.linalg.svd(matrix, full_matrices=False)
    size = values[:rank].sqrt()  # spread evenly, so that neither is too large or small to train or quantize
    first, last = size[:, None] * columns[:rank], rows[:, :rank] * size
    return [first.reshape(rank, *window).to(kernel.dtype), last[:, :, None, None].to(kernel.dtype)]


# Tucker-2 ----------------------------------------------------------------------------------------------


def tucker_ranks(kernel: Tensor, rank: tuple[int, int] | None, max_error: float = 0.0) -> tuple[int, int]:
    """Returns the ranks (of the inputs, of the outputs) of a Tucker-2 decomposition.

    Args:
        kernel: [out, in, kh, kw]; its shape alone matters where ranks are given.
        rank: wanted, cut to what the kernel can have; None for the smallest with which the truncated
            higher-order SVD keeps the error: each of the two modes may lose half of its square (De Lathauwer
            et al. 2000).
        max_error: relative to the Frobenius norm.
    """
    outputs, inputs, *size = kernel.shape
    if rank is None and not kernel.is_meta:
        share = max_error / sqrt(2) if prod(size) > 1 else max_error
        rows = kernel.reshape(outputs, -1), kernel.transpose(0, 1).reshape(inputs, -1)
        return truncation_rank(rows[1], share), truncation_rank(rows[0], share)
    rank = rank or (1, 1)
    ins = min(rank[0], inputs, outputs * prod(size))
    outs = min(rank[1], outputs, ins * prod(size))
    return min(ins, outs * prod(size)), outs


def tucker(kernel: Tensor, ranks: tuple[int, int]) -> list[Tensor]:
    """Returns the weights [r_in, in, 1, 1], [r_out, r_in, kh, kw], [out, r_out, 1, 1] (Kim et al. 2016)."""
    if kernel.shape[2:].numel() == 1:
        return train(kernel, (min(ranks),))
    ins, outs = ranks
    if kernel.is_meta or not kernel.any():
        shapes = (ins, kernel.shape[1], 1, 1), (outs, ins, *kernel.shape[2:]), (kernel.shape[0], outs, 1, 1)
        return [kernel.new_zeros(shape) for shape in shapes]
    import tensorly  # a second to import, and machines that only train have none
    from tensorly.decomposition import partial_tucker

    with tensorly.backend_context("numpy", local_threadsafe=True):
        (core, (last, first)), _ = partial_tucker(
            kernel.detach().double().numpy(),
            rank=[outs, ins],
            modes=[0, 1],
            init="svd",
            n_iter_max=TUCKER_SWEEPS,
            tol=TUCKER_TOLERANCE,
            random_state=np.random.RandomState(0),  # of directions that the kernel does not have
        )
        weights = [torch.from_numpy(part.copy()).to(kernel.dtype) for part in (first.T, core, last)]
    return [weights[0][:, :, None, None], weights[1], weights[2][:, :, None, None]]


# CP ----------------------------------------------------------------------------------------------------


def cp(kernel: Tensor, rank: int, seed: int) -> list[Tensor]:
    """Returns the weights [R, in, 1, 1], [R, 1, kh, 1], [R, 1, 1, kw], [out, R, 1, 1] (Lebedev et al. 2015).

    Alternating least squares from the singular vectors of the unfoldings. Each component's norm is spread
    evenly over its factors, so that none is too large or too small to train or to quantize.

    Args:
        kernel: [out, in, kh, kw].
        rank: R.
        seed: of the starting values where an axis is shorter than R.
    """
    axes = _axes(kernel)
    if not axes:
        return train(kernel, (rank,))
    if kernel.is_meta:
        sizes = [(rank, 1, *_size(kernel, axis)) for axis in axes]
        shapes = [(rank, kernel.shape[1], 1, 1), *sizes, (kernel.shape[0], rank, 1, 1)]
        return [kernel.new_empty(shape) for shape in shapes]
    factors = (torch.from_numpy(factor).to(kernel.dtype) for factor in _cp_factors(modes(kernel), rank, seed))
    first, *spatial, last = factors
    middle = [_spatial(part.T[:, None, :], axis) for part, axis in zip(spatial, axes, strict=True)]
    return [first.T[:, :, None, None], *middle, last[:, :, None, None]]


def _cp_factors(tensor: Tensor, rank: int, seed: int) -> list[np.ndarray]:
    """Returns [size, R] float64 for every mode of a tensor."""
    values = tensor.detach().double().numpy()
    scale = float(np.linalg.norm(values))
    if scale == 0:
        return [np.zeros((size, rank)) for size in values.shape]
    rows = tensor.shape[0]
    # a component that begins at zero, where the first unfolding has fewer ranks than R, would stay there
    enough = truncation_rank(tensor.reshape(rows, -1), CP_LEAST) >= min(rank, rows)
    import tensorly
    from tensorly.decomposition import parafac

    with tensorly.backend_context("numpy", local_threadsafe=True), warnings.catch_warnings():
        # an axis shorter than R is told as a warning; the missing vectors are drawn by the seed
        warnings.simplefilter("ignore", UserWarning)
        found = parafac(
            values / scale,
            rank,
            n_iter_max=CP_SWEEPS,
            init="svd" if enough else "random",
            tol=CP_TOLERANCE,
            l2_reg=CP_RIDGE,
            random_state=np.random.RandomState(seed),
        )
    return _balanced([np.asarray(factor) for factor in found.factors], scale)


def _balanced(factors: list[np.ndarray], scale: float) -> list[np.ndarray]:
    """Gives the columns [size, R] of all factors the same norm, component by component."""
    norms = [np.maximum(np.linalg.norm(factor, axis=0), 1e-30) for factor in factors]
    common = (scale * np.prod(norms, axis=0)) ** (1 / len(factors))
    return [factor / norm * common for factor, norm in zip(factors, norms, strict=True)]
