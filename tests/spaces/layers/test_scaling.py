"""What makes of stored inputs what a network takes."""

from copy import deepcopy

import pytest
import torch
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.scaling import IMAGENET, PIXELS, Scaling
from atoll.spaces.layers.structure import scaling_of, to_meta
from atoll.spaces.networks import build_network
from atoll.spaces.recipes.recipe import Recipe


def test_bytes_become_minus_one_to_one() -> None:
    scaled = PIXELS.to_network(torch.tensor([[0, 51, 255]], dtype=torch.uint8))
    torch.testing.assert_close(scaled, torch.tensor([[-1.0, -0.6, 1.0]]))


def test_imagenets_is_torchvisions_formula() -> None:
    pixels = torch.randint(
        0, 256, (2, 3, 5, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    torch.testing.assert_close(IMAGENET.to_network(pixels), (pixels.float() / 255 - mean) / std)


@pytest.mark.parametrize("shape", [(4, 2), (4, 2, 6), (4, 2, 3, 3)])
@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.float32])
def test_every_channel_has_its_own(shape: tuple[int, ...], kind: torch.dtype) -> None:
    stored = torch.full(shape, 12.0).to(kind)
    before = stored.clone()
    scaled = Scaling((10.0, 20.0), (2.0, 4.0)).to_network(stored)
    assert scaled[:, 0].unique().tolist() == [1.0] and scaled[:, 1].unique().tolist() == [-2.0]
    assert torch.equal(stored, before)


def test_json_gives_it_back() -> None:
    assert Scaling.from_json(IMAGENET.to_json()) == IMAGENET


@pytest.mark.parametrize(
    ("mean", "std", "said"),
    [
        ((0.0,), (0.0,), "deviations above 0"),
        ((float("nan"),), (1.0,), "finite"),
        ((0.0, 0.0), (1.0,), "2 means and 1 standard"),
        ((), (), "0 means"),
    ],
)
def test_no_scaling(mean: tuple[float, ...], std: tuple[float, ...], said: str) -> None:
    with pytest.raises(AtollError, match=said):
        Scaling(mean, std)


@pytest.mark.parametrize("value", [{}, {"mean": "12", "std": [1]}, {"mean": [True], "std": [1.0]}])
def test_foreign_json_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(AtollError, match="allowed are lists of numbers"):
        Scaling.from_json(value)


def test_an_adopted_network_keeps_it_through_every_step() -> None:
    with torch.device("meta"):
        network = adopt(build_network("compact_cnn", 4, (3, 16, 16)), (3, 16, 16), IMAGENET)
    recipe = Recipe.parse("prune_channels(ratio=0.5) -> quantize(bits=8)")
    for step in recipe:
        network = step.plan(network)
    assert scaling_of(network) == scaling_of(deepcopy(network)) == scaling_of(to_meta(network)) == IMAGENET


@pytest.mark.parametrize("scaling", [Scaling((0.0,) * 2, (1.0,) * 2), Scaling((0.0,), (1.0,), (2**40,))])
def test_one_for_other_channels_is_refused_where_a_network_is_adopted(scaling: Scaling) -> None:
    network = build_network("compact_cnn", 4, (3, 16, 16))
    with pytest.raises(AtollError, match=f"one for {scaling.channels} channels, allowed is one for the 3 of"):
        adopt(network, (3, 16, 16), scaling)


def test_runs_spread_each_over_neighbouring_values() -> None:
    stored = torch.tensor([[10.0, 12.0, 20.0, 28.0, 1.0]])
    scaling = Scaling((10.0, 20.0, 0.0), (2.0, 4.0, 1.0), (2, 2, 1))
    assert scaling.to_network(stored).tolist() == [[0.0, 1.0, 0.0, 2.0, 1.0]]
    assert scaling.channels == 5 and Scaling.from_json(scaling.to_json()) == scaling


@pytest.mark.parametrize("runs", [(2,), (2, 0), (1, 1, 1)])
def test_runs_are_as_many_as_means(runs: tuple[int, ...]) -> None:
    with pytest.raises(AtollError, match="runs of 2 means"):
        Scaling((0.0, 0.0), (1.0, 1.0), runs)


@pytest.mark.parametrize("scaling", [Scaling((1.0,), (1.0,), (10**15,)), Scaling((1.0,) * 3, (1.0,) * 3)])
def test_channels_that_inputs_have_not_take_no_memory(scaling: Scaling) -> None:
    with pytest.raises(AtollError, match=f"inputs of 1 channels, allowed are its {scaling.channels:,}"):
        scaling.to_network(torch.zeros(2, 1, 4, 4))
