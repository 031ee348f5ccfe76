"""A network run over images call by call: as far as a layer, and later on from there."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, fx, nn

from ..layers.norm import Norm
from ..layers.parts import split_row
from ..layers.program import run_call
from ..layers.statistics import measuring
from ..layers.structure import input_parts_of


class Walk:
    """One pass over all batches that stops where it is told; each of its values is a whole pass's.

    A layer that it has not come to may still change. What nobody reads any more is forgotten.

    Args:
        network: in evaluation mode, its activations on no grids.
        calls: of its forward.
        batches: of images, one after the other.
        measures: whether normalisations that it comes by measure their statistics anew over all batches, as
            `reestimate` does, and give what they give in training.
    """

    def __init__(
        self, network: nn.Module, calls: fx.Graph, batches: Sequence[Tensor], measures: bool = False
    ) -> None:
        self._network, self._measures = network, measures
        self._nodes = list(calls.nodes)
        self._place = 0
        self._values: list[dict[fx.Node, Any]] = [{} for _ in batches]
        self._images = sum(map(len, batches))
        self._inputs = [iter(split_row(batch, input_parts_of(network))) for batch in batches]
        last_reader = {source: node for node in self._nodes for source in node.all_input_nodes}
        self._forgotten: dict[fx.Node, list[fx.Node]] = defaultdict(list)
        for source, node in last_reader.items():
            self._forgotten[node].append(source)

    def to(self, node: fx.Node) -> Tensor:
        """Runs everything before a call and returns its first argument, [N, ...]."""
        self.advance(node)
        return torch.cat([values[node.all_input_nodes[0]] for values in self._values])

    def through(self, node: fx.Node) -> Tensor:
        """Runs everything up to a call, that too, and returns what it gives, [N, ...]."""
        self.advance(node)
        return torch.cat(self._run())

    def end(self) -> None:
        """Runs the rest."""
        self.advance(self._nodes[-1])

    def advance(self, node: fx.Node) -> None:
        """Runs everything before a call."""
        while self._nodes[self._place] is not node:
            self._run()

    @torch.no_grad()
    def _run(self) -> list[Any]:
        """Carries the next call out on every batch."""
        node = self._nodes[self._place]
        self._place += 1
        norm = self._network.get_submodule(str(node.target)) if node.op == "call_module" else None
        measured = (
            measuring([norm], self._images) if self._measures and isinstance(norm, Norm) else nullcontext()
        )
        with measured:
            found = [self._value(node, *one) for one in zip(self._values, self._inputs, strict=True)]
        for values, value in zip(self._values, found, strict=True):
            if node.users:
                values[node] = value
            for source in self._forgotten[node]:
                del values[source]
        return found

    def _value(self, node: fx.Node, values: dict[fx.Node, Any], inputs: Any) -> Any:
        if node.op == "placeholder":
            return next(inputs)
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
        return run_call(self._network, node, args, kwargs)
