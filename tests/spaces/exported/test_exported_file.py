"""Networks from files of torch.export: as the network that was exported, with its names."""

from pathlib import Path
from typing import Any

import pytest
import torch
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt_exported
from atoll.spaces.layers.conv import Conv
from atoll.spaces.layers.norm import Norm
from atoll.spaces.layers.structure import input_shape_of
from torch import Tensor, nn
from torch.export import Dim, export, save

SHAPE = (4, 8, 8)


class Network(nn.Module):
    """A block with a norm, parts of channels, two outputs, a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
        self.head = nn.Linear(3 * 36, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.block(x) + torch.tensor(0.5)
        left, right = x.chunk(2, 1)
        return {"classes": self.head(left.reshape(x.shape[0], -1)), "maps": right}


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Not to be changed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network().eval()


def written(network: nn.Module, path: Path, shapes: Any) -> Path:
    images = (torch.rand(2, *SHAPE),)
    save(export(network, images, dynamic_shapes=shapes, strict=False), path)
    return path


def test_the_network_of_a_file_is_the_one_that_was_exported(network: nn.Module, tmp_path: Path) -> None:
    adopted = adopt_exported(written(network, tmp_path / "net.pt2", ({0: Dim.DYNAMIC},)))
    assert input_shape_of(adopted) == SHAPE
    assert type(adopted.get_submodule("block.0")) is Conv
    assert type(adopted.get_submodule("block.1")) is Norm
    images = torch.rand(5, *SHAPE)
    with torch.no_grad():
        found, wanted = adopted.eval()(images), network(images)
    for name in ("classes", "maps"):
        torch.testing.assert_close(found[name], wanted[name], rtol=0.0, atol=1e-6)


def test_what_is_no_such_file_is_told(network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    path.write_bytes(b"nothing")
    with pytest.raises(AtollError, match=r"net\.pt2 is no file of torch\.export\.save that this"):
        adopt_exported(path)
    with pytest.raises(
        AtollError, match=r"allowed is any number of images of one size; export it with torch"
    ):
        adopt_exported(written(network, path, None))
