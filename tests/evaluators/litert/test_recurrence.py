"""Recurrent layers: adopted in parts, counted, priced and written as loops, which the runtime runs right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from atoll.evaluators.litert import operators, operators_loop
from atoll.evaluators.litert.inspect import operator_names, overhead_bytes, peak_tensor_bytes
from atoll.evaluators.litert.lower import lower
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.litert.writer import TfliteModel
from atoll.hw_models.tables.file_table import layer_table_of
from atoll.hw_models.tables.network_table import layer_table
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.structure import to_meta
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import World
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

STEPS, FEATURES, UNITS = 7, 5, 6
SHAPE = (FEATURES, STEPS)


class Recurrent(nn.Module):
    """A recurrent layer over the steps of a signal, and a dense layer on what is taken of it."""

    def __init__(self, kind: type[nn.RNNBase], taken: Callable[[Any, Any], Tensor], **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.taken = kind(FEATURES, UNITS, **options), taken
        with torch.no_grad():
            width = self._taken(torch.zeros(2, *SHAPE)).shape[-1]
        self.head = nn.Linear(width, 3)

    def _taken(self, x: Tensor) -> Tensor:
        steps = x.permute(0, 2, 1) if self.rnn.batch_first else x.permute(2, 0, 1)
        found, state = self.rnn(steps)
        return self.taken(found, state[0] if type(self.rnn) is nn.LSTM else state)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self._taken(x))


def last(found: Tensor, state: Tensor) -> Tensor:
    return found[:, -1]


FIRST: dict[str, Any] = {"batch_first": True}
CASES = {
    "the last step": (last, FIRST),
    "all steps": (lambda found, state: found, FIRST),
    "their mean": (lambda found, state: found.mean(1), FIRST),
    "the last state": (lambda found, state: state[-1], FIRST),
    "no bias": (last, {**FIRST, "bias": False}),
    "steps first": (lambda found, state: found[-1], {}),
    "the last state of steps first": (lambda found, state: state.squeeze(0), {}),
    "two layers": (last, {**FIRST, "num_layers": 2}),
    "dropout between them": (last, {**FIRST, "num_layers": 2, "dropout": 0.5}),
    "states of two layers": (lambda found, state: state[0] + state[1], {**FIRST, "num_layers": 2}),
    "both directions": (lambda found, state: found, {**FIRST, "bidirectional": True}),
    "their last states": (
        lambda found, state: torch.cat((state[-2], state[-1]), 1),
        {"num_layers": 2, "bidirectional": True},
    ),
}
KINDS = [nn.LSTM, nn.GRU]
EVERY = [(kind, name) for kind in KINDS for name in CASES] + [
    (nn.RNN, "the last step"),
    (nn.RNN, "all steps"),
]


def network(kind: type[nn.RNNBase], name: str) -> nn.Module:
    taken, options = CASES[name]
    return Recurrent(kind, taken, **options).eval()


def in_file_s_order(images: Tensor) -> np.ndarray:
    return images.permute(0, 2, 1).numpy()


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_adopted_counted_written_and_priced(kind: type[nn.RNNBase], name: str) -> None:
    given = network(kind, name)
    adopted = adopt(given, SHAPE).eval()
    images = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = given(images)
        span = float(expected.max() - expected.min())
        assert float((adopted(images) - expected).abs().max()) < 1e-6 * span
    content = lower(adopted, SHAPE)
    for delegate in (True, False):
        found = torch.tensor(LiteRtRunner(content, delegate=delegate).run(in_file_s_order(images)))
        found = found.permute(0, 2, 1).reshape(expected.shape) if expected.dim() == 3 else found
        assert float((found - expected).abs().max()) < 1e-5 * span
    plan, file = layer_table(adopted, SHAPE), layer_table_of(TfliteFile.parse(content), "file")
    rows = [[(row.cost, row.live_bytes) for row in table.rows] for table in (plan, file)]
    assert rows[0] == rows[1]
    assert plan.unknown == ()
    assert plan.parameters == sum(parameter.numel() for parameter in given.parameters())
    with torch.no_grad(), FlopCounterMode(display=False) as counter:  # sees the products of a plan
        to_meta(given)(torch.empty(1, *SHAPE, device="meta"))
    assert plan.macs == counter.get_total_flops() // 2
    assert len(lower(to_meta(adopted), SHAPE)) == len(content)


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3)])
def test_multiplications_by_hand(kind: type[nn.RNNBase], gates: int) -> None:
    table = layer_table(adopt(network(kind, "the last step"), SHAPE), SHAPE)
    assert table.macs == STEPS * (FEATURES + UNITS) * gates * UNITS + 3 * UNITS


def test_a_file_is_as_long_for_any_number_of_steps_and_remembers_nothing() -> None:
    sizes = []
    for steps in (7, 70):
        shape = (FEATURES, steps)
        adopted = adopt(network(nn.LSTM, "the last step"), shape).eval()
        content = lower(adopted, shape)
        assert operator_names(content) == ["FULLY_CONNECTED", "WHILE", "FULLY_CONNECTED"]
        sizes.append((len(content), overhead_bytes(content)))
        images = in_file_s_order(torch.randn(2, *shape, generator=torch.Generator().manual_seed(1)))
        runner = LiteRtRunner(content)
        once, *again = (runner.run(images) for _ in range(3))
        assert all(np.array_equal(once, other) for other in again)
        projected = steps * 4 * UNITS * 4  # float, in the graph and twice in the loop, and given back once
        assert 4 * projected < peak_tensor_bytes(content) < 5 * projected + 2000
    assert sizes[0] == sizes[1]


def compressed(kind: type[nn.RNNBase], name: str, recipe: str) -> tuple[nn.Module, dict[str, Any]]:
    model = adopt(network(kind, name), SHAPE).eval()
    decisions: dict[str, Any] = {}
    images = torch.randn(32, *SHAPE, generator=torch.Generator().manual_seed(2))
    world = World(images, torch.arange(32) % 3, None, epochs=0)
    for step in Recipe.parse(recipe):
        model, decisions = step.apply(model, world)
    return model.eval(), decisions


def off_by(model: nn.Module, content: bytes) -> float:
    """Returns how far a file is off, in shares of the span of what it gives."""
    images = torch.randn(50, *SHAPE, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = model(images).numpy()
    found = LiteRtRunner(content).run(in_file_s_order(images))
    found = found.transpose(0, 2, 1).reshape(expected.shape) if expected.ndim == 3 else found
    return float(np.abs(found - expected).max() / np.ptp(expected))


@pytest.mark.parametrize("kind", KINDS)
def test_an_int8_file_has_a_float_island_that_is_said(kind: type[nn.RNNBase]) -> None:
    model, decisions = compressed(kind, "the last step", "quantize(bits=8)")
    assert decisions["stays_float"] == {
        "rnn.state_l0": "its activations stay float: the runtime has no integer kernel for a recurrence"
    }
    content = lower(model, SHAPE)
    operators = ["FULLY_CONNECTED", "DEQUANTIZE", "WHILE", "QUANTIZE", "FULLY_CONNECTED"]
    assert operator_names(content) == operators
    assert off_by(model, content) <= 0.01


#: recipe -> bits of a weight of the recurrence in the file, how far the file may be off
RECIPES = {
    "quantize(bits=8)": (8, 0.01),
    "quantize(bits=4)": (4, 0.01),
    "quantize(bits=2, first_last=same)": (2, 0.02),
    "quantize(bits=16)": (16, 1e-5),
    "quantize(bits=8, activations=float)": (8, 1e-5),
    "quantize(bits=8, activations=dynamic)": (8, 0.01),
    "cluster(clusters=16)": (32, 1e-5),
    "prune_weights(ratio=0.5)": (32, 1e-5),
    "ternarize": (2, 1e-5),
    "binarize": (2, 1e-5),
    "binarize(activations=binary)": (2, 1e-5),
    "prune_weights(ratio=0.5) -> cluster(clusters=8) -> quantize(bits=8)": (8, 0.01),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_weights_of_a_loop_are_stored_as_techniques_leave_them(
    recipe: str, kind: type[nn.RNNBase]
) -> None:
    bits, allowed = RECIPES[recipe]
    model, _ = compressed(kind, "all steps", recipe)
    content = lower(model, SHAPE)
    file = TfliteFile.parse(content)
    body = file.others[1]
    gates = 4 if kind is nn.LSTM else 3
    stored = [one for one in body.tensors if one.constant and one.shape == (gates * UNITS, UNITS)]
    assert [one.bits for one in stored] == [bits]
    assert off_by(model, content) <= allowed
    tables = layer_table(model, SHAPE), layer_table_of(file, "file")
    rows = [[(row.cost, row.live_bytes) for row in table.rows] for table in tables]
    assert rows[0] == rows[1]
    assert len(lower(to_meta(model), SHAPE)) == len(content)


@pytest.mark.parametrize("recipe", ["svd", "tucker", "cp", "tensor_train(kinds=all)", "prune_channels"])
def test_what_cannot_touch_a_recurrence_says_so_by_name(recipe: str) -> None:
    _, decisions = compressed(nn.GRU, "all steps", recipe)
    assert any("rnn.state_l0" in names.split(", ") for names in decisions["left_alone"])


class Given(nn.Module):
    """What is not taken."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what, self.rnn = (
            what,
            nn.LSTM(FEATURES, UNITS, proj_size=3 * (what == "projected"), batch_first=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        if self.what == "states":
            return self.rnn(x, (x[:, 0, :1].expand(-1, UNITS)[None], x[:, 1, :1].expand(-1, UNITS)[None]))[0]
        found, (_, memory) = self.rnn(x)
        return memory[0] if self.what == "memory" else found


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("states", r"rnn \(LSTM\) starts from a state that it is given: allowed is to leave that out"),
        ("memory", r"rnn \(LSTM\) gives its memory \(c_n\): allowed are its sequence and its last state"),
        ("projected", r"rnn \(LSTM\) has a projection \(proj_size\): allowed are recurrent layers without"),
    ],
)
def test_what_is_refused_in_a_sentence(what: str, sentence: str) -> None:
    with pytest.raises(AtollError, match=sentence):
        adopt(Given(what).eval(), SHAPE)


#: what is another loop than those that have a price: start, step, limit, how many products
OTHER_LOOPS = [(1, 1, 4, 1), (0, 2, 4, 1), (0, 1, 0, 1), (0, 1, 4, 0), (0, 1, 4, 2)]


def looping(start: int, step: int, limit: int, products: int) -> TfliteFile:
    """A file that multiplies a value by a matrix in a loop."""
    model, condition, body = TfliteModel(), TfliteModel(), TfliteModel()
    carried = [model.add_input((1, 3)), model.add_index([start])]
    for graph in (condition, body):
        graph.inputs = [operators_loop.copy_of(graph, model, one) for one in carried]
    condition.outputs = [operators_loop.below(condition, condition.inputs[1], limit)]
    value, count = body.inputs
    for _ in range(products):
        value = operators.fully_connected(body, value, body.add_constant(np.eye(3), "float32"))
    body.outputs = [value, operators_loop.counted_on(body, count, step)]
    model.outputs = operators_loop.loop(model, condition, body, carried)[:1]
    return TfliteFile.parse(model.to_bytes())


def test_a_loop_that_counts_up_has_the_price_of_its_products() -> None:
    table = layer_table_of(looping(0, 1, 4, 1), "file")
    assert (table.unknown, table.macs, table.parameters) == ((), 4 * 9, 9)


@pytest.mark.parametrize("loop", OTHER_LOOPS, ids=str)
def test_any_other_loop_has_no_price(loop: tuple[int, int, int, int]) -> None:
    assert layer_table_of(looping(*loop), "file").unknown == ("WHILE",)
