"""Networks as programs compute what the networks compute, in training too, and keep every name."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.graph.reading import trace
from atoll.spaces.layers.dense import Dense
from atoll.spaces.layers.program import Program
from atoll.spaces.layers.structure import input_shape_of, to_meta
from torch import Tensor, nn

SHAPE = (3, 8, 8)


class Overwriting(nn.Module):
    """Values changed for whoever has them: by a module, a method, a function, an assignment."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.convs = nn.ModuleList(nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        first = self.convs[0](x)
        y = self.relu(first)
        second = self.convs[1](y + first)
        second += first
        z = F.leaky_relu(second, 0.1, inplace=True) - second
        third = self.convs[2](x)
        third.mul_(2.0)
        return (z + third).tanh_()


class Everything(nn.Module):
    """Nested modules, parameters and buffers, dropout as a function, sizes, a dictionary of heads."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.full((4, 1, 1), 0.5))
            self.conv = nn.Conv2d(4, 4, 3, padding=1)
            self.norm = nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.scale * F.silu(self.norm(self.conv(x)))

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.blocks = nn.Sequential(self.Block(), self.Block())
        self.register_buffer("shift", torch.full((4, 1, 1), 0.25))
        self.unused = nn.Parameter(torch.ones(2))
        self.head = nn.Linear(4 * 16, 5)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.blocks(self.stem(x)) - self.shift
        x = F.dropout(F.avg_pool2d(x, 2), 0.5, self.training)
        return {"classes": self.head(x.view(x.size(0), -1)), "maps": x}


def first(output: Tensor | dict[str, Tensor]) -> Tensor:
    return output["classes"] if isinstance(output, dict) else output


@pytest.mark.parametrize("build", [Overwriting, Everything])
@pytest.mark.parametrize("training", [False, True])
def test_a_program_computes_what_the_network_does(build: Callable[[], nn.Module], training: bool) -> None:
    torch.manual_seed(0)
    network = build().train(training)
    program = adopt(network, SHAPE)
    assert isinstance(program, Program)
    assert program.training == training
    names = {name.removesuffix(".raw") for name, _ in program.named_parameters()}
    assert names == {name for name, _ in network.named_parameters()}
    images = torch.rand(4, *SHAPE)
    found = []
    for one in (network, program, copy.deepcopy(program), pickle.loads(pickle.dumps(program))):
        torch.manual_seed(1)  # the same values drop out
        given = images.clone().requires_grad_()
        value = first(one(given))
        found.append((value.detach(), *torch.autograd.grad(value.square().sum(), given)))
    for value, gradient in found[1:]:
        torch.testing.assert_close(value, found[0][0])
        torch.testing.assert_close(gradient, found[0][1])


def test_a_program_is_traced_as_it_is() -> None:
    program = adopt(Everything(), SHAPE)
    graph = trace(program, input_shape_of(program))
    kinds = [operation.kind for operation in graph.operations]
    assert kinds.count("sigmoid") == 2
    assert "silu" not in kinds
    assert [o.name for o in trace(to_meta(program), SHAPE).operations] == [o.name for o in graph.operations]


def test_numbers_are_noted_on_their_side() -> None:
    class Numbers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return (1 - self.conv(x)) / 2

    operations = trace(adopt(Numbers(), SHAPE), SHAPE).operations
    assert [o.numbers for o in operations if o.kind in ("subtract", "divide")] == [(1.0, None), (None, 2.0)]


class ByMode(nn.Module):
    """Does another thing in training."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x + x if self.training else F.hardswish(x)


class ByData(nn.Module):
    """Does what the data says."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x + 1 if x.shape[0] > 1 and x.dim() == 4 and bool(x.is_meta or x.sum() > 0) else x


def modules_only() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())


@pytest.mark.parametrize("build", [ByMode, modules_only])
def test_other_networks_stay_what_they_are(build: Callable[[], nn.Module]) -> None:
    network = build()
    assert type(adopt(network, SHAPE)) is type(network)
    assert network.training


def test_a_network_that_decides_by_values_is_refused_by_name() -> None:
    with pytest.raises(AtollError, match=r"^0 \(ByData\) decides by the values that it sees: allowed are"):
        adopt(nn.Sequential(ByData()), SHAPE)


class Inner(nn.Module):
    """What tracing does not understand, deep inside."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(x) if x.shape[0] else x


def test_layers_deep_inside_a_network_that_is_exported_are_ours() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.ModuleDict({"inner": Inner()})["inner"])
    ours = adopt(network, (1, 2, 2))
    assert isinstance(ours.get_submodule("2.dense"), Dense)
