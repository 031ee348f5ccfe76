"""Tucker-2, CP and tensor train of kernels: what has a rank is recovered, error bounds are kept."""

from math import sqrt

import pytest
import torch
from atoll.spaces.kernels.conv_factors import (
    cp,
    modes,
    relative_error,
    svd,
    train,
    train_ranks,
    tucker,
    tucker_ranks,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

SHAPES = [(12, 8, 3, 3), (8, 12, 5, 2), (9, 7, 1, 3), (7, 9, 4, 1), (10, 6, 1, 1)]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whole(weights: list[Tensor], shape: tuple[int, ...]) -> Tensor:
    """The kernel that a chain of weights stands for, by loops over its definition."""
    outputs, inputs, tall, wide = shape
    kernel = torch.zeros(shape, dtype=weights[0].dtype)
    for y in range(tall):
        for x in range(wide):
            product = torch.eye(inputs, dtype=kernel.dtype)
            for weight in weights:
                part = weight[:, :, y if weight.shape[2] > 1 else 0, x if weight.shape[3] > 1 else 0]
                alone = weight.shape[1] == 1 < weight.shape[0] == product.shape[0]
                product = (torch.diag(part[:, 0]) if alone else part) @ product
            kernel[:, :, y, x] = product
    assert outputs == product.shape[0]
    return kernel


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_singular_values_give_the_nearest_kernel_of_a_rank(shape: tuple[int, ...]) -> None:
    kernel = drawn(*shape)
    singular = torch.linalg.svdvals(kernel.reshape(shape[0], -1))
    for rank in (1, 3, 400):  # 400: cut to what there is
        weights = svd(kernel, rank)
        kept = min(rank, len(singular))
        assert [tuple(w.shape) for w in weights] == [(kept, *shape[1:]), (shape[0], kept, 1, 1)]
        assert [w.shape for w in svd(kernel.to("meta"), rank)] == [w.shape for w in weights]
        lost = float(singular[kept:].norm() / singular.norm())
        assert relative_error(kernel, whole(weights, shape)) == pytest.approx(lost, abs=1e-9)
    bound = svd(kernel, None, max_error=0.3)
    assert relative_error(kernel, whole(bound, shape)) <= 0.3
    assert len(bound[0]) == 1 or float(singular[len(bound[0]) - 1 :].norm() / singular.norm()) > 0.3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_kernel_of_known_tt_rank_is_recovered(shape: tuple[int, ...]) -> None:
    sizes = (drawn(*shape)).shape
    bonds = train_ranks(torch.empty(shape), 3)
    weights = train(drawn(*shape), bonds)
    exact = whole([drawn(*w.shape, seed=k) for k, w in enumerate(weights)], shape)
    found = train(exact, bonds)
    assert relative_error(exact, whole(found, shape)) < 1e-9
    assert len(found) == 2 + (sizes[2] > 1) + (sizes[3] > 1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_kernel_of_known_tucker_rank_is_recovered(shape: tuple[int, ...]) -> None:
    outputs, inputs, *size = shape
    core = drawn(4, 3, *size, seed=1)
    exact = torch.tensordot(drawn(outputs, 4, seed=2), core, dims=1)
    exact = torch.tensordot(exact, drawn(3, inputs, seed=3), dims=([1], [0])).permute(0, 3, 1, 2)
    ranks = tucker_ranks(torch.empty(shape), (3, 4))
    assert relative_error(exact, whole(tucker(exact, ranks), shape)) < 1e-9
    assert tucker_ranks(exact, None, 1e-9) == ((3, 3) if shape[2:] == (1, 1) else (3, 4))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 4])
def test_a_kernel_of_known_cp_rank_is_recovered(shape: tuple[int, ...], rank: int) -> None:
    factors = [drawn(size, rank, seed=k) for k, size in enumerate(shape)]
    exact = sum(
        factors[0][:, r, None, None, None]
        * factors[1][:, r, None, None]
        * factors[2][:, r, None]
        * factors[3][:, r]
        for r in range(rank)
    )
    assert isinstance(exact, Tensor)
    assert relative_error(exact, whole(cp(exact, rank, seed=0), shape)) < 1e-6


@pytest.mark.parametrize("write", [lambda k: train(k, train_ranks(k, 9)), lambda k: cp(k, 9, 0)])
def test_ranks_that_a_kernel_lacks_do_no_harm(write) -> None:  # type: ignore[no-untyped-def]
    exact = drawn(12, 1, 1, 1) * drawn(1, 8, 1, 1, seed=1) * drawn(1, 1, 3, 3, seed=2)
    weights = write(exact)
    assert all(weight.isfinite().all() for weight in weights)
    assert relative_error(exact, whole(weights, tuple(exact.shape))) < 1e-2
    zero = torch.zeros(12, 8, 3, 3)
    assert not whole(write(zero), (12, 8, 3, 3)).any()
    assert not whole(tucker(zero, (4, 4)), (12, 8, 3, 3)).any()


def test_components_of_cp_are_balanced() -> None:
    kernel = drawn(12, 8, 3, 3)
    first, second, third, last = cp(kernel, 5, seed=0)
    norms = [first[:, :, 0, 0].norm(dim=1), second[:, 0, :, 0].norm(dim=1), third[:, 0, 0].norm(dim=1)]
    for norm in norms:
        assert torch.allclose(norm, last[:, :, 0, 0].norm(dim=0))


def test_cp_depends_on_its_seed_alone() -> None:
    kernel = drawn(12, 8, 3, 3)
    torch.manual_seed(1)
    first = cp(kernel, 6, seed=5)
    torch.manual_seed(2)
    assert all(torch.equal(a, b) for a, b in zip(first, cp(kernel, 6, seed=5), strict=True))
    assert not torch.equal(first[0], cp(kernel, 6, seed=6)[0])


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3)),
    st.floats(0.05, 0.95),
    st.integers(0, 99),
)
def test_automatic_ranks_keep_the_error(shape: tuple[int, ...], max_error: float, seed: int) -> None:
    kernel = drawn(*shape, seed=seed)
    bonds = train_ranks(kernel, None, max_error)
    assert relative_error(kernel, whole(train(kernel, bonds), shape)) <= max_error + 1e-9
    ranks = tucker_ranks(kernel, None, max_error)
    assert relative_error(kernel, whole(tucker(kernel, ranks), shape)) <= max_error + 1e-9


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 3), st.integers(1, 3)),
    st.integers(1, 6),
    st.integers(0, 99),
)
def test_tt_svd_loses_at_most_what_every_bond_loses(shape: tuple[int, ...], rank: int, seed: int) -> None:
    """Oseledets 2011, theorem 2.2; and not less than the worst bond by itself."""
    kernel = drawn(*shape, seed=seed)
    tensor, bonds = modes(kernel), train_ranks(kernel, rank)
    tails = []
    for k, bond in enumerate(bonds, start=1):
        singular = torch.linalg.svdvals(tensor.reshape(tensor.shape[:k].numel(), -1))
        tails.append(float(singular[bond:].square().sum()))
    error = relative_error(kernel, whole(train(kernel, bonds), shape)) * float(kernel.norm())
    assert error <= sqrt(sum(tails)) + 1e-9
    assert error >= sqrt(max(tails)) - 1e-9


def test_shapes_are_the_same_without_data() -> None:
    for shape in SHAPES:
        kernel = drawn(*shape)
        meta = torch.empty(shape, device="meta")
        for write in (
            lambda k: train(k, train_ranks(k, 3)),
            lambda k: tucker(k, tucker_ranks(k, (3, 4))),
            lambda k: cp(k, 4, 0),
        ):
            assert [w.shape for w in write(meta)] == [w.shape for w in write(kernel)]


def test_a_1x1_kernel_is_cut_as_its_matrix() -> None:
    """Eckart-Young: none of the three can do better or worse than the singular value decomposition."""
    kernel = drawn(9, 6, 1, 1)
    best = float(torch.linalg.svdvals(kernel[:, :, 0, 0])[2:].norm() / kernel.norm())
    for weights in (train(kernel, (2,)), tucker(kernel, (2, 2)), cp(kernel, 2, 0)):
        assert relative_error(kernel, whole(weights, (9, 6, 1, 1))) == pytest.approx(best, rel=1e-9)
