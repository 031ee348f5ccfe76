"""What a file of weights tells, against networks whose shapes are known."""

from pathlib import Path

import pytest
import torch
from atoll.search.first_steps.found_weights import look_at_weights
from atoll.spaces.networks import build_network
from safetensors.torch import save_file
from torch import nn


def state(name: str, classes: int, shape: tuple[int, ...]) -> dict[str, torch.Tensor]:
    return dict(build_network(name, classes, shape).state_dict())


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
@pytest.mark.parametrize(
    ("name", "shape", "channels"),
    [
        ("resnet8", (3, 32, 32), 3),
        ("torchvision_mobilenet_v2", (3, 32, 32), 3),
        ("squeezenet", (1, 32, 32), None),
    ],
)
def test_of_the_zoo(
    name: str, shape: tuple[int, ...], channels: int | None, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"weights.{ending}"
    tensors = state(name, 7, shape)
    if ending == "pt":
        torch.save({"model": tensors}, path)
    else:
        save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    found = look_at_weights(path)
    # no order, no telling name, and concatenations: better no answer than a wrong one
    told = None if (name, ending) == ("squeezenet", "safetensors") else 7
    assert (found.tensors, found.classes) == (len(tensors), told)
    assert channels is None or found.channels == channels
    assert found.weights == sum(tensor.numel() for tensor in tensors.values())


def test_layers_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    layers = [nn.Conv2d(4, 16, 3), *(nn.Conv2d(16, 16, 3) for _ in range(10)), nn.Linear(16, 5)]
    path = tmp_path / "weights.safetensors"
    save_file(nn.Sequential(*layers).state_dict(), path)  # as text, 10 and 11 come before 2
    found = look_at_weights(path)
    assert (found.channels, found.classes, found.last) == (4, 5, "11")


def test_a_network_of_dense_layers_has_no_channels(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 3)).state_dict(), path)
    found = look_at_weights(path)
    assert (found.channels, found.classes, found.last) == (None, 3, "1")
