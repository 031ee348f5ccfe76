"""Two tiny networks and a tiny world to compress them in."""

from collections.abc import Callable

import pytest
import torch
from atoll.spaces.graph.adopt import adopt
from atoll.testing import Residual, World, bars_world, sequential
from atoll.testing.worlds import INPUT_SHAPE
from torch import nn

NETWORKS: dict[str, Callable[[], nn.Module]] = {"sequential": sequential, "residual": Residual}


@pytest.fixture(scope="session")
def trained() -> dict[str, nn.Module]:
    """The tiny networks, adopted and trained a little; nobody may change them."""
    networks = {}
    for name, build in NETWORKS.items():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = adopt(build(), INPUT_SHAPE)
        bars_world(None, epochs=6).fit(network)
        networks[name] = network
    return networks


@pytest.fixture(params=list(NETWORKS))
def network(request: pytest.FixtureRequest, trained: dict[str, nn.Module]) -> nn.Module:
    """Each of the tiny networks in turn."""
    return trained[request.param]


@pytest.fixture(scope="session")
def new_world() -> type[World]:
    """A world of any images: see `World`."""
    return World


@pytest.fixture(scope="session")
def new_context() -> Callable[..., World]:
    """The tiny world of bars: call it with the teacher, and a seed or epochs."""
    return bars_world
