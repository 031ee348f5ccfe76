"""Where grids go: on every tensor between integer kernels, once."""

import json
from copy import deepcopy

import torch
import torch.nn.functional as F
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.activation_grid import ActivationGrid
from atoll.spaces.layers.layer import Layer
from atoll.spaces.layers.norm import Norm
from atoll.spaces.layers.program import Program, ValueGrids
from atoll.spaces.layers.structure import apply_structure, named_layers, structure
from atoll.spaces.layers.tt_dense import TTDense
from atoll.spaces.quantization.activation_grids import place_grids
from torch import Tensor, nn


def placed(network: nn.Module, only: tuple[str, ...] = ()) -> dict[str, str]:
    """Returns which grids a module got: i(nput), o(utput), r for an output cut by a ReLU, s for stages."""
    copy = adopt(network, (1, 16, 16))
    layers = [layer for name, layer in named_layers(copy) if not only or name in only]
    place_grids(copy, layers, bits=8)
    found = {}
    for name, module in copy.named_modules():
        if isinstance(module, Layer | Norm):
            entry = getattr(module, "input_grid", None)
            out = module.output_grid
            marks = ("i" if isinstance(entry, ActivationGrid) else "") + (
                "" if out is None else "r" if out.rectified else "o"
            )
            found[name] = marks + "s" * (len(module.stage_grids) if isinstance(module, TTDense) else 0)
    return found


def test_the_papers_order(trained: dict[str, nn.Module]) -> None:
    """Norms behind ReLU are operations of their own; the one behind the dense layer is folded into it."""
    assert placed(trained["sequential"]) == {
        "conv1": "ir",
        "bn1": "o",
        "conv2": "r",
        "bn2": "o",
        "dense1": "",
        "bn3": "o",
        "dense2": "o",
    }


def values(network: nn.Module) -> dict[str, str]:
    """Returns how the values of a program are rounded: on which grid, and how unless its range follows."""
    assert isinstance(network, Program)
    roundings = network.value_grids.roundings
    return {name: r.grid if r.how == "followed" else f"{r.grid} {r.how}" for name, r in roundings.items()}


def test_a_shortcut(trained: dict[str, nn.Module]) -> None:
    """A network whose functions make values is a program: its values have the grids, its modules none."""
    network = deepcopy(trained["residual"])
    assert place_grids(network, [layer for _, layer in named_layers(network)], bits=8) == {}
    found = ["x", "relu", "relu_1", "bn2", "relu_2", "relu_3", "dense2"]
    assert values(network) == {name: name for name in found}
    assert set(placed(trained["residual"]).values()) == {""}


def test_a_float_layer_makes_islands(trained: dict[str, nn.Module]) -> None:
    """The sum of a float and an integer value is float; the layer behind puts a grid on what it reads."""
    network = deepcopy(trained["residual"])
    layers = [layer for name, layer in named_layers(network) if name != "pointwise"]
    place_grids(network, layers, bits=8)
    assert list(values(network)) == ["x", "relu", "relu_1", "relu_3", "dense2"]
    dense = network.get_submodule("dense1")
    assert isinstance(dense, Layer)
    assert dense.input_grid is not None


class Branches(nn.Module):
    """Branches side by side, an average over windows, a sigmoid beside them, and a value that two read."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(1, 8, 3, padding=1)
        self.two = nn.Conv2d(1, 8, 3, padding=1)
        self.head = nn.Conv2d(40, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        one, two = F.relu6(self.one(x)), self.two(x)
        one = torch.cat([one, F.leaky_relu(two), torch.sigmoid(two), F.avg_pool2d(one, 3, 1, 1)], 1)
        return self.head(torch.cat([one, two], 1)).mean((2, 3))


def test_concatenated_values_share_a_grid_and_averages_stay_on_theirs() -> None:
    network = adopt(Branches(), (1, 16, 16))
    assert place_grids(network, [layer for _, layer in named_layers(network)], bits=8) == {}
    assert values(network) == {
        "x": "x",
        "relu6": "cat_1 kept",
        "two": "cat_1 kept",
        "leaky_relu": "cat_1 kept",
        "sigmoid": "sigmoid",
        "avg_pool2d": "cat_1 averaged",
        "cat": "cat_1 kept",
        "cat_1": "cat_1",
        "head": "head",
        "mean": "mean",
    }
    grid = network.value_grids.grid_of("sigmoid")  # type: ignore[operator,union-attr]
    assert grid.scale_and_zero_point() == (1 / 256, -128)
    structured = adopt(Branches(), (1, 16, 16))
    apply_structure(structured, json.loads(json.dumps(structure(network))))
    assert structure(structured) == structure(network)
    assert structured.state_dict().keys() == network.state_dict().keys()


def test_what_has_no_integer_kernel_is_told() -> None:
    network = adopt(
        nn.Sequential(nn.Conv2d(1, 8, 3), nn.GroupNorm(2, 8), nn.Hardswish(), nn.Conv2d(8, 4, 1)), (1, 16, 16)
    )
    reasons = place_grids(network, [layer for _, layer in named_layers(network)], bits=8)
    assert reasons == {"1": "GroupNorm stays float: the runtime has no integer kernel for it"}
    assert list(values(network)) == ["input_1", "_0", "_3"]


def test_a_program_needs_one_forward_for_training_and_evaluation() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.one(x)
            return self.two(x + x if self.training else F.hardswish(x))

    network = adopt(Two(), (1, 16, 16)).eval()
    assert not isinstance(network, Program)
    reasons = place_grids(network, [layer for _, layer in named_layers(network)], bits=8)
    assert list(reasons.values()) == [
        "hardswish stays float: the network does another thing in training than in evaluation"
    ]


def test_a_second_step_keeps_the_grids_of_other_layers() -> None:
    network = adopt(Branches(), (1, 16, 16))
    one, two, head = (layer for _, layer in named_layers(network))
    place_grids(network, [one, two], bits=8)
    table = network.value_grids
    assert isinstance(table, ValueGrids)
    kept = table.grid_of("x")
    place_grids(network, [head], bits=8)
    assert table.grid_of("x") is kept
    assert values(network)["cat"] == "cat_1 kept"


def test_float_neighbours(trained: dict[str, nn.Module]) -> None:
    found = placed(trained["sequential"], only=("conv2",))
    assert {name: marks for name, marks in found.items() if marks} == {"conv2": "ir", "bn2": "o"}


def test_a_decomposed_layer_has_grids_between_its_stages_and_does_not_fold() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(256, 64), nn.BatchNorm1d(64), nn.Linear(64, 4))
    ours = adopt(network, (1, 16, 16))
    dense = ours.get_submodule("1")
    assert isinstance(dense, Layer)
    ours[1] = TTDense.of(dense.output_rows(), 4, count=3)
    place_grids(ours, [layer for _, layer in named_layers(ours)], bits=8)
    assert len(ours[1].stage_grids) == 2
    assert ours[1].output_grid is not None
    assert ours[2].output_grid is not None
    assert ours[3].input_grid is None
    assert ours(torch.zeros(2, 1, 16, 16)).shape == (2, 4)
