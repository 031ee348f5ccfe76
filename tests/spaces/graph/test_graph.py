"""Tracing: shapes, kinds, and the sentences for what cannot be traced."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.graph.reading import trace
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


class WithCount(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, int]:
        return x, 2


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (Branches(), "cannot be traced: its forward depends on the data"),
        (Counts(), "cannot be traced"),
        (TwoInputs(), "got a network with 2 inputs, allowed is one image tensor in"),
        (WithCount(), "got a network that returns int, allowed are a tensor, and tuples"),
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


# What functions and methods mean ---------------------------------------------------------------------


class Calls(nn.Module):
    """A forward given as a function, with a convolution in front."""

    def __init__(self, call: Callable[..., Any]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3)
        self.scale = nn.Parameter(torch.ones(6, 1, 1))
        self.call = call

    def forward(self, x: Tensor) -> Any:
        return self.call(self, self.conv(x))


def kinds(call: Callable[..., Any]) -> list[tuple[str, tuple[int, ...]]]:
    graph = trace(Calls(call), (1, 8, 8))
    return [(operation.kind, operation.shape) for operation in graph.operations[2:-1]]


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (lambda _, x: F.max_pool2d(x, 2), [("max_pool", (6, 3, 3))]),
        (lambda _, x: F.avg_pool2d(x, 3, stride=1), [("avg_pool", (6, 4, 4))]),
        (lambda _, x: F.avg_pool2d(x, x.size()[2:]), [("avg_pool", (6, 1, 1))]),
        (lambda _, x: F.adaptive_avg_pool2d(x, 1), [("global_avg_pool", (6, 1, 1))]),
        (lambda _, x: x.mean((2, 3)), [("global_avg_pool", (6,))]),
        (lambda _, x: torch.mean(x, dim=(-1, -2), keepdim=True), [("global_avg_pool", (6, 1, 1))]),
        (lambda _, x: x.mean(1, keepdim=True), [("mean", (1, 6, 6))]),
        (lambda _, x: x.mean((0, 1)), [("other", (6,))]),
        (lambda _, x: x.mean(), [("other", ())]),
        (lambda _, x: x.view(x.size(0), -1), [("flatten", (216,))]),
        (lambda _, x: x.reshape((x.shape[0], -1)), [("flatten", (216,))]),
        (lambda _, x: torch.flatten(x, 1), [("flatten", (216,))]),
        (lambda _, x: x.flatten(2), [("reshape", (6, 36))]),
        (lambda _, x: x.view(x.size(0), x.size(1), -1), [("reshape", (6, 36))]),
        (lambda _, x: x.view(x.size(0), 2, 3, 6, 6), [("reshape", (2, 3, 6, 6))]),
        (lambda _, x: F.dropout(x, 0.1, False), [("identity", (6, 6, 6))]),
        (lambda _, x: F.relu6(x).sigmoid(), [("relu6", (6, 6, 6)), ("sigmoid", (6, 6, 6))]),
        (lambda _, x: F.silu(F.hardswish(x)), [("hard_swish", (6, 6, 6)), ("silu", (6, 6, 6))]),
        (lambda _, x: 2 * x, [("multiply", (6, 6, 6))]),
        (lambda _, x: x.add(x), [("add", (6, 6, 6))]),
        (lambda _, x: torch.add(x, x, alpha=2), [("other", (6, 6, 6))]),
        (lambda _, x: x / x.size(1), [("other", (6, 6, 6))]),
        (lambda me, x: x * me.scale, [("parameter", (6, 1, 1)), ("multiply", (6, 6, 6))]),
        (lambda _, x: torch.cat([x, x], 1), [("concatenate", (12, 6, 6))]),
        (lambda _, x: torch.cat([x, x], 2), [("concatenate", (6, 12, 6))]),
        (lambda _, x: torch.cat([x, x], 0), [("other", (6, 6, 6))]),
        (lambda _, x: F.interpolate(x, scale_factor=2), [("upsample", (6, 12, 12))]),
        (lambda _, x: F.layer_norm(x, (6, 6)), [("other", (6, 6, 6))]),
        # an option that no code reads is at its default, wherever and however it is given
        (lambda _, x: F.softmax(x, 1, 3, None), [("softmax", (6, 6, 6))]),
        (lambda _, x: F.softmax(x, 1, 3, torch.float64), [("other", (6, 6, 6))]),
        (lambda _, x: x.softmax(1, dtype=torch.float64), [("other", (6, 6, 6))]),
        (lambda _, x: x.mean((2, 3), dtype=torch.float64), [("other", (6,))]),
        (lambda _, x: F.interpolate(x, None, 2.0, "bilinear", False, None, True), [("other", (6, 12, 12))]),
        (lambda _, x: F.interpolate(x, scale_factor=2, antialias=False), [("upsample", (6, 12, 12))]),
        (lambda _, x: torch.div(x, 2, rounding_mode="floor"), [("other", (6, 6, 6))]),
        (lambda _, x: x.view(torch.int32), [("other", (6, 6, 6))]),
        (lambda _, x: F.relu(input=x, inplace=False), [("relu", (6, 6, 6))]),
        (lambda _, x: x.contiguous(memory_format=torch.channels_last), [("identity", (6, 6, 6))]),
    ],
)
def test_functions_and_methods(call: Callable[..., Any], found: list[tuple[str, tuple[int, ...]]]) -> None:
    assert kinds(call) == found


@pytest.mark.parametrize(
    ("call", "rigid"),
    [
        (lambda _, x: x.view(-1, 216), True),
        (lambda _, x: x.reshape(x.size(0), 216), True),
        (lambda _, x: x.view(x.size(0), -1), False),
        (lambda _, x: x.view(x.size(0), x.size(1) * 36), False),
        (lambda _, x: x.flatten(1), False),
    ],
)
def test_sizes_written_in_the_code_are_noticed(call: Callable[..., Any], rigid: bool) -> None:
    *_, flatten, _ = trace(Calls(call), (1, 8, 8)).operations
    assert (flatten.kind, flatten.rigid) == ("flatten", rigid)


def test_a_call_with_settings_is_a_module() -> None:
    call = lambda _, x: F.max_pool2d(x, 3, 2, padding=1)  # noqa: E731
    *_, pool, _ = trace(Calls(call), (1, 8, 8)).operations
    assert isinstance(pool.module, nn.MaxPool2d)
    assert (pool.path, pool.module.kernel_size, pool.module.stride, pool.module.padding) == ("", 3, 2, 1)


@pytest.mark.parametrize("way", ["tuple", "list", "dictionary", "nested"])
def test_heads_come_in_the_networks_order(way: str) -> None:
    def call(_: Calls, x: Tensor) -> Any:
        first, second, third = x.relu(), x.sigmoid(), x.tanh()
        ways = {
            "tuple": (first, second, third),
            "list": [first, second, third],
            "dictionary": {"z": first, "a": second, "m": third},
            "nested": (first, {"z": (second, third)}),
        }
        return ways[way]

    graph = trace(Calls(call), (1, 8, 8))
    assert [graph[name].kind for name in graph.outputs] == ["relu", "sigmoid", "tanh"]


def test_who_reads_an_overwritten_value_reads_what_overwrote_it() -> None:
    """`x + relu_(x)` is twice the ReLU, and so it is in the graph."""

    def call(_: Calls, x: Tensor) -> Tensor:
        y = F.relu(x, inplace=True)
        return x + y

    graph = trace(Calls(call), (1, 8, 8))
    *_, relu, added, _ = graph.operations
    assert (relu.kind, added.kind, added.inputs) == ("relu", "add", (relu.name, relu.name))


class Assigned(nn.Module):
    """Adds to a value that goes by another name too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.conv1(x)
        kept = a
        a += self.conv2(x)
        return torch.relu(kept) + a


def test_augmented_assignment_changes_the_value_for_whoever_has_it() -> None:
    graph = trace(adopt(Assigned(), (1, 8, 8)), (1, 8, 8))
    (summed, last) = [operation for operation in graph.operations if operation.kind == "add"]
    (relu,) = [operation for operation in graph.operations if operation.kind == "relu"]
    assert relu.inputs == (summed.name,)
    assert last.inputs == (relu.name, summed.name)
