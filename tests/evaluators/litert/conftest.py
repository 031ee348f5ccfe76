"""What files of many kinds of networks are held against: the network itself, and its plan."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from atoll.evaluators.litert.lower import lower
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.hw_models.tables.file_table import layer_table_of
from atoll.hw_models.tables.network_table import layer_table
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.structure import input_shape_of, to_meta
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import World
from torch import Tensor, nn

Compressed = Callable[[nn.Module, Tensor, str], nn.Module]
Written = Callable[..., bytes]


def channels_last(values: Tensor) -> Tensor:
    """Maps, or sequences, as files have them."""
    return values.movedim(1, -1)


@pytest.fixture
def compressed() -> Compressed:
    """Adopts a network for images of some shape and applies a recipe without training."""

    def made(network: nn.Module, images: Tensor, recipe: str) -> nn.Module:
        model = adopt(network.eval(), tuple(images.shape[1:])).eval()
        for step in Recipe.parse(recipe):
            model, _ = step.apply(model, World(images, torch.arange(len(images)) % 5, None, epochs=0))
        return model.eval()

    return made


@pytest.fixture
def written() -> Written:
    """Writes a network's file and holds outputs, planned operators and predicted size against it."""

    def checked(
        network: nn.Module, images: Tensor, steps: float = 1.01, share: float = 0.1, dynamic: bool = False
    ) -> bytes:
        """Returns the file; a share of its integers may be off, by so many steps of the output's grid.

        The plain kernels round activations otherwise as they run: `dynamic` is held with XNNPACK alone.
        """
        shape = input_shape_of(network)
        content = lower(network, shape)
        with torch.no_grad():
            wanted = channels_last(network(images)).numpy()
        for delegate in (True,) if dynamic else (True, False):
            runner = LiteRtRunner(content, delegate=delegate)
            found, grid = runner.run(channels_last(images).numpy()), runner.output_grid
            off = np.abs(found - wanted)
            assert off.max() <= (1e-5 * np.ptp(wanted) if grid is None else steps * grid.scale)
            assert grid is None or (off > 0.5 * grid.scale).mean() < share
        plan, file = layer_table(network, shape), layer_table_of(TfliteFile.parse(content), "file")
        rows, others = ([(row.cost, row.live_bytes) for row in table.rows] for table in (plan, file))
        assert rows == others
        assert len(lower(to_meta(network), shape)) == len(content)
        return content

    return checked
