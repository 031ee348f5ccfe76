"""What layers read and give while those before them are mended, one after the other."""

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor, fx, nn

from ..graph.tracing import calls_of, writes_over_input
from ..graph.walk import Walk
from ..layers.activation_grid import ActivationGrid
from ..layers.layer import Layer
from ..layers.norm import Norm
from ..layers.statistics import layer_inputs, reestimate, statistics_batches
from ..layers.structure import running_parts


class Passes(Protocol):
    """Passes of images through a network with all its channels and one that lost some, in evaluation.

    Layers are asked for in the order of execution. What they read is what those before them give by then,
    with statistics of normalisations that were measured behind each that was mended.
    """

    def at(self, path: str) -> tuple[Tensor, Tensor]:
        """Returns what a layer reads after, and what it gave before, [N, ...] each."""

    def mended(self) -> None:
        """Hears that the layer last asked for is another one now."""

    def end(self) -> None:
        """Leaves all statistics measured."""


def passes_over(before: nn.Module, after: nn.Module, images: Tensor) -> Passes:
    """Returns passes over both networks: in stages where each layer is called once, else whole ones.

    Args:
        before: the network with all its channels.
        after: without some, its structure whole; left in evaluation mode.
        images: float32 [N, C, H, W].
    """
    before.eval()
    after.eval()
    calls = calls_of(before), calls_of(after)
    in_stages = all(map(_in_stages, (before, after), calls))
    return Stages(before, after, images, *calls) if in_stages else Whole(before, after, images)


def _in_stages(network: nn.Module, calls: fx.Graph) -> bool:
    """Whether whatever is measured of a network is complete when its calls have come by.

    Not where a layer is called twice, grids follow several values, or a value is written over.
    """
    modules = dict(network.named_modules(remove_duplicate=False))
    if any(isinstance(module, ActivationGrid) for module in modules.values()):
        return False
    if any(writes_over_input(node, modules.get(str(node.target))) for node in calls.nodes):
        return False
    called = [id(modules[path]) for path, _ in _layer_calls(network, calls)]
    norms = {id(part) for _, part in running_parts(network) if isinstance(part, Norm)}
    return len(called) == len({*called}) and norms <= {*called}


def _layer_calls(network: nn.Module, calls: fx.Graph) -> Iterator[tuple[str, fx.Node]]:
    modules = dict(network.named_modules(remove_duplicate=False))
    for node in calls.nodes:
        path = str(node.target)
        if node.op == "call_module" and isinstance(modules[path], Layer | Norm):
            yield path, node


class Whole:
    """A pass through the whole network for everything that is asked."""

    def __init__(self, before: nn.Module, after: nn.Module, images: Tensor) -> None:
        self._before, self._after, self._images = before, after, images
        self.mended()

    def at(self, path: str) -> tuple[Tensor, Tensor]:
        _, gave = layer_inputs(self._before, self._before.get_submodule(path), self._images)
        reads, _ = layer_inputs(self._after, self._after.get_submodule(path), self._images)
        return reads, gave

    def mended(self) -> None:
        reestimate(self._after, self._images)

    def end(self) -> None:
        pass


class Stages:
    """Three passes in all, each of which waits before a layer until that is mended.

    Nothing that runs before a layer depends on it, so every value is that of a whole pass.
    """

    def __init__(
        self, before: nn.Module, after: nn.Module, images: Tensor, calls: fx.Graph, calls_after: fx.Graph
    ) -> None:
        batches = statistics_batches(images)
        self._nodes = dict(_layer_calls(before, calls)), dict(_layer_calls(after, calls_after))
        self._before = Walk(before, calls, batches)
        self._measured = Walk(after, calls_after, batches, measures=True)
        self._after = Walk(after, calls_after, batches)

    def at(self, path: str) -> tuple[Tensor, Tensor]:
        node_before, node = (nodes[path] for nodes in self._nodes)
        self._measured.advance(node)
        return self._after.to(node), self._before.through(node_before)

    def mended(self) -> None:
        pass

    def end(self) -> None:
        self._measured.end()
