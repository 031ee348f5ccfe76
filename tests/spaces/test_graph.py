"""Tracing: shapes, kinds, and the sentences for what cannot be traced."""

import pytest
import torch
from atoll.spaces.errors import AtollError
from atoll.spaces.graph import trace
from torch import Tensor, nn


def test_operations_and_shapes(trained: dict[str, nn.Module]) -> None:
    graph = trace(trained["sequential"], (1, 16, 16))
    assert [(operation.kind, operation.shape) for operation in graph.operations] == [
        ("input", (1, 16, 16)),
        ("layer", (16, 16, 16)),
        ("relu", (16, 16, 16)),
        ("norm", (16, 16, 16)),
        ("max_pool", (16, 8, 8)),
        ("layer", (16, 8, 8)),
        ("relu", (16, 8, 8)),
        ("norm", (16, 8, 8)),
        ("max_pool", (16, 4, 4)),
        ("channels_last_flatten", (256,)),
        ("layer", (64,)),
        ("norm", (64,)),
        ("layer", (4,)),
        ("output", (4,)),
    ]


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Counts(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * len(x)


class TwoInputs(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class TwoHeads(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x.relu()


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (Branches(), "cannot be traced: its forward depends on the data"),
        (Counts(), "cannot be traced"),
        (TwoInputs(), "got a network with 2 inputs, allowed is one image tensor in"),
        (TwoHeads(), "got a network with an output of type .*, allowed is"),
        (nn.Linear(5, 2), "does not take an input of 8x8x1"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_traced_is_told_in_a_sentence(network: nn.Module, sentence: str) -> None:
    with pytest.raises(AtollError, match=sentence):
        trace(network, (1, 8, 8))


def test_tracing_changes_nothing(network: nn.Module) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    training = network.training
    trace(network, (1, 16, 16))
    assert network.training == training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
