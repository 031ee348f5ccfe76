"""The network as a `torch.export` program: torch alone runs it, without Atoll."""

import io
from pathlib import Path
from typing import Any

import torch

from ..plain_network.network import plain_network
from ..plain_network.pairs import without_origin
from .delivery import Form, Source, compare, example_of
from .quiet import quiet

_WHAT = "--also torch_export"


class TorchProgram:
    """`model.pt2`."""

    name = "torch_export"
    file = "model.pt2"
    beside: tuple[str, ...] = ()
    packages: tuple[str, ...] = ("torch",)
    #: `torch.export.load` unpickles
    risk = "its format can run code"

    def check(self) -> None:
        """Nothing beyond Atoll itself is needed."""

    def write(self, folder: Path, source: Source) -> str:
        """Writes the program."""
        content = io.BytesIO()
        with quiet(_WHAT):
            network = plain_network(source.network, "arithmetic")
            program = torch.export.export(network, (example_of(source),))
            torch.export.save(without_origin(program), content)
        (folder / self.file).write_bytes(content.getvalue())
        return (
            "effective weights, integers in 8 bits with their scales and others as float; the trained grids "
            "of activations as arithmetic"
        )

    def measure(self, folder: Path, source: Source) -> dict[str, Any]:
        """Reads the program back and runs it beside the network."""
        with quiet(_WHAT):
            module = torch.export.load(folder / self.file).module()
            return compare(self.file, module, source, runtime="torch")


FORM: Form = TorchProgram()
