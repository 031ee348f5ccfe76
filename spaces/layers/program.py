"""A network as the list of its calls, so that every value that it computes can carry a grid."""

import operator
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor, fx, nn

from .activation_grid import ActivationGrid
from .parts import Parts, split_row

#: `followed`: the grid's range follows the value; `constant`: the same, of a value that is no batch; `kept`:
#: the value takes a grid whose range follows another one; `averaged`: the same, and halves are rounded away
#: from zero, as integer average pooling rounds them
How = Literal["followed", "constant", "kept", "averaged"]


@dataclass(frozen=True)
class Rounding:
    """How a value is rounded: on which of the program's grids, and how."""

    grid: str
    how: How = "followed"


class ValueGrids(nn.Module):
    """The grids of a program's values; several values may share one."""

    type_name = "value_grids"

    def __init__(self) -> None:
        super().__init__()
        self.grids = nn.ModuleDict()
        #: value -> how it is rounded
        self.roundings: dict[str, Rounding] = {}

    def put(self, roundings: dict[str, Rounding], grids: dict[str, ActivationGrid]) -> None:
        """Puts values on grids, instead of what was.

        Args:
            roundings: by the names of the values.
            grids: by the names in `roundings`.
        """
        self.roundings = roundings
        self.grids = nn.ModuleDict({_key(name): grid for name, grid in grids.items()})

    def grid_of(self, value: str) -> ActivationGrid | None:
        """Returns the grid that a value is put on."""
        return self.grid_named(self.roundings[value].grid) if value in self.roundings else None

    def grid_named(self, name: str) -> ActivationGrid | None:
        """Returns the grid of that name, None where there is none."""
        grid = dict(self.grids.items()).get(_key(name))
        return grid if isinstance(grid, ActivationGrid) else None

    def forward(self, name: str, value: Any) -> Any:
        grid = self.grid_of(name)
        if grid is None:
            return value
        how = self.roundings[name].how
        if how == "constant":
            return grid(value[None])[0]
        return grid(value) if how == "followed" else grid.rounded(value, halves_away=how == "averaged")

    def spec(self) -> dict[str, Any]:
        """Returns the structure as plain JSON; `from_spec` reads it."""
        names = dict.fromkeys(rounding.grid for rounding in self.roundings.values())
        found = {name: self.grids[_key(name)] for name in names}
        return {
            "type": self.type_name,
            "grids": {name: grid.spec() for name, grid in found.items() if isinstance(grid, ActivationGrid)},
            "values": {name: [rounding.grid, rounding.how] for name, rounding in self.roundings.items()},
        }

    @classmethod
    def from_spec(cls, spec: dict[str, Any], device: torch.device) -> Self:
        """Returns the structure again, ranges not filled."""
        grids = {name: ActivationGrid(**own, device=device) for name, own in spec["grids"].items()}
        table = cls()
        table.put({name: Rounding(grid, how) for name, (grid, how) in spec["values"].items()}, grids)
        return table


def _key(name: str) -> str:
    return f"of_{name}"  # a module's own attributes (`values`, `half`) are no names for its parts


class Program(nn.Module):
    """Runs a network's calls one after the other; modules, parameters and their names are the network's own.

    Args:
        network: gives the modules, parameters and buffers.
        calls: in the order of execution; every module that they call is run as a whole.

    With several inputs it takes them one by one, or as one row (`parts`).
    """

    #: shapes of its inputs where it has several
    input_parts: Parts = ()

    def __init__(self, network: nn.Module, calls: fx.Graph) -> None:
        super().__init__()
        self._modules.update(network._modules)
        self._parameters.update(network._parameters)
        self._buffers.update(network._buffers)
        self._non_persistent_buffers_set = set(network._non_persistent_buffers_set)
        self.training = network.training
        self.calls = calls
        self.value_grids = ValueGrids()

    def forward(self, *images: Tensor) -> Any:
        inputs = iter(split_row(*images, self.input_parts) if len(images) == 1 else images)
        values: dict[fx.Node, Any] = {}
        left = {node: len(node.users) for node in self.calls.nodes}  # readers that have not run yet
        for node in self.calls.nodes:
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
            if node.op == "output":
                return args[0]
            value = next(inputs) if node.op == "placeholder" else run_call(self, node, args, kwargs)
            values[node] = self.value_grids(node.name, value)
            for source in node.all_input_nodes:
                left[source] -= 1
                if not left[source]:
                    del values[source]
        raise RuntimeError("the calls return nothing")


def run_call(network: nn.Module, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Carries out one call of a network with the values of its arguments."""
    target: Any = node.target
    if node.op == "call_module":
        return network.get_submodule(target)(*args, **kwargs)
    if node.op == "call_function":
        return target(*args, **kwargs)
    if node.op == "call_method":
        return getattr(args[0], target)(*args[1:], **kwargs)
    return operator.attrgetter(target)(network)  # a parameter, a buffer, or the mode
