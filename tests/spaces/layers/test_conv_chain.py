"""A chain of convolutions against the one convolution that it stands for."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from atoll.spaces.decomposition.decomposed_form import chain_of
from atoll.spaces.kernels.conv_factors import cp, train, train_ranks, tucker, tucker_ranks
from atoll.spaces.layers.conv import Conv
from atoll.spaces.layers.conv_chain import ConvChain
from atoll.spaces.layers.mask import Mask
from atoll.spaces.layers.weight_grid import WeightGrid
from torch import Tensor, nn

WRITE: dict[str, Callable[[Tensor], list[Tensor]]] = {
    "tensor train": lambda kernel: train(kernel, train_ranks(kernel, 4)),
    "tucker": lambda kernel: tucker(kernel, tucker_ranks(kernel, (3, 4))),
    "cp": lambda kernel: cp(kernel, 5, seed=0),
}
#: size, stride, padding, dilation
WINDOWS = [
    ((3, 3), (1, 1), (1, 1), (1, 1)),
    ((3, 3), (2, 2), (1, 1), (1, 1)),
    ((5, 3), (1, 2), (2, 0), (1, 1)),
    ((3, 3), (1, 1), (2, 2), (2, 2)),
    ((3, 2), (2, 1), (0, 1), (1, 3)),
    ((1, 3), (2, 1), (1, 1), (1, 1)),
    ((3, 1), (1, 2), (1, 2), (2, 1)),
    ((1, 1), (2, 2), (0, 0), (1, 1)),
    ((1, 1), (1, 1), (1, 1), (1, 1)),
]


def conv(
    size: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
) -> Conv:
    generator = torch.Generator().manual_seed(0)
    layer = Conv(6, 10, size, stride, padding, dilation)
    layer.weight.set(torch.randn(layer.weight.shape, generator=generator))
    layer.bias = nn.Parameter(torch.randn(10, generator=generator))
    return layer


def chain(layer: Conv, kind: str) -> ConvChain:
    written = chain_of(layer, WRITE[kind](layer.weight.effective()))
    written.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach().clone())
    return written


def maps() -> Tensor:
    return torch.randn(2, 6, 11, 12, generator=torch.Generator().manual_seed(1))


every_kind = pytest.mark.parametrize("kind", list(WRITE))


@every_kind
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_the_chain_is_the_convolution_by_its_kernel(kind: str, window: tuple) -> None:
    layer = conv(*window)
    written = chain(layer, kind)
    assert (written.inputs, written.outputs) == (6, 10)
    with torch.no_grad():
        wanted = F.conv2d(maps(), written.dense_weight(), layer.bias, *window[1:])
        torch.testing.assert_close(written(maps()), wanted, rtol=1e-5, atol=1e-4)


@every_kind
def test_stages_are_what_the_papers_call_them(kind: str) -> None:
    shapes = [(tuple(f.shape), w.groups) for w, f, _, _ in chain(conv(), kind).steps()]
    assert (
        shapes
        == {
            "tensor train": [((4, 6, 1, 1), 1), ((4, 4, 3, 1), 1), ((4, 4, 1, 3), 1), ((10, 4, 1, 1), 1)],
            "tucker": [((3, 6, 1, 1), 1), ((4, 3, 3, 3), 1), ((10, 4, 1, 1), 1)],
            "cp": [((5, 6, 1, 1), 1), ((5, 1, 3, 1), 5), ((5, 1, 1, 3), 5), ((10, 5, 1, 1), 1)],
        }[kind]
    )


@every_kind
@pytest.mark.parametrize("window", [WINDOWS[0], WINDOWS[7]], ids=str)
def test_slicing_the_chain_is_slicing_the_kernel(kind: str, window: tuple) -> None:
    written = chain(conv(*window), kind)
    before, bias = written.dense_weight(), written.bias
    outs, ins = torch.tensor([0, 3, 4, 9]), torch.tensor([1, 2, 5])
    written.keep_outputs(outs)
    written.keep_inputs(ins)
    torch.testing.assert_close(written.dense_weight(), before[outs][:, ins])
    assert bias is not None
    assert written.bias is not None
    assert torch.equal(written.bias, bias[outs])
    with torch.no_grad():
        assert written(maps()[:, ins]).shape[1] == 4


def test_slicing_carries_constraints_over() -> None:
    written = chain(conv(), "tucker")
    for factor in written.factors().values():
        factor.impose(WeightGrid.fit(factor.effective(), 4))
        factor.impose(Mask(factor.effective() > 0))
    before = written.dense_weight()
    origins = {name: {c.origin for c in f.constraints.values()} for name, f in written.factors().items()}
    written.keep_outputs(torch.arange(0, 10, 2))
    assert torch.equal(written.dense_weight(), before[::2])
    for name, factor in written.factors().items():
        assert {c.origin for c in factor.constraints.values()} == origins[name]
        assert factor.integers() is not None


@every_kind
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_costs_are_those_of_the_stages(kind: str, window: tuple) -> None:
    written = chain(conv(*window), kind)
    x, seen = maps()[:1], []
    for stage, factor, bias, _ in written.steps():
        with torch.no_grad():
            y = stage.convolve(x, factor(), bias)
        seen.append((y[0].numel() * factor.shape[1:].numel(), x[0].numel(), y[0].numel()))
        x = y
    costs = written.costs((6, 11, 12), tuple(x.shape[1:]))
    assert [(cost.macs, cost.input_elements, cost.output_elements) for cost in costs] == seen
    assert sum(cost.bias_elements for cost in costs) == 10
    assert [cost.kind for cost in costs][:: len(costs) - 1] == ["pointwise", "pointwise"]
    if kind == "cp" and window[0] == (3, 3):
        assert [cost.kind for cost in costs][1:-1] == ["depthwise", "depthwise"]


@every_kind
def test_the_structure_comes_back_from_json_with_stage_grids(kind: str) -> None:
    written = chain(conv(*WINDOWS[4]), kind)
    written.grid_stages(8)
    assert len(written.stage_grids) == len(written.stages) - 1
    again = ConvChain.from_spec(written.spec(), torch.device("cpu"))
    again.load_state_dict(written.state_dict())
    assert again.spec() == written.spec()
    with torch.no_grad():
        assert torch.equal(again.eval()(maps()), written.eval()(maps()))
