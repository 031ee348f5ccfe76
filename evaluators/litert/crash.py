"""Finds the operation at which a runtime or a compiler crashes, which does not live to tell."""

from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from .file_run import RuntimeCrash, run_file
from .flatbuffer import FILE_IDENTIFIER
from .inspect import operator_names


def crashing_operator(content: bytes, crashes: Callable[[bytes], bool] | None = None) -> int:
    """Returns the index of the first operator without which a file that crashes would not.

    Beginnings of the graph are run, each in a fresh process, halving the range every time.

    Args:
        content: the bytes of a file that crashes the runtime.
        crashes: says whether a file does; the runtime where None.
    """
    crashes = crashes or _crashes
    fine, crashing = 0, len(operator_names(content))  # so many operators
    while crashing - fine > 1:
        half = (fine + crashing) // 2
        if crashes(_beginning(content, half)):
            crashing = half
        else:
            fine = half
    return crashing - 1


def _beginning(content: bytes, count: int) -> bytes:
    """Returns the file whose graph ends after so many operators."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph = model.subgraphs[0]
    graph.operators = graph.operators[:count]
    graph.outputs = graph.operators[-1].outputs
    read = {*graph.inputs, *(index for one in graph.operators for index in (*one.inputs, *one.outputs))}
    for index, tensor in enumerate(graph.tensors):
        if index not in read:  # a compiler looks at all tensors, also those that nothing reads any more
            tensor.type, tensor.buffer, tensor.quantization = schema.TensorType.UINT8, 0, None
    builder = Builder(len(content))
    builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def _crashes(content: bytes) -> bool:
    file = TfliteFile.parse(content)
    shape = file.tensors[file.inputs[0]].shape
    try:
        run_file(content, 1, [np.zeros(shape, np.float32)])
    except RuntimeCrash:
        return True
    except AtollError:
        return False  # refused: it did not crash
    return False
