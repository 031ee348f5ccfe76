"""The bytes of a ``.tflite`` file: tables of the LiteRT schema, everything equal stored once.

The schema's own object API writes each tensor's shape, scales and options anew and leaves buffers unaligned.
Here equal vectors and tables are shared (a flatbuffer is a graph of offsets, so readers do not notice),
shapes lie over each other where one ends as another begins (`overlaps`), data buffers keep the 16-byte
alignment that the schema asks for (``force_align: 16``) with small vectors in the gaps before them, and
nothing that no runtime needs is written (``DROPPED``). Same input, same bytes.

What is shared, and where it lies, never depends on trained values (weights, biases, scales, zero points), so
a network without values, on the meta device, gives a file of exactly the size that the trained one will have.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from .file_model import FileModel, TensorEntry
from .layout import BUFFER_ALIGNMENT, FileLayout, Part
from .versions import versions_of

SCHEMA_VERSION = 3  # the only version that LiteRT loads
FILE_IDENTIFIER = b"TFL3"  # `file_identifier` of the schema
#: operators with larger codes have them in a wider field (``BuiltinOperator`` of the schema)
_PLACEHOLDER_CODE = 127

#: what other writers put into a file and no runtime needs; shown in the model card
DROPPED = (
    "names of tensors and of the graph",
    "description",
    "metadata",
    "signatures",
    "operator codes a second time",
    "copies of equal buffers, shapes, grids, options and tables",
    "gaps before aligned buffers",
    "scales of biases that no kernel reads",
)


def pack(model: FileModel) -> bytes:
    """Bytes of the file for ``model``; equal models give equal bytes."""
    layout = FileLayout()
    graphs = [model, *model.subgraphs]
    # the commonest operator first: its index is the one that is left out of tables
    versioned = [
        [(op.code, version) for op, version in zip(graph.operators, versions_of(graph), strict=True)]
        for graph in graphs
    ]
    codes = [code for code, _ in Counter(chain(*versioned)).most_common()]
    # The first buffer is empty by convention: it is the one of tensors that are computed.
    buffers: dict[bytes | int, tuple[int, Part]] = {b"": (0, layout.table("Buffer"))}
    subgraphs = [
        _subgraph(layout, graph, [codes.index(code) for code in found], buffers)
        for graph, found in zip(graphs, versioned, strict=True)
    ]
    root = layout.table(
        "Model",
        Version=SCHEMA_VERSION,
        OperatorCodes=layout.references([_operator_code(layout, *code) for code in codes]),
        Subgraphs=layout.references(subgraphs),
        Buffers=layout.references([buffer for _, buffer in buffers.values()]),
    )
    return layout.to_bytes(root, FILE_IDENTIFIER)


def _subgraph(
    layout: FileLayout, graph: FileModel, codes: Sequence[int], buffers: dict[bytes | int, tuple[int, Part]]
) -> Part:
    """One graph of the file; what its constants hold is added to the buffers.

    Args:
        layout: the file under construction.
        graph: tensors and operators.
        codes: of its operators, each the place in the file's list of them.
        buffers: of the file, each with its place in the list of them.
    """
    tensors = []
    for tensor in graph.tensors:
        key = tensor.data if tensor.structural or not tensor.data else id(tensor)
        if key not in buffers:
            data = np.frombuffer(tensor.data, np.uint8)
            buffer = layout.table("Buffer", Data=layout.vector(data, np.uint8, BUFFER_ALIGNMENT, key))
            buffers[key] = (len(buffers), buffer)
        # Two computed tensors may look alike and still be two entries: entries may share one table.
        tensors.append(
            layout.table(
                "Tensor",
                Shape=layout.sizes(tensor.shape),
                Buffer=buffers[key][0],
                Name=None if tensor.name is None else layout.text(tensor.name),
                Quantization=_quantization(layout, tensor),
                Type=tensor.type_code,
            )
        )
    operators = [
        layout.table(
            "Operator",
            OpcodeIndex=code,
            Inputs=layout.vector(op.inputs, np.int32),
            Outputs=layout.vector(op.outputs, np.int32),
            **_options(layout, op.options, op.options_code, op.settings),
        )
        for op, code in zip(graph.operators, codes, strict=True)
    ]
    return layout.table(
        "SubGraph",
        Tensors=layout.references(tensors),
        Inputs=layout.vector(graph.inputs, np.int32),
        Outputs=layout.vector(graph.outputs, np.int32),
        Operators=layout.references(operators),
    )


def _operator_code(layout: FileLayout, code: int, version: int) -> Part:
    """An operator's code in the narrow field, which every runtime reads, or else in the wide one."""
    wide = code if code >= _PLACEHOLDER_CODE else None
    return layout.table(
        "OperatorCode",
        Version=version,
        BuiltinCode=wide,
        DeprecatedBuiltinCode=min(code, _PLACEHOLDER_CODE),
    )


def _options(layout: FileLayout, name: str | None, code: int, settings: dict[str, Any]) -> dict[str, Any]:
    """The fields of an operator for its options; lists in it share the vectors of equal ones."""
    if name is None:
        return {}
    fields = {
        key[0].upper() + key[1:]: layout.sizes(value) if isinstance(value, list) else value
        for key, value in settings.items()
    }
    return {"BuiltinOptions": layout.table(f"{name}Options", **fields), "BuiltinOptionsType": code}


def _quantization(layout: FileLayout, tensor: TensorEntry) -> Part | None:
    """A tensor's scales and zero points, None for tensors without."""
    if tensor.grid is not None:
        # Operators that only move values hand on the grid itself: one table for all of them.
        token = id(tensor.grid)
        scales = layout.vector([tensor.grid.scale], np.float32, token=token)
        points = layout.vector([tensor.grid.zero_point], np.int64, token=token)
    elif tensor.scales is not None:
        # by identity, as grids: a bias of zeros has the scales of its weights
        scales = layout.vector(tensor.scales, np.float32, token=id(tensor.scales))
        if tensor.zero_points is None:
            points = layout.vector([0] * len(tensor.scales), np.int64)
        else:
            points = layout.vector(tensor.zero_points, np.int64, token=id(tensor))
    else:
        return None
    axis = tensor.channel_axis
    return layout.table("QuantizationParameters", Scale=scales, ZeroPoint=points, QuantizedDimension=axis)
