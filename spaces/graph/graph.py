"""The graph of a network: its operations in the order of execution, and who reads whose value."""

from dataclasses import dataclass, field

from torch import Tensor, nn

from ..errors import AtollError
from ..layers.activation_grid import ActivationGrid
from ..operations.moves import BATCH, Move, Shape


@dataclass(frozen=True)
class Operation:
    """One operation of the network.

    Args:
        name: name of the value that it makes, unique.
        kind: a key of the table of kinds (`operations/kinds.py`), one of its `MOVES`, `input`, `parameter`,
            `output`, or `other`.
        path: dotted name of the module, empty for functions.
        module: the module that runs; for functions with settings one that does the same, else None.
        inputs: names of the values that it reads, in the order of its arguments.
        shape: shape of its value without the batch: (C, H, W), (features,), (positions, features), ….
        described: what it is, for messages about kinds that are not supported.
        rigid: whether the network's code names the number of channels of its result.
        numbers: what two values are combined of: numbers, and None for each of `inputs`; or the bounds of
            what is cut off, None for none.
        grids: what its value is rounded to as it is made, one after the other.
        constant: the value itself where it is made of parameters and buffers alone, as it meets a batch of
            values: with the batch's axis or without.
        moves: what it does to the values where it leaves them as they are, one after the other.
        axes: without the batch, along which it joins values or over which it averages.
    """

    name: str
    kind: str
    path: str
    module: nn.Module | None
    inputs: tuple[str, ...]
    shape: Shape
    described: str = ""
    rigid: bool = False
    numbers: tuple[float | None, ...] = ()
    grids: tuple[ActivationGrid, ...] = ()
    constant: Tensor | None = field(default=None, compare=False)
    moves: tuple[Move, ...] = ()
    axes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Graph:
    """Operations in the order of execution."""

    operations: tuple[Operation, ...]
    _by_name: dict[str, Operation] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        self._by_name.update({operation.name: operation for operation in self.operations})

    def __getitem__(self, name: str) -> Operation:
        return self._by_name[name]

    def consumers(self, name: str) -> list[Operation]:
        """Returns the operations that read a value."""
        return [operation for operation in self.operations if name in operation.inputs]

    def only_reader(self, operation: Operation) -> Operation | None:
        """Returns the operation that alone reads another one's value, None where there are others."""
        readers = self.consumers(operation.name)
        return readers[0] if len(readers) == 1 else None

    def input_shapes(self, operation: Operation) -> list[Shape]:
        """Returns the shapes of the values that an operation reads."""
        return [self[name].shape for name in operation.inputs]

    def constant_as_read(self, operation: Operation) -> Tensor | None:
        """Returns a constant with as many axes as the computed values that it meets, without the batch's.

        None where it meets none, so that nothing of it runs.

        Raises:
            AtollError: it is returned, or has more axes than they.
        """
        readers = [one for one in self.consumers(operation.name) if one.constant is None]
        beside = [self[name] for reader in readers for name in reader.inputs]
        axes = max((len(one.shape) for one in beside if one.constant is None), default=0)
        found = operation.constant
        if not readers or found is None:
            return None
        while found.dim() > axes and found.shape[0] in (1, BATCH):
            found = found[0]  # the same for every image, or it would not meet any number of them
        if found.dim() > axes or any(reader.kind == "output" for reader in readers):
            raise AtollError(f"{operation.described} is read otherwise than beside a value of the images")
        if readers[0].kind == "prelu":  # a slope a channel
            return found.reshape(-1, *[1] * (axes - 1))
        return found.reshape(*[1] * (axes - found.dim()), *found.shape)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the values that the network returns, in its order."""
        return self.operations[-1].inputs
