"""Tensor trains of matrices: mode sizes, ranks, TT-SVD, merging and contraction (THESIS eqs. 6-9).

A matrix W [J, I] with I = prod m_k and J = prod n_k is written with cores G_k [r_(k-1), m_k, n_k, r_k],
r_0 = r_d = 1: W[(j_1..j_d), (i_1..i_d)] = prod_k G_k[:, i_k, j_k, :].
"""

from collections.abc import Sequence
from math import prod, sqrt

import torch
from torch import Tensor


def balanced_modes(size: int, count: int) -> tuple[int, ...]:
    """Splits a size into `count` factors as equal as its prime factors allow, largest first.

    A prime gives (p, 1, 1, ...): every size can be written.
    """
    modes = [1] * count
    for prime in reversed(_prime_factors(size)):
        smallest = min(range(count), key=lambda k: modes[k])
        modes[smallest] *= prime
    return tuple(sorted(modes, reverse=True))


def _prime_factors(size: int) -> list[int]:
    factors, divisor = [], 2
    while divisor * divisor <= size:
        while size % divisor == 0:
            factors.append(divisor)
            size //= divisor
        divisor += 1
    return [*factors, size] if size > 1 else factors


def mode_count(size: int) -> int:
    """Returns how many modes to use for an input size: four from 4096 on, as PUB-II's layer, else fewer."""
    return 4 if size >= 4096 else 3 if size >= 512 else 2


def automatic_modes(inputs: int, outputs: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns mode sizes (m_k), (n_k) for a matrix of any size.

    Both descending, as PUB-II pairs them. Where sizes have too few factors for that to make anything smaller
    (two primes would meet in one core as large as the matrix), inputs and outputs go into cores of their own,
    which is the singular value decomposition.
    """
    count = mode_count(inputs)
    in_modes, out_modes = balanced_modes(inputs, count), balanced_modes(outputs, count)
    least = sum(m * n for m, n in zip(in_modes, out_modes, strict=True))
    return (in_modes, out_modes) if 2 * least <= inputs * outputs else svd_modes(inputs, outputs)


def svd_modes(inputs: int, outputs: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns the mode sizes with which a tensor train is a singular value decomposition."""
    return (1, inputs), (outputs, 1)


def bond_ranks(in_modes: tuple[int, ...], out_modes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Returns r_0..r_d: the wanted rank, no larger than the matrix at that bond can have."""
    sizes = [m * n for m, n in zip(in_modes, out_modes, strict=True)]
    inner = [min(rank, prod(sizes[:k]), prod(sizes[k:])) for k in range(1, len(sizes))]
    return (1, *inner, 1)


def parameter_count(in_modes: tuple[int, ...], out_modes: tuple[int, ...], ranks: tuple[int, ...]) -> int:
    """Returns sum r_(k-1) m_k n_k r_k (THESIS eq. 9)."""
    return sum(
        ranks[k] * m * n * ranks[k + 1] for k, (m, n) in enumerate(zip(in_modes, out_modes, strict=True))
    )


def decompose(
    weight: Tensor, in_modes: tuple[int, ...], out_modes: tuple[int, ...], ranks: tuple[int, ...]
) -> list[Tensor]:
    """Returns the cores of the matrix by TT-SVD (TensorLy), exact where its TT-ranks are no larger.

    Args:
        weight: [J, I].
        in_modes, out_modes: m_k and n_k, products I and J.
        ranks: r_0..r_d.

    Returns:
        cores [r_(k-1), m_k, n_k, r_k] in the weight's dtype.
    """
    found = train_of(_by_cores(weight, in_modes, out_modes), ranks)
    shapes = zip(ranks, in_modes, out_modes, ranks[1:], strict=False)
    return [_padded(core.to(weight.dtype), shape) for core, shape in zip(found, shapes, strict=True)]


def _by_cores(weight: Tensor, in_modes: tuple[int, ...], out_modes: tuple[int, ...]) -> Tensor:
    """Returns the matrix [J, I] as a tensor [m_1 n_1, ..., m_d n_d]."""
    count = len(in_modes)
    # [n_1..n_d, m_1..m_d] -> [m_1, n_1, ..., m_d, n_d]
    order = [axis for k in range(count) for axis in (count + k, k)]
    sizes = [m * n for m, n in zip(in_modes, out_modes, strict=True)]
    return weight.detach().reshape(*out_modes, *in_modes).permute(order).reshape(sizes)


def train_of(tensor: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Returns the cores of any tensor by TT-SVD (TensorLy), exact where its TT-ranks are no larger.

    Args:
        tensor: [s_1..s_d].
        ranks: r_0..r_d, r_0 = r_d = 1.

    Returns:
        float64 cores [r_(k-1), s_k, r_k]; fewer ranks where the unfoldings have fewer.
    """
    import tensorly  # a second to import, and machines that only train have none
    from tensorly.decomposition import tensor_train as tensorly_tensor_train

    with tensorly.backend_context("numpy", local_threadsafe=True):
        found = tensorly_tensor_train(tensor.detach().double().numpy(), rank=list(ranks))
        return [torch.from_numpy(core.copy()) for core in found]


def relative_ranks(
    weight: Tensor, in_modes: tuple[int, ...], out_modes: tuple[int, ...], max_error: float
) -> tuple[int, ...]:
    """Returns the smallest r_0..r_d with which TT-SVD of a matrix [J, I] keeps a relative error."""
    return bounded_ranks(_by_cores(weight, in_modes, out_modes), max_error)


def bounded_ranks(tensor: Tensor, max_error: float) -> tuple[int, ...]:
    """Returns the smallest r_0..r_d with which TT-SVD keeps a relative error (Oseledets 2011, thm. 2.2).

    The squared error is at most the sum over the bonds of what each unfolding loses by itself: each of the
    d - 1 bonds may lose (max_error |tensor|)^2 / (d - 1).

    Args:
        tensor: [s_1..s_d].
        max_error: relative to the Frobenius norm, 0 to 1.
    """
    sizes = tensor.shape
    share = max_error / sqrt(max(1, len(sizes) - 1))
    unfoldings = (tensor.reshape(sizes[:k].numel(), -1) for k in range(1, len(sizes)))
    return (1, *(truncation_rank(unfolding, share) for unfolding in unfoldings), 1)


def truncation_rank(matrix: Tensor, max_error: float) -> int:
    """Returns the smallest rank whose best approximation keeps a relative Frobenius error (Eckart-Young).

    Args:
        matrix: [rows, columns].
        max_error: relative to its norm, 0 to 1.
    """
    energy = torch.linalg.svdvals(matrix.detach().double()).square()
    lost = energy.flip(0).cumsum(0).flip(0)  # by the rank before the value
    # rounding alone leaves tails of some 1e-32 of the energy
    allowed = max(max_error**2, 1e-28) * float(lost[0])
    return max(1, int((lost > allowed).sum()))


def _padded(core: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    """Gives a core the ranks that were asked for, with zeros where the SVD found fewer."""
    core = core.reshape(core.shape[0], shape[1], shape[2], core.shape[-1])
    whole = core.new_zeros(shape)
    whole[: core.shape[0], :, :, : core.shape[-1]] = core
    return whole


def merge(first: Tensor, second: Tensor) -> Tensor:
    """Contracts two neighbouring cores into one: [a, m, n, b] x [b, p, q, c] -> [a, m p, n q, c]."""
    a, m, n, _ = first.shape
    _, p, q, c = second.shape
    both = torch.tensordot(first, second, dims=1)  # a m n p q c
    return both.permute(0, 1, 3, 2, 4, 5).reshape(a, m * p, n * q, c)


def full_matrix(cores: list[Tensor]) -> Tensor:
    """Returns W [J, I] from its cores."""
    whole = cores[0]
    for core in cores[1:]:
        whole = merge(whole, core)
    return whole[0, :, :, 0].T
