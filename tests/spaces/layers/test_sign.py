"""Binary activations: values and gradient against the closed form, and that they go wherever a layer goes."""

import json
from copy import deepcopy

import pytest
import torch
from atoll.spaces.layers.activation_grid import ActivationGrid
from atoll.spaces.layers.conv import Conv
from atoll.spaces.layers.dense import Dense
from atoll.spaces.layers.layer import Layer
from atoll.spaces.layers.sign import InputSign
from atoll.spaces.layers.tt_dense import TTDense
from atoll.spaces.layers.weight_grid import WeightGrid
from torch import Tensor

CPU = torch.device("cpu")


def activations() -> Tensor:
    values = torch.randn(7, 6, generator=torch.Generator().manual_seed(0))
    values[0] = torch.tensor([0.0, -0.0, 1.0, -1.0, 1e-30, -1e-30])
    return values


@pytest.mark.parametrize("threshold", [1.0, 0.5])
def test_values_and_gradient_are_those_of_eqs_3_and_4(threshold: float) -> None:
    x = activations().requires_grad_()
    above = torch.randn(7, 6, generator=torch.Generator().manual_seed(1))
    y = InputSign(threshold)(x)
    y.backward(above)
    expected = [[1.0 if value >= 0 else -1.0 for value in row] for row in x.tolist()]
    slope = [[1.0 if abs(value) <= threshold else 0.0 for value in row] for row in x.tolist()]
    assert y.tolist() == expected
    assert x.grad is not None
    assert torch.equal(x.grad, above * torch.tensor(slope))


def test_the_sign_of_a_sign_is_itself() -> None:
    sign = InputSign()
    assert torch.equal(sign(sign(activations())), sign(activations()))


def test_a_layer_computes_on_the_signs_of_what_its_grid_leaves() -> None:
    layer = Dense(6, 3)
    layer.weight.set(torch.randn(3, 6, generator=torch.Generator().manual_seed(2)))
    layer.input_sign = InputSign()
    signs = torch.where(activations() >= 0, 1.0, -1.0)
    assert torch.equal(layer.eval()(activations()), layer.compute(signs))
    layer.input_grid = ActivationGrid()
    layer.input_grid.low.fill_(-1.0)
    layer.input_grid.high.fill_(1.0)
    tiny = torch.full((1, 6), -1e-6)  # rounds to zero, which counts as positive
    assert torch.equal(layer(tiny), layer.compute(torch.ones(1, 6)))


def layers() -> list[Layer]:
    generator = torch.Generator().manual_seed(3)
    dense, conv = Dense(16, 4), Conv(4, 4, (3, 3))
    dense.weight.set(torch.randn(4, 16, generator=generator))
    conv.weight.set(torch.randn(4, 4, 3, 3, generator=generator))
    train = TTDense.of(torch.randn(16, 64, generator=generator), 3)
    for layer in (dense, conv, train):
        layer.input_sign = InputSign(0.75)
    return [dense, conv, train]


@pytest.mark.parametrize("layer", layers(), ids=lambda layer: layer.type_name)
def test_the_sign_goes_where_the_layer_goes(layer: Layer) -> None:
    again = type(layer).from_spec(json.loads(json.dumps(layer.spec())), CPU)
    assert again.spec() == layer.spec()
    assert again.input_sign is not None
    assert again.input_sign.threshold == 0.75
    copy = deepcopy(layer)
    assert copy.input_sign is not None
    assert copy.input_sign is not layer.input_sign
    copy.keep_inputs(torch.arange(layer.inputs // 2))
    copy.keep_outputs(torch.arange(layer.outputs // 2))
    assert copy.input_sign.threshold == 0.75
    shape = (5, copy.inputs, 4, 4) if isinstance(copy, Conv) else (5, copy.inputs)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(4))
    assert torch.equal(copy(x), copy(100 * x))  # nothing but signs counts
    assert not torch.equal(copy(x), copy(-x))


def test_another_execution_form_sees_signs_too() -> None:
    train = layers()[2]
    assert isinstance(train, TTDense)
    for groups in ((1,) * len(train.in_modes), (len(train.in_modes),)):
        assert train.merged(groups).input_sign is not None


def test_decisions_from_before_there_were_signs_are_read() -> None:
    spec = Dense(6, 3).spec()
    del spec["input_sign"]
    assert Dense.from_spec(spec, CPU).input_sign is None


@pytest.mark.parametrize("bits", [32, 8])
def test_a_sign_makes_the_layer_no_cheaper(bits: int) -> None:
    plain, signed = Dense(6, 3), Dense(6, 3)
    signed.input_sign = InputSign()
    for layer in (plain, signed):
        layer.weight.impose(WeightGrid.fit(torch.randn(3, 6), 8))
        layer.activation_bits = bits
    assert signed.costs((6,), (3,)) == plain.costs((6,), (3,))
