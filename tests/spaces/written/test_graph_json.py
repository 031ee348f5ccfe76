"""Graphs as JSON: the same network to the last bit without its code, compressed too, and nothing else."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.graph.heads import heads
from atoll.spaces.graph.reading import trace
from atoll.spaces.layers.program import Program
from atoll.spaces.layers.scaling import Scaling
from atoll.spaces.layers.structure import input_shape_of, never_called, scaling_of
from atoll.spaces.layers.transposed_conv import TransposedConv, TransposedWindow
from atoll.spaces.networks import NETWORKS as ZOO
from atoll.spaces.networks import build_network
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.written.graph_json import graph_json, network_of_json
from atoll.spaces.written.modules import whole_state
from torch import Tensor, nn

SHAPE = (3, 8, 8)


class OwnForward(nn.Module):
    """Understood as it is: sizes in its code, a block at two places, a head that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.again = self.norm
        self.pool = nn.MaxPool2d(2)
        self.aux = nn.Sequential(nn.Linear(16, 8), nn.Dropout(0.5))
        self.dense = nn.Linear(256, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.again(self.norm(self.conv(x)))
        x = F.relu(self.pool(x))
        x = F.relu(self.dense(x.view(x.shape[0], -1)))
        return self.head(F.dropout(x, 0.5, self.training))


class Wired(nn.Module):
    """A program: squeeze and excitation, a parameter, two outputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.squeeze = nn.Conv2d(16, 16, 1)
        self.scale = nn.Parameter(torch.full((16, 1, 1), 0.5))
        self.register_buffer("shift", torch.ones(16, 1, 1), persistent=False)
        self.act = nn.Hardswish()
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> dict[str, Any]:
        x = self.act(self.conv(x))
        x = x * torch.sigmoid(self.squeeze(F.adaptive_avg_pool2d(x, 1))) * self.scale + self.shift
        return {"maps": F.interpolate(x, scale_factor=2), "rest": (self.head(x.mean((2, 3))),)}


class Exported(nn.Module):
    """Adopted through its export: attention, a recurrent layer, strided parts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(12, 16, 1)
        self.encoder = nn.TransformerEncoderLayer(16, 2, 16, batch_first=True)
        self.recurrent = nn.LSTM(16, 16, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)
        x = self.conv(x).flatten(2).transpose(1, 2)
        found, _ = self.recurrent(self.encoder(x) if x.shape[1] == 16 else x)
        return self.head(found[:, -1])


NETWORKS: dict[str, Callable[[], nn.Module]] = {kind.__name__: kind for kind in (OwnForward, Wired, Exported)}
RECIPES = (
    "quantize(bits=8)",
    "prune_channels(ratio=0.5)",
    "svd(rank=2, fit_steps=2) -> cluster(clusters=4)",
    "prune_weights(ratio=0.5) -> quantize(bits=4)",
)


@pytest.fixture(scope="module")
def adopted() -> dict[str, nn.Module]:
    """The networks, adopted, in evaluation; nobody may change them."""
    found = {}
    for name, build in NETWORKS.items():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            found[name] = adopt(build(), SHAPE, Scaling((100.0,), (50.0,))).eval()
    return found


def read_again(network: nn.Module) -> Program:
    text = json.dumps(graph_json(network), allow_nan=False)
    return network_of_json(json.loads(text))


def outputs(network: nn.Module) -> tuple[Tensor, ...]:
    images = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        found: tuple[Tensor, ...] = heads(network(images))
    return found


def filled(program: nn.Module, network: nn.Module) -> nn.Module:
    """Gives a network on the meta device the other's tensors, those that no state dictionary has too."""
    state = {key: tensor.clone() for key, tensor in whole_state(network).items()}
    assert program.state_dict().keys() == state.keys()
    program.load_state_dict(state, assign=True)
    return program


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_from_json_is_the_same_to_the_last_bit(name: str, adopted: dict[str, nn.Module]) -> None:
    network = adopted[name]
    program = read_again(network)
    assert all(tensor.is_meta for tensor in program.state_dict().values())
    assert input_shape_of(program) == SHAPE
    assert scaling_of(program) == scaling_of(network)
    assert never_called(program) == never_called(network)
    one, other = trace(network, SHAPE), trace(program, SHAPE)
    assert [(o.name, o.kind, o.shape, o.path, o.inputs) for o in one.operations] == [
        (o.name, o.kind, o.shape, o.path, o.inputs) for o in other.operations
    ]
    filled(program, network)
    assert all(torch.equal(a, b) for a, b in zip(outputs(program), outputs(network), strict=True))
    assert graph_json(program) == graph_json(network)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_decisions_lead_to_the_same_network_from_json(
    name: str, recipe: str, adopted: dict[str, nn.Module], new_world: Callable[..., Any]
) -> None:
    images, labels = torch.rand(12, *SHAPE), torch.arange(12) % 3

    def loss(model: nn.Module, batch: Any) -> Tensor:
        return heads(model(batch.images))[-1].square().mean()

    network: nn.Module = adopted[name]
    program: nn.Module = read_again(network)
    for step in Recipe.parse(recipe):
        network, decisions = step.apply(network, new_world(images, labels, network, objective=loss))
        program = step.rebuild(program, json.loads(json.dumps(decisions)))
    rebuilt, again = filled(program.eval(), network.eval()), filled(read_again(network), network)
    wanted = outputs(network)
    assert all(torch.equal(a, b) for a, b in zip(outputs(rebuilt), wanted, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(outputs(again), wanted, strict=True))


@pytest.mark.parametrize("name", [name for name, _ in ZOO if name in ("mobilenet_v2", "squeezenet", "vgg16")])
def test_networks_of_the_zoo_are_written(name: str) -> None:
    with torch.device("meta"):
        network = adopt(build_network(name, 10, (3, 64, 64)), (3, 64, 64))
    program = read_again(network)
    assert {key: tensor.shape for key, tensor in program.state_dict().items()} == {
        key: tensor.shape for key, tensor in network.state_dict().items()
    }
    assert (
        trace(program, (3, 64, 64)).operations[-1].inputs == trace(network, (3, 64, 64)).operations[-1].inputs
    )


# What comes from outside -----------------------------------------------------------------------------


def call(written: dict[str, Any], op: str) -> dict[str, Any]:
    return next(one for one in written["calls"] if one["op"] == op)


TRANSPOSED = TransposedConv(2, 3, TransposedWindow((3, 3), (2, 2), (1, 1), (1, 1))).spec()
DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "format": (lambda w: w.update(format=2), "got a graph of format 2, allowed is 1"),
    "a function": (
        lambda w: call(w, "call_function").update(target="torch.load"),
        "got a call_function of 'torch.load', which the network has not, or nobody may call",
    ),
    "a method": (
        lambda w: w["calls"].insert(
            1, {"name": "y", "op": "call_method", "target": "__reduce__", "args": [{"value": "x"}]}
        ),
        "got a call_method of '__reduce__'",
    ),
    "an attribute": (
        lambda w: w["calls"].insert(1, {"name": "y", "op": "get_attr", "target": "__class__", "args": []}),
        "got a get_attr of '__class__'",
    ),
    "getattr": (
        lambda w: w["calls"].insert(
            1,
            {"name": "y", "op": "call_function", "target": "getattr", "args": [{"value": "x"}, "__class__"]},
        ),
        "got a getattr of something else than a value's shape",
    ),
    "a later value": (
        lambda w: call(w, "call_module").update(args=[{"value": "output"}]),
        "allowed are numbers, texts and values made before",
    ),
    "a holder called": (
        lambda w: (w["modules"].update(empty={"holds": True}), call(w, "call_module").update(target="empty")),
        "got a call_module of 'empty'",
    ),
    "a large number": (
        lambda w: call(w, "call_module")["args"].append(2**40),
        "got the number 1099511627776, allowed are whole ones up to",
    ),
    "repeated lists": (
        lambda w: w["calls"].insert(
            1, {"name": "y", "op": "call_function", "target": "operator.mul", "args": [[1], 1000000]}
        ),
        "got operator.mul of lists, allowed are numbers and tensors",
    ),
    "nesting": (
        lambda w: call(w, "call_module").update(args=json.loads("[" * 40 + "]" * 40)),
        "got arguments nested more than 8 deep",
    ),
    "names": (lambda w: w["calls"][1].update(name="a b"), "got the name 'a b' of a call"),
    "a name twice": (lambda w: w["calls"][1].update(name=w["calls"][0]["name"]), "each once"),
    "no output": (lambda w: w["calls"].pop(), "got calls without an output at their end"),
    "no calls": (lambda w: w.update(calls=[]), "got no list of 2 to 32,768 calls"),
    "a type": (
        lambda w: w["modules"].update(other={"type": "Module", "options": {}}),
        "got a module 'Module', allowed are layers and Ada",
    ),
    "a path": (lambda w: w["modules"].update({"../x": {"holds": True}}), "got the path '../x'"),
    "a taken name": (lambda w: w["modules"].update({"forward": {"holds": True}}), "got a name that is taken"),
    "options": (
        lambda w: w["modules"].update(other={"type": "ReLU", "options": {"device": "cuda"}}),
        r"got the options \['device'\], allowed are inplace",
    ),
    "a recurrence": (
        lambda w: w["modules"].update(
            other={
                "layer": {"type": "recurrent", "cell": "lsm", "units": 4, "bias": True, "backwards": False}
            }
        ),
        "unknown recurrence 'lsm'",
    ),
    "a layer": (
        lambda w: w["modules"].update(head={"layer": {"type": "dense"}}),
        "the graph is none",
    ),
    "a step of nothing": (
        lambda w: w["modules"]["conv"]["layer"].update(stride=[0, 1]),
        r"got a window with stride \[0, 1\], allowed are whole numbers from 1 to 1048576",
    ),
    "three axes": (
        lambda w: w["modules"]["conv"]["layer"].update(dilation=[1, 1, 1]),
        r"got a window with dilation \[1, 1, 1\]",
    ),
    "padding by a word": (
        lambda w: w["modules"]["conv"]["layer"].update(padding="full"),
        "got a window with padding 'full', allowed are whole numbers from 0 to 1048576",
    ),
    "no groups": (
        lambda w: w["modules"]["conv"]["layer"].update(groups=0),
        "got a window with groups 0, allowed are whole numbers from 1 to 1048576",
    ),
    "what is left on": (
        lambda w: w["modules"].update(other={"layer": TRANSPOSED | {"more": [-1, 0]}}),
        r"got a window with more \[-1, 0\], allowed are whole numbers from 0 to 1048576",
    ),
    "a word that is a convolution's": (
        lambda w: w["modules"].update(other={"layer": TRANSPOSED | {"padding": "same"}}),
        "got a window with padding 'same', allowed are whole numbers from 0 to 1048576",
    ),
    "zeros beyond every map": (
        lambda w: w["modules"].update(other={"layer": TRANSPOSED | {"padding": [10**9, 0]}}),
        r"got a window with padding \[1000000000, 0\], allowed are whole numbers from 0 to 1048576",
    ),
    "means of other channels": (
        lambda w: w["scaling"].update(mean=[1.0] * 4, std=[1.0] * 4),
        "scaling: got one for 4 channels, allowed is one for the 3 of the input",
    ),
    "means that are repeated": (
        lambda w: w["scaling"].update(runs=[2**40]),
        "scaling: got one for 1099511627776 channels, allowed is one for the 3 of the input",
    ),
    "a tensor": (
        lambda w: w["tensors"].append({"path": "q", "shape": [-1]}),
        "allowed is one with path, kind, shape, dtype, trained",
    ),
    "the input": (lambda w: w.update(input_shape=[3, 0, 8]), r"got inputs of \[3, 0, 8\], allowed are"),
    "a method of no value": (
        lambda w: call(w, "call_method").update(args=[]),
        r"got a method \w+ of no value",
    ),
    "a tensor of a type that none has": (
        lambda w: w["tensors"][0].update(dtype="complex64"),
        "of 'complex64' .*, which none is",
    ),
    "a tensor of more than any size": (
        lambda w: w["tensors"][0].update(shape=[10**12]),
        r"\[1000000000000\], which none is",
    ),
    "what is idle": (lambda w: w.update(never_called=["nobody"]), "as what is never called"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_nobody_may_build_is_refused(what: str, adopted: dict[str, nn.Module]) -> None:
    damage, sentence = DAMAGE[what]
    written = copy.deepcopy(graph_json(adopted["Wired"]))
    network_of_json(written)
    damage(written)
    with pytest.raises(AtollError, match=sentence):
        network_of_json(written)


def test_calls_without_a_name_are_refused() -> None:
    class Sorting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x).sigmoid()

    network = adopt(Sorting(), SHAPE)
    assert isinstance(network, Program)
    next(node for node in network.calls.nodes if node.op == "call_method").target = "sort"
    with pytest.raises(AtollError, match="the call of sort cannot be written as JSON: allowed are"):
        graph_json(network)
