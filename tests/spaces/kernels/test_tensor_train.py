"""Tensor trains: exact recovery, ranks, contraction, merging, mode sizes."""

from math import prod

import pytest
import torch
from atoll.spaces.kernels.tensor_train import (
    balanced_modes,
    bond_ranks,
    decompose,
    full_matrix,
    merge,
    parameter_count,
)
from hypothesis import given
from hypothesis import strategies as st

IN_MODES, OUT_MODES = (4, 3, 5), (2, 6, 3)


def random_cores(rank: int, dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(rank)
    ranks = bond_ranks(IN_MODES, OUT_MODES, rank)
    return [
        torch.randn(ranks[k], m, n, ranks[k + 1], generator=generator, dtype=dtype)
        for k, (m, n) in enumerate(zip(IN_MODES, OUT_MODES, strict=True))
    ]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("rank", [1, 3, 8])
def test_a_matrix_of_known_rank_is_recovered_exactly(rank: int, dtype: torch.dtype, tolerance: float) -> None:
    matrix = full_matrix(random_cores(rank, dtype))
    found = decompose(matrix, IN_MODES, OUT_MODES, bond_ranks(IN_MODES, OUT_MODES, rank))
    assert found[0].dtype == dtype
    assert (full_matrix(found) - matrix).norm() <= tolerance * matrix.norm()


def test_full_rank_recovers_any_matrix() -> None:
    matrix = torch.randn(prod(OUT_MODES), prod(IN_MODES), dtype=torch.float64)
    ranks = bond_ranks(IN_MODES, OUT_MODES, 10_000)
    assert ranks == (1, 8, 15, 1)  # the sizes of the smaller sides: 4*2 and 5*3
    assert torch.allclose(full_matrix(decompose(matrix, IN_MODES, OUT_MODES, ranks)), matrix, atol=1e-10)


def test_a_larger_rank_is_never_worse() -> None:
    matrix = torch.randn(prod(OUT_MODES), prod(IN_MODES), generator=torch.Generator().manual_seed(1))
    errors = []
    for rank in (1, 2, 4, 8, 15):
        cores = decompose(matrix, IN_MODES, OUT_MODES, bond_ranks(IN_MODES, OUT_MODES, rank))
        errors.append(float((full_matrix(cores) - matrix).norm()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-4 < errors[0]


def test_two_modes_are_the_singular_value_decomposition() -> None:
    """With two modes the rearranged matrix is cut once: Eckart-Young gives the error in closed form."""
    matrix = torch.randn(6, 20, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    rearranged = matrix.reshape(2, 3, 4, 5).permute(2, 0, 3, 1).reshape(8, 15)
    singular = torch.linalg.svdvals(rearranged)
    cores = decompose(matrix, (4, 5), (2, 3), (1, 3, 1))
    error = (full_matrix(cores) - matrix).square().sum()
    assert torch.isclose(error, singular[3:].square().sum(), rtol=1e-9)


def test_ranks_that_the_matrix_lacks_are_filled_with_zeros() -> None:
    matrix = torch.zeros(prod(OUT_MODES), prod(IN_MODES))
    cores = decompose(matrix, IN_MODES, OUT_MODES, (1, 4, 4, 1))
    assert [tuple(core.shape) for core in cores] == [(1, 4, 2, 4), (4, 3, 6, 4), (4, 5, 3, 1)]
    assert not full_matrix(cores).any()


def test_entries_are_products_of_core_slices() -> None:
    """THESIS eq. 6, written out: W[(j1 j2 j3), (i1 i2 i3)] = G1[:, i1, j1, :] G2[:, i2, j2, :] G3[...]."""
    cores = random_cores(2, torch.float64)
    matrix = full_matrix(cores).reshape(*OUT_MODES, *IN_MODES)
    for j, i in [((0, 0, 0), (0, 0, 0)), ((1, 4, 2), (3, 2, 4)), ((0, 5, 1), (2, 0, 3))]:
        product = cores[0][:, i[0], j[0]] @ cores[1][:, i[1], j[1]] @ cores[2][:, i[2], j[2]]
        assert torch.isclose(matrix[(*j, *i)], product.squeeze())


def test_merging_neighbours_changes_nothing() -> None:
    cores = random_cores(3, torch.float64)
    left = [merge(cores[0], cores[1]), cores[2]]
    right = [cores[0], merge(cores[1], cores[2])]
    assert torch.allclose(full_matrix(left), full_matrix(cores), rtol=1e-12)
    assert torch.allclose(full_matrix(right), full_matrix(cores), rtol=1e-12)


def test_the_papers_layer_has_the_papers_parameters() -> None:
    """PUB-II TT-V: 16384 -> 64 with modes 16x8x16x8, 4x2x4x2 and rank 4: THESIS eq. 9 by hand."""
    modes = (16, 8, 16, 8), (4, 2, 4, 2)
    ranks = bond_ranks(*modes, 4)
    assert ranks == (1, 4, 4, 4, 1)
    assert parameter_count(*modes, ranks) == 64 * 4 + 4 * 16 * 4 + 4 * 64 * 4 + 4 * 16


@given(st.integers(1, 20_000), st.integers(1, 5))
def test_modes_multiply_up_and_descend(size: int, count: int) -> None:
    modes = balanced_modes(size, count)
    assert prod(modes) == size
    assert len(modes) == count
    assert list(modes) == sorted(modes, reverse=True)


@pytest.mark.parametrize(
    ("size", "count", "modes"),
    [
        (16384, 4, (16, 16, 8, 8)),
        (64, 4, (4, 4, 2, 2)),
        (4096, 4, (8, 8, 8, 8)),
        (97, 3, (97, 1, 1)),
        (1, 2, (1, 1)),
        (36, 2, (6, 6)),
    ],
)
def test_modes_are_balanced(size: int, count: int, modes: tuple[int, ...]) -> None:
    assert balanced_modes(size, count) == modes
