"""A recurrence behind its dense layer against torch's own recurrent layers, forwards and backwards."""

import pytest
import torch
import torch.nn.functional as F
from atoll.spaces.errors import AtollError
from atoll.spaces.layers.recurrence import CELLS, Recurrence
from torch import nn

KINDS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn_tanh": nn.RNN, "rnn_relu": nn.RNN}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_both_directions_are_those_of_torch(cell: str, bias: bool) -> None:
    torch.manual_seed(0)
    more = {"nonlinearity": cell.removeprefix("rnn_")} if cell.startswith("rnn") else {}
    whole = KINDS[cell](6, 5, bias=bias, bidirectional=True, batch_first=True, **more)
    x = torch.randn(3, 7, 6)
    expected = whole(x)[0].chunk(2, 2)
    for backwards, end in enumerate(("_l0", "_l0_reverse")):
        recurrence = Recurrence(cell, 5, bias, bool(backwards))
        recurrence.weight = getattr(whole, f"weight_hh{end}")
        if bias:
            recurrence.bias = getattr(whole, f"bias_hh{end}")
        biases = getattr(whole, f"bias_ih{end}") if bias else None
        found = recurrence(F.linear(x, getattr(whole, f"weight_ih{end}"), biases))
        assert torch.allclose(found, expected[backwards], atol=1e-6)


def test_it_trains_like_torch_s() -> None:
    torch.manual_seed(0)
    whole, x = nn.LSTM(6, 5, batch_first=True), torch.randn(3, 7, 6)
    recurrence = Recurrence("lstm", 5)
    recurrence.load_state_dict({"weight": whole.weight_hh_l0, "bias": whole.bias_hh_l0})
    whole(x)[0].square().sum().backward()
    recurrence(F.linear(x, whole.weight_ih_l0, whole.bias_ih_l0)).square().sum().backward()
    assert torch.allclose(recurrence.weight.grad, whole.weight_hh_l0.grad, atol=1e-5)


def test_on_paper_it_has_the_shape_that_it_has() -> None:
    recurrence, x = Recurrence("gru", 5), torch.randn(2, 7, 15)
    assert recurrence.to("meta")(x.to("meta")).shape == Recurrence("gru", 5)(x).shape


def test_what_it_is_not() -> None:
    with pytest.raises(AtollError, match="unknown recurrence 'lsm'; did you mean 'lstm'"):
        Recurrence("lsm", 4)
    with pytest.raises(AtollError, match="got a recurrence of 0 units, allowed is one or more"):
        Recurrence("lstm", 0)
