"""The network as an ExecuTorch program, run by its runtime beside it."""

from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor

from ...spaces.errors import AtollError
from ..plain_network.network import plain_network
from ..plain_network.pairs import carried_on
from .delivery import Form, Source, compare, example_of, require
from .quiet import quiet

_WHAT = "--also executorch"


class ExecutorchFile:
    """`model.pte`."""

    name = "executorch"
    file = "model.pte"
    beside: tuple[str, ...] = ()
    packages: tuple[str, ...] = ("executorch", "torch")
    #: its runtime takes addresses and kernels' parameters from the file unchecked
    risk = "its format can run code"

    def check(self) -> None:
        """Looks for the package of the extra `executorch`."""
        require(_WHAT, "executorch", "executorch.runtime", "executorch.exir")

    def write(self, folder: Path, source: Source) -> str:
        """Writes the program.

        What XNNPACK takes is delegated to it; where that fails or gives other numbers, portable kernels run
        all (1.5.1 cuts some graphs with branches into parts that need each other).

        Raises:
            AtollError: the network cannot be written at all.
        """
        kernels = "XNNPACK, portable kernels for the rest"
        try:
            (folder / self.file).write_bytes(_program(source, delegate=True))
            self.measure(folder, source)
        except AtollError:
            kernels = "portable kernels alone, for XNNPACK's fail with it"
            (folder / self.file).write_bytes(_program(source, delegate=False))
        return (
            "trained integers in 8 bits with their scales, the trained grids of activations, other weights "
            f"as float; {kernels}"
        )

    def measure(self, folder: Path, source: Source) -> dict[str, Any]:
        """Runs the program beside the network."""
        with quiet(_WHAT):
            from executorch.runtime import Runtime

            _register_kernels()
            method = Runtime.get().load_program(folder / self.file).load_method("forward")

            def run(image: Tensor) -> tuple[Tensor, ...]:
                return tuple(output.clone() for output in method.execute([image]))

            return compare(self.file, run, source, runtime="executorch")


def _program(source: Source, delegate: bool) -> bytes:
    with quiet(_WHAT):
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        _register_kernels()
        program = carried_on(plain_network(source.network, "pairs"), example_of(source))
        partitioners = [XnnpackPartitioner()] if delegate else []
        return bytes(to_edge_transform_and_lower(program, partitioner=partitioners).to_executorch().buffer)


def _register_kernels() -> None:
    """Makes the kernels of pairs known, to the writer and to the runtime."""
    import_module("executorch.kernels.quantized")


FORM: Form = ExecutorchFile()
