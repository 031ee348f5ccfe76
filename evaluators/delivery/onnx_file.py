"""The network as ONNX, run by onnxruntime beside it."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..plain_network.network import plain_network
from ..plain_network.pairs import carried_on
from .delivery import Form, Source, compare, example_of, require
from .onnx_types import ROUNDED_INPUTS, fit_types, rounds_inputs
from .quiet import quiet

_WHAT = "--also onnx"


class OnnxFile:
    """`model.onnx`."""

    name = "onnx"
    file = "model.onnx"
    beside: tuple[str, ...] = ()
    packages: tuple[str, ...] = ("onnx", "onnxscript", "onnxruntime")
    #: external data: paths in the file; and its runtime runs loops and kernels in this process unbounded
    risk = "its format can name files to read"

    def check(self) -> None:
        """Looks for the packages of the extra `onnx`."""
        require(_WHAT, "onnx", *self.packages)

    def write(self, folder: Path, source: Source) -> str:
        """Writes the ONNX file."""
        with quiet(_WHAT):
            exported = carried_on(plain_network(source.network, "pairs"), example_of(source))
            count = len(exported.graph_signature.user_outputs)
            names = ["logits"] if count == 1 else [f"output_{position}" for position in range(count)]
            program: Any = torch.onnx.export(
                exported, (), dynamo=True, verbose=False, input_names=["image"], output_names=names
            )
            _forget_origin(program.model)
            fit_types(program.model)
            condition = f"; {ROUNDED_INPUTS}" if rounds_inputs(program.model) else ""
            content = io.BytesIO()
            program.save(content)
        (folder / self.file).write_bytes(content.getvalue())
        return (
            "QDQ: trained integers with their scales, up to 4 bits as int4, others as int8 or, where x86 "
            "processors without VNNI would clamp their products, uint8; the trained grids of activations as "
            f"uint8; other weights as float{condition}"
        )

    def measure(self, folder: Path, source: Source) -> dict[str, Any]:
        """Runs the file beside the network."""
        with quiet(_WHAT):
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            session = onnxruntime.InferenceSession(
                folder / self.file, options, providers=["CPUExecutionProvider"]
            )

            def run(image: Tensor) -> tuple[Tensor, ...]:
                return tuple(map(torch.from_numpy, session.run(None, {"image": image.numpy()})))

            return compare(self.file, run, source, runtime="onnxruntime")


def _forget_origin(model: Any) -> None:
    """Drops from an ONNX model where in the source every node came from: paths of this machine, and bytes."""
    model.graph.metadata_props.clear()
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()


FORM: Form = OnnxFile()
