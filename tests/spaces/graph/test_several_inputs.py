"""Networks of several inputs are adopted exactly, keep their order, and go through JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt, adopt_exported
from atoll.spaces.graph.reading import trace
from atoll.spaces.layers.conv import Conv
from atoll.spaces.layers.parts import as_row
from atoll.spaces.layers.program import Program
from atoll.spaces.layers.structure import input_parts_of, input_shape_of
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.written.graph_json import graph_json, network_of_json
from atoll.spaces.written.modules import whole_state
from torch import Tensor, nn
from torch.export import Dim, export, save
from torch.utils.flop_counter import FlopCounterMode

SHAPES = ((3, 12, 8), (5,))


class Picture(nn.Module):
    """An image and what else is known of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.known, self.head = nn.Linear(5, 8), nn.Linear(16, 4)

    def forward(self, image: Tensor, known: Tensor) -> Tensor:
        maps = F.relu(self.norm(self.conv(image))).mean((2, 3))
        return self.head(torch.cat((maps, F.relu(self.known(known))), 1))


class Optional(Picture):
    """Code that symbols do not go through: an argument that need not be given, a condition on sizes."""

    def forward(self, image: Tensor, known: Tensor, more: Tensor | None = None) -> Tensor:  # type: ignore[override]
        found = super().forward(image, known if known.shape[1] == 5 else known[:, :5])
        return found if more is None else found + more


def built(kind: type[nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind().eval()


def given(count: int = 3) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.rand(count, *shape, generator=generator) * 2 - 1 for shape in SHAPES)


@pytest.mark.parametrize("kind", [Picture, Optional])
def test_it_is_the_network_on_separate_inputs_and_on_rows(kind: type[nn.Module]) -> None:
    network = built(kind)
    adopted = adopt(network, SHAPES)
    assert isinstance(adopted, Program) and isinstance(adopted.get_submodule("conv"), Conv)
    assert (input_parts_of(adopted), input_shape_of(adopted)) == (SHAPES, (3 * 12 * 8 + 5,))
    with torch.no_grad():
        wanted = network(*given())
        torch.testing.assert_close(adopted(*given()), wanted, rtol=0.0, atol=1e-6)
        torch.testing.assert_close(adopted(as_row(given())), wanted, rtol=0.0, atol=1e-6)


def test_its_graph_has_each_input_with_its_own_shape_in_the_order_of_the_arguments() -> None:
    adopted = adopt(built(Picture), SHAPES)
    inputs = [one for one in trace(adopted, input_shape_of(adopted)).operations if one.kind == "input"]
    assert [(one.name, one.shape) for one in inputs] == [("image", SHAPES[0]), ("known", SHAPES[1])]


def test_its_multiplications_are_torchs() -> None:
    adopted = adopt(built(Picture), SHAPES)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        built(Picture)(*(one[:1] for one in given()))
    assert layer_table(adopted, input_shape_of(adopted)).macs == counter.get_total_flops() // 2


@pytest.mark.parametrize("recipe", ["baseline", "prune_channels(ratio=0.5) -> svd(rank=2, fit_steps=0)"])
def test_json_gives_it_back(recipe: str) -> None:
    network = adopt(built(Picture), SHAPES)
    for step in Recipe.parse(recipe):
        network = step.plan(network)
    network.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in whole_state(network).values():
            tensor.fill_(0.01)
    again = network_of_json(json.loads(json.dumps(graph_json(network))))
    again.load_state_dict(whole_state(network), assign=True)
    assert input_parts_of(again) == SHAPES
    with torch.no_grad():
        assert torch.equal(again(as_row(given())), network.eval()(as_row(given())))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (None, "calls of 2 inputs"),
        ([[3, 12, 8]], "calls of 2 inputs"),
        ([[3, 12, 8], [6]], r"in \(293,\)"),
        ([[3, 12, 8], [-5]], "one to three sizes"),
        ("rows", "one to three sizes"),
    ],
)
def test_json_of_other_inputs_is_refused(parts: Any, said: str) -> None:
    written = graph_json(adopt(built(Picture), SHAPES))
    written["input_parts"] = parts
    if parts is None:
        del written["input_parts"]
    with pytest.raises(AtollError, match=said):
        network_of_json(written)


def test_json_of_one_input_says_nothing_of_parts() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 2))
    assert "input_parts" not in graph_json(adopt(network, (3, 8, 8)))


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (SHAPES[::-1], r"does not run on inputs of 5 \(features\) and 12x8x3"),
        ((*SHAPES, (2, 2)), "does not run on inputs of"),
        (SHAPES[:1], r"does not run on images of 12x8x3"),
    ],
)
def test_other_inputs_than_its_own_are_refused(shapes: Any, said: str) -> None:
    with pytest.raises(AtollError, match=said):
        adopt(built(Picture), shapes)


def test_a_student_of_the_zoo_is_refused_for_it() -> None:
    (step,) = Recipe.parse("distill(student=compact_cnn)")
    with pytest.raises(AtollError, match="network of 2 inputs, allowed is none"):
        step.plan(adopt(built(Picture), SHAPES))


def test_a_file_of_torch_export_gives_it(tmp_path: Path) -> None:
    network, path = built(Picture), tmp_path / "net.pt2"
    sizes = ({0: Dim.DYNAMIC}, {0: Dim.DYNAMIC})
    save(export(network, given(2), dynamic_shapes=sizes, strict=False), path)
    adopted = adopt_exported(path)
    assert input_parts_of(adopted) == SHAPES
    with torch.no_grad():
        torch.testing.assert_close(adopted(*given()), network(*given()), rtol=0.0, atol=1e-6)
