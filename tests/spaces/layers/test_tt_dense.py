"""The tensor-train layer against the matrix it stands for, in every execution form."""

import pytest
import torch
from atoll.spaces.layers.mask import Mask
from atoll.spaces.layers.tt_dense import TTDense
from atoll.spaces.layers.weight_grid import WeightGrid

PAPERS = (16, 8, 16, 8), (4, 2, 4, 2)  # PUB-II TT-V: 16384 -> 64


def layer(
    in_modes: tuple[int, ...] = (4, 3, 5, 2), out_modes: tuple[int, ...] = (2, 3, 1, 4), rank: int = 3
) -> TTDense:
    generator = torch.Generator().manual_seed(0)
    inner = (rank,) * (len(in_modes) - 1)
    train = TTDense(in_modes, out_modes, (1, *inner, 1))
    for factor in train.factors().values():
        factor.set(torch.randn(factor.shape, generator=generator))
    assert train.bias is not None
    with torch.no_grad():
        train.bias.copy_(torch.randn(train.outputs, generator=generator))
    return train


def inputs(train: TTDense) -> torch.Tensor:
    return torch.randn(7, train.inputs, generator=torch.Generator().manual_seed(1))


def test_contraction_is_multiplication_by_the_matrix() -> None:
    train = layer()
    x = inputs(train)
    with torch.no_grad():
        expected = x @ train.dense_weight().T + train.bias
        assert torch.allclose(train(x), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("groups", [(1, 1, 1, 1), (2, 2), (1, 2, 1), (3, 1), (4,)])
def test_every_execution_form_is_the_same_layer(groups: tuple[int, ...]) -> None:
    train = layer()
    form = train.merged(groups)
    assert len(form.in_modes) == len(groups)
    assert (form.inputs, form.outputs) == (train.inputs, train.outputs)
    x = inputs(train)
    with torch.no_grad():
        assert torch.allclose(form(x), train(x), rtol=1e-4, atol=1e-3)
    ours = {tensor.untyped_storage().data_ptr() for tensor in train.state_dict().values()}
    assert not ours & {tensor.untyped_storage().data_ptr() for tensor in form.state_dict().values()}


def test_the_form_of_the_papers_layer_depends_on_sizes_alone() -> None:
    train = layer(*PAPERS, rank=4)
    on_meta = TTDense(*PAPERS, train.ranks, device=torch.device("meta"))
    assert on_meta.settled().spec() == train.settled().spec()


def test_the_fastest_form_of_the_papers_layer_is_in_pairs() -> None:
    """16384 + 4096 + 1024 + 64 elements move core by core, 128 x 32 + 64 in pairs."""
    train = TTDense(*PAPERS, (1, 4, 4, 4, 1), device=torch.device("meta"))
    pairs = train.fastest()
    assert (pairs.in_modes, pairs.out_modes, pairs.ranks) == ((128, 128), (8, 8), (1, 4, 1))
    assert sum(cost.moved_elements for cost in pairs.costs((16384,), (64,))) == 128 * 32 + 64
    assert pairs.settled().in_modes == pairs.in_modes  # later constraints leave it


def test_a_layer_under_a_constraint_keeps_its_form() -> None:
    train = layer(*PAPERS, rank=4)
    next(iter(train.factors().values())).impose(Mask(torch.ones(train.factors()["cores.0"].shape).bool()))
    assert train.settled() is train


def test_costs_are_those_of_the_stages() -> None:
    train = layer()
    costs = train.costs((train.inputs,), (train.outputs,))
    assert [cost.weight_elements for cost in costs] == [f.shape.numel() for f, _, _ in train.stages()]
    # by hand, last core first: rows x (m r_k) x (r_(k-1) n)
    assert [cost.macs for cost in costs] == [60 * 2 * 12, 48 * 15 * 3, 16 * 9 * 9, 12 * 12 * 2]
    assert sum(cost.bias_elements for cost in costs) == train.outputs


def test_removing_all_but_some_inputs_keeps_a_matrix_of_full_rank_exactly() -> None:
    matrix = torch.randn(12, 16, generator=torch.Generator().manual_seed(2))
    train = TTDense.of(matrix, rank=100, in_modes=(4, 4), out_modes=(4, 3))
    index = torch.tensor([0, 1, 4, 5, 6, 9, 12, 15])
    train.keep_inputs(index)
    assert torch.allclose(train.dense_weight(), matrix[:, index], atol=1e-5)
    train.keep_outputs(torch.tensor([1, 2, 5, 7]))
    assert torch.allclose(train.dense_weight(), matrix[[1, 2, 5, 7]][:, index], atol=1e-5)


def test_constraints_meet_their_declared_fate_when_it_is_decomposed_again() -> None:
    train = layer((4, 4), (4, 4))
    for factor in train.factors().values():
        factor.impose(WeightGrid.fit(factor.effective(), 4))
        factor.impose(Mask(factor.effective() > 0))
    train.keep_outputs(torch.arange(8))
    for factor in train.factors().values():
        assert [spec["kind"] for spec in factor.spec()] == ["grid"]
        assert factor.integers() is not None


def test_the_structure_comes_back_from_json_with_stage_grids() -> None:
    train = layer()
    train.grid_stages(8)
    assert len(train.stage_grids) == 3
    again = TTDense.from_spec(train.spec(), torch.device("cpu"))
    again.load_state_dict(train.state_dict())
    assert again.spec() == train.spec()
    assert torch.equal(again.dense_weight(), train.dense_weight())
