"""TensorFlow's "SAME" windows against its definition, and in the runtime that has them built in."""

import json
from collections import OrderedDict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert.inspect import operator_names
from atoll.evaluators.litert.lower import lower
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.spaces.channels.reconstruction import reconstruct
from atoll.spaces.decomposition.decomposed_form import chain_of
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.graph.reading import trace
from atoll.spaces.kernels.conv_factors import cp, train, train_ranks, tucker, tucker_ranks
from atoll.spaces.kernels.least_squares import least_squares
from atoll.spaces.layers.conv import Conv
from atoll.spaces.layers.conv_chain import ConvChain
from atoll.spaces.layers.same_padding import SameAvgPool2d, SameConv2d, SameMaxPool2d, same_padding
from atoll.spaces.layers.structure import apply_structure, structure, to_meta
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

#: not square, so that an axis with padding on one side only meets one with none
SHAPE = (3, 9, 8)
#: kernel, stride, dilation, groups
CONVOLUTIONS = [
    (3, 2, 1, 1), (3, 1, 1, 1), (2, 1, 1, 1), (2, 2, 1, 1), (4, 3, 1, 1), (5, 2, 1, 3), (1, 2, 1, 1),
    (3, 1, 2, 1), ((3, 2), (2, 3), 1, 1), ((5, 2), (1, 2), 1, 3),
]  # fmt: skip


@given(
    size=st.integers(1, 40), kernel=st.integers(1, 8), stride=st.integers(1, 5), dilation=st.integers(1, 3)
)
def test_padding_is_the_least_that_gives_as_many_windows_as_strides_fit(
    size: int, kernel: int, stride: int, dilation: int
) -> None:
    before, after = same_padding(size, kernel, stride, dilation)
    extent = dilation * (kernel - 1) + 1

    def windows(total: int) -> int:
        return len(range(0, size + total - extent + 1, stride))

    assert windows(before + after) == -(-size // stride)
    assert before + after == 0 or windows(before + after - 1) < windows(before + after)
    assert after - before in (0, 1)


def test_a_strided_convolution_reads_where_tensorflow_reads() -> None:
    """An even axis has its one zero behind: a kernel that copies its first value copies places 0, 2, 4."""
    conv = SameConv2d(1, 1, (1, 3), stride=(1, 2), bias=False)
    conv.weight.data = torch.tensor([[[[1.0, 0.0, 0.0]]]])
    even, odd = torch.arange(1.0, 7).view(1, 1, 1, 6), torch.arange(1.0, 6).view(1, 1, 1, 5)
    assert conv(even).flatten().tolist() == [1, 3, 5]
    assert conv(odd).flatten().tolist() == [0, 2, 4]


def network(*modules: nn.Module) -> nn.Module:
    named = OrderedDict((f"part{n}", module) for n, module in enumerate((*modules, nn.Flatten())))
    return adopt(nn.Sequential(named), SHAPE).eval()


def agree(model: nn.Module, *expected_operators: str) -> None:
    """Asserts that the file gives what torch gives, with these operators and no others but data movement."""
    images = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    data = lower(model, SHAPE)
    assert [name for name in operator_names(data) if name not in ("RESHAPE", "TRANSPOSE")] == list(
        expected_operators
    )
    with torch.no_grad():
        expected = model(images).numpy()
    got = LiteRtRunner(data).run(images.permute(0, 2, 3, 1).numpy())
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride", "dilation", "groups"), CONVOLUTIONS)
def test_convolutions_are_litert_s_same(
    kernel: int | tuple[int, int], stride: int | tuple[int, int], dilation: int, groups: int
) -> None:
    conv = SameConv2d(3, 6, kernel, stride, dilation, groups)
    model = network(conv)
    images = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(images), conv(images).flatten(1))
    agree(model, "DEPTHWISE_CONV_2D" if groups > 1 else "CONV_2D")


@pytest.mark.parametrize("pool", [SameMaxPool2d, SameAvgPool2d])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (2, 2), (3, 1), (2, 3)])
def test_poolings_are_litert_s_same_for_values_of_both_signs(
    pool: type[SameMaxPool2d] | type[SameAvgPool2d], kernel: int, stride: int
) -> None:
    model = network(pool(kernel, stride))
    agree(model, "MAX_POOL_2D" if pool is SameMaxPool2d else "AVERAGE_POOL_2D")
    kind = "max_pool" if pool is SameMaxPool2d else "avg_pool"
    assert [op.kind for op in trace(model, SHAPE).operations] == ["input", kind, "flatten", "output"]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(
    ("conv", "padding"),
    [
        (nn.Conv2d(3, 3, (3, 5), padding="same", dilation=2), (2, 4)),
        (nn.Conv2d(3, 3, 2, padding="same"), "same"),
        (nn.Conv2d(3, 3, 2, padding="valid"), (0, 0)),
        (SameConv2d(3, 3, 3), (1, 1)),
        (SameConv2d(3, 3, 1, stride=2), (0, 0)),
        (SameConv2d(3, 3, 3, stride=2), "same"),
    ],
)
def test_padding_is_in_numbers_wherever_it_is_the_same_for_all_maps(conv: nn.Conv2d, padding: object) -> None:
    ours = Conv.adopt(conv)
    images = torch.randn(2, 3, 7, 10, generator=torch.Generator().manual_seed(0))
    assert ours.window.padding == padding
    torch.testing.assert_close(ours(images), conv(images))


@pytest.mark.parametrize("step", ["tensor_train", "tucker", "cp"])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), ((5, 3), (1, 2)), ((3, 2), (2, 3))])
def test_a_decomposed_convolution_reads_the_same_places(
    step: str, kernel: int | tuple[int, int], stride: int | tuple[int, int]
) -> None:
    conv = SameConv2d(6, 10, kernel, stride)
    kernel_of = conv.weight.detach()
    stages = {
        "tensor_train": lambda: train(kernel_of, train_ranks(kernel_of, 4)),
        "tucker": lambda: tucker(kernel_of, tucker_ranks(kernel_of, (3, 4))),
        "cp": lambda: cp(kernel_of, 5, seed=0),
    }[step]()
    chain = chain_of(Conv.adopt(conv), stages)
    again = ConvChain.from_spec(json.loads(json.dumps(chain.spec())), torch.device("cpu"))
    again.set_stages(stages)
    images = torch.randn(2, 6, 9, 8, generator=torch.Generator().manual_seed(0))
    conv.weight.data, conv.bias = chain.dense_weight(), None
    with torch.no_grad():
        expected = conv(images)
        torch.testing.assert_close(chain(images), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(again(images), expected, rtol=1e-4, atol=1e-4)


def test_the_structure_goes_through_json() -> None:
    model = network(SameConv2d(3, 6, 3, stride=2))
    stored = json.loads(json.dumps(structure(model)))
    assert stored["part0"]["padding"] == "same"
    other = to_meta(model)
    apply_structure(other, stored)
    assert structure(other) == structure(model)


def test_costs_count_the_positions_that_come_out() -> None:
    layer = Conv.adopt(SameConv2d(3, 6, 3, stride=2))
    window = layer.window
    assert window.output_shape(6, 9, 8) == (6, 5, 4)
    (cost,) = layer.costs((3, 9, 8), (6, 5, 4))
    assert cost.macs == 5 * 4 * 6 * 27


def test_lost_inputs_are_made_up_for_at_the_right_places() -> None:
    conv = Conv.adopt(SameConv2d(2, 4, 3, stride=2, bias=False))
    generator = torch.Generator().manual_seed(0)
    x, wanted = torch.randn(20, 2, 6, 6, generator=generator), torch.randn(20, 4, 3, 3, generator=generator)
    padded: Tensor = F.pad(x, (0, 1, 0, 1))
    places = [(n, i, j) for n in range(20) for i in range(3) for j in range(3)]
    seen = torch.stack([padded[n, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].flatten() for n, i, j in places])
    gives = torch.stack([wanted[n, :, i, j] for n, i, j in places])
    expected = least_squares(conv.weight.effective().flatten(1), seen, gives)
    assert reconstruct(conv, x, wanted, generator) is None
    torch.testing.assert_close(conv.weight.effective().flatten(1), expected, rtol=1e-4, atol=1e-4)
