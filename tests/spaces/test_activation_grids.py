"""Where grids go: on every tensor between integer kernels, once."""

import torch
from atoll.spaces.activation_grids import place_grids
from atoll.spaces.layers.activation_grid import ActivationGrid
from atoll.spaces.layers.layer import Layer
from atoll.spaces.layers.norm import Norm
from atoll.spaces.layers.structure import adopt, named_layers
from atoll.spaces.layers.tt_dense import TTDense
from torch import nn


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


def test_a_shortcut(trained: dict[str, nn.Module]) -> None:
    """The sum comes from no kernel with a grid: who reads it puts one there."""
    assert placed(trained["residual"]) == {
        "stem": "ir",
        "depthwise": "",
        "bn1": "r",
        "pointwise": "",
        "bn2": "o",
        "dense1": "ir",
        "dense2": "o",
    }


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
