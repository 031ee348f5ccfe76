"""Which values of a network are integers, and on which value's grid each of them is."""

from collections.abc import Collection

from ..graph.fusion import fuses
from ..graph.graph import Graph, Operation
from ..layers.bits import FLOAT_BITS
from ..layers.layer import Layer
from ..operations.integer_kernels import hands_on, has_integer_kernel


class GridFlow:
    """Follows grids through a graph.

    A layer on integers makes a value on a grid. An operation goes on with integers where all that it reads
    are integers, there is a kernel, and somebody behind it works with them; normalisations do in any case.

    Args:
        graph: of the network.
        functions: whether operations other than layers and normalisations can have grids (in a `Program`).

    Attributes:
        carrier: value on a grid -> the value whose grid that is, for most their own.
        maker: value with a grid of its own -> the operation that makes it, before a normalisation that is
            folded into it and an activation that is fused.
    """

    def __init__(self, graph: Graph, functions: bool) -> None:
        self.graph, self.functions = graph, functions
        self.carrier: dict[str, str] = {}
        self.maker: dict[str, Operation] = {}
        self._needed: set[str] = set()
        images = {one.name for one in graph.operations if functions and one.kind == "input"}
        self._follow(images)
        while mixed := {name for name in images if not self._all_integer(graph[name])}:
            images -= mixed
            self._follow(images)

    def _follow(self, images: Collection[str]) -> None:
        self.carrier, self.maker = {}, {}
        for operation in self.graph.operations:
            self._visit(operation, images)
        self._needed = self._read_as_integers()
        unread = {name for name, maker in self.maker.items() if not self._stays(name, maker)}
        self.maker = {name: maker for name, maker in self.maker.items() if name not in unread}
        self.carrier = {name: own for name, own in self.carrier.items() if own not in unread}

    def _visit(self, operation: Operation, images: Collection[str]) -> None:
        name, module = operation.name, operation.module
        if name in images:
            self._carries(name, operation)
        elif isinstance(module, Layer):
            if module.activation_bits < FLOAT_BITS:
                self._carries(name, operation)
        elif operation.inputs and all(source in self.carrier for source in operation.inputs):
            source = self.graph[operation.inputs[0]]
            if fuses(self.graph, operation):
                self._takes_over(name, source.name)
            elif hands_on(operation.kind, module):
                self.carrier[name] = self.carrier[source.name]
            elif self._has_kernel(operation):
                self._carries(name, operation)
        elif self._constants(operation) and self._has_kernel(operation):
            for constant in self._constants(operation):
                self._carries(constant.name, constant)
            self._carries(name, operation)

    def _constants(self, operation: Operation) -> list[Operation]:
        """Returns what an operation reads of parameters, where all else that it reads is on grids."""
        read = [self.graph[name] for name in operation.inputs if name not in self.carrier]
        alone = len({one.name for one in read}) == len(set(operation.inputs))
        return [] if alone or any(one.constant is None for one in read) else read

    def _carries(self, name: str, maker: Operation) -> None:
        self.carrier[name] = name
        self.maker[name] = maker

    def _takes_over(self, name: str, source: str) -> None:
        """The grid lies behind an operation that the kernel before it carries out too."""
        self._carries(name, self.maker.pop(source))
        self.carrier.update({value: name for value, own in self.carrier.items() if own == source})

    def _has_kernel(self, operation: Operation) -> bool:
        known = (operation.kind, operation.module, operation.numbers, operation.shape)
        return operation.kind == "norm" or (self.functions and has_integer_kernel(*known))

    def _stays(self, name: str, maker: Operation) -> bool:
        return maker.kind in ("layer", "norm") or name in self._needed

    def _read_as_integers(self) -> set[str]:
        """Returns the values that the network returns, or that an integer kernel reads."""
        needed: set[str] = set()
        for operation in reversed(self.graph.operations):
            if operation.kind == "output" or self._is_integer(operation, needed):
                needed.update(operation.inputs)
        return needed

    def _is_integer(self, operation: Operation, needed: set[str]) -> bool:
        if isinstance(operation.module, Layer):
            return operation.module.activation_bits < FLOAT_BITS
        return operation.name in self.carrier and (operation.name in needed or operation.kind == "norm")

    def _all_integer(self, operation: Operation) -> bool:
        """Whether all who read a value work with integers."""
        for reader in self.graph.consumers(operation.name):
            if not self._is_integer(reader, self._needed):
                return False
            if hands_on(reader.kind, reader.module) and not self._all_integer(reader):
                return False
        return True

    def stays_float(self) -> dict[str, str]:
        """Returns why operations on integers stay float although integers are wanted behind them, by name."""
        found = {}
        wanted = self._wanted()
        for operation in self.graph.operations:
            known = [name for name in operation.inputs if self.graph[name].kind != "parameter"]
            integers = known and all(name in self.carrier for name in known)
            if integers and operation.name in wanted and operation.name not in self.carrier:
                what = operation.described or operation.kind
                found[operation.path or operation.name] = f"{what} stays float: {self._reason(operation)}"
        return found

    def _wanted(self) -> set[str]:
        """Returns the values without layers' of which something is made that is wanted as integers."""
        wanted: set[str] = set()
        for operation in reversed(self.graph.operations):
            makes = operation.name in wanted and not isinstance(operation.module, Layer)
            if makes or operation.kind == "output" or self._is_integer(operation, wanted):
                wanted.update(operation.inputs)
        return {name for name in wanted if not isinstance(self.graph[name].module, Layer)}

    def _reason(self, operation: Operation) -> str:
        known = (operation.kind, operation.module, operation.numbers, operation.shape)
        if not self.functions and has_integer_kernel(*known):
            return "the network does another thing in training than in evaluation"
        return "the runtime has no integer kernel for it"
