"""Finds the operation at which the runtime crashes, which does not live to tell."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from .file_run import RuntimeCrash, run_file
from .flatbuffer import FILE_IDENTIFIER
from .inspect import operator_names


def crashing_operator(content: bytes) -> int:
    """Returns the index of the first operator without which a file that crashes would not.

    Beginnings of the graph are run, each in a fresh process, halving the range every time.

    Args:
        content: the bytes of a file that crashes the runtime.
    """
    runs, crashes = 0, len(operator_names(content))  # so many operators
    while crashes - runs > 1:
        half = (runs + crashes) // 2
        if _crashes(_beginning(content, half)):
            crashes = half
        else:
            runs = half
    return crashes - 1


def _beginning(content: bytes, count: int) -> bytes:
    """Returns the file whose graph ends after so many operators."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph = model.subgraphs[0]
    graph.operators = graph.operators[:count]
    graph.outputs = graph.operators[-1].outputs
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
