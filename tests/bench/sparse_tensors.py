"""LiteRT's sparse tensors: whether the interpreter here runs them right, and faster, on one thread.

Two hand-written networks, each with its zeros in dense tensors and with them left out by the schema's sparse
encoding (compressed sparse rows): one float dense layer of 512 x 512, and a chain of float 1x1 convolutions
behind a convolution of stride 2, the form for which XNNPACK has sparse kernels.
"""

import time
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from figures import report

SIZE, ZEROS, RUNS = 512, 0.9, 300
#: of the convolutions: side of the image, channels, how many
SIDE, CHANNELS, LAYERS = 56, 128, 4
KERNELS = {
    "XNNPACK": OpResolverType.BUILTIN,
    "plain": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}


@dataclass
class Graph:
    """A network under construction by the schema's object API."""

    model: Any
    graph: Any

    @classmethod
    def empty(cls) -> "Graph":
        model, graph = schema.ModelT(), schema.SubGraphT()
        model.version, model.operatorCodes, model.buffers = 3, [], [schema.BufferT()]
        graph.tensors, graph.operators = [], []
        model.subgraphs = [graph]
        return cls(model, graph)

    def tensor(self, shape: tuple[int, ...], values: np.ndarray | None = None, sparse: Any = None) -> int:
        """Adds a float tensor, constant where it has values; returns its index."""
        one = schema.TensorT()
        one.shape, one.type, one.buffer, one.sparsity = list(shape), schema.TensorType.FLOAT32, 0, sparse
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.astype(np.float32).tobytes(), np.uint8)
            one.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(one)
        return len(self.graph.tensors) - 1

    def weights(self, values: np.ndarray, encoding: str) -> int:
        """Adds weights [out, ...]: dense, sparse, or sparse behind the operator that makes them dense."""
        if encoding == "dense":
            return self.tensor(values.shape, values)
        kept, sparsity = _compressed_rows(values)
        stored = self.tensor(values.shape, kept, sparsity)
        if encoding == "sparse":
            return stored
        dense = self.tensor(values.shape)
        self.operator(schema.BuiltinOperator.DENSIFY, [stored], dense, 0, schema.DensifyOptionsT())
        return dense

    def operator(
        self, code: int, inputs: list[int], output: int, kind: int, options: Any, version: int = 1
    ) -> None:
        """Adds an operator with a code of its own."""
        of_code, one = schema.OperatorCodeT(), schema.OperatorT()
        of_code.builtinCode, of_code.deprecatedBuiltinCode, of_code.version = code, min(code, 127), version
        one.opcodeIndex = len(self.model.operatorCodes)
        self.model.operatorCodes.append(of_code)
        one.inputs, one.outputs = inputs, [output]
        one.builtinOptionsType, one.builtinOptions = kind, options
        self.graph.operators.append(one)

    def content(self, first: int, last: int) -> bytes:
        """Returns the file's bytes."""
        self.graph.inputs, self.graph.outputs = [first], [last]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _compressed_rows(values: np.ndarray) -> tuple[np.ndarray, Any]:
    """Returns the values that are not zero, row by row, and the schema's description of where they stand.

    Axes of one position between rows and columns are dense.
    """
    rows = values.reshape(len(values), -1)
    columns = [np.flatnonzero(row).astype(np.int32) for row in rows]
    last = schema.DimensionMetadataT()
    last.format = schema.DimensionType.SPARSE_CSR
    segments, indices = schema.Int32VectorT(), schema.Int32VectorT()
    segments.values = np.cumsum([0, *map(len, columns)]).astype(np.int32)
    indices.values = np.concatenate(columns)
    last.arraySegmentsType = last.arrayIndicesType = schema.SparseIndexVector.Int32Vector
    last.arraySegments, last.arrayIndices = segments, indices
    dense = []
    for size in values.shape[:-1]:
        one = schema.DimensionMetadataT()
        one.format, one.denseSize = schema.DimensionType.DENSE, size
        dense.append(one)
    found = schema.SparsityParametersT()
    found.traversalOrder = np.arange(values.ndim, dtype=np.int32)
    found.dimMetadata = [*dense, last]
    return rows[rows != 0], found


def pruned(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Returns normal weights of which the smallest are zero."""
    values = np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32) / np.sqrt(shape[-1])
    values[np.abs(values) < np.quantile(np.abs(values), ZEROS)] = 0
    return values


def dense_layer(encoding: str) -> tuple[bytes, np.ndarray]:
    """Returns the file of one dense layer, and its weights."""
    made, weights = Graph.empty(), pruned((SIZE, SIZE), 0)
    first = made.tensor((1, SIZE))
    options, last = schema.FullyConnectedOptionsT(), made.tensor((1, SIZE))
    bias = made.tensor((SIZE,), np.zeros(SIZE))
    inputs = [first, made.weights(weights, encoding), bias]
    version = 8 if encoding == "sparse" else 1
    made.operator(9, inputs, last, schema.BuiltinOptions.FullyConnectedOptions, options, version)
    return made.content(first, last), weights


def convolutions(encoding: str) -> bytes:
    """Returns the file of a chain of 1x1 convolutions behind one of stride 2, and a mean over places.

    An odd side gives the padding, one on every side, that XNNPACK's sparse kernels ask of the first one.
    """
    made = Graph.empty()
    first = previous = made.tensor((1, 2 * SIDE - 1, 2 * SIDE - 1, 3))
    shapes = [(CHANNELS, 3, 3, 3), *[(CHANNELS, 1, 1, CHANNELS)] * LAYERS]
    for number, shape in enumerate(shapes):
        values = pruned(shape, number)
        weights = made.weights(values, encoding if number else "dense")
        bias, output = made.tensor((shape[0],), np.zeros(shape[0])), made.tensor((1, SIDE, SIDE, shape[0]))
        options = schema.Conv2DOptionsT()
        options.strideH = options.strideW = 1 if number else 2
        options.padding, options.fusedActivationFunction = schema.Padding.SAME, 1
        made.operator(3, [previous, weights, bias], output, schema.BuiltinOptions.Conv2DOptions, options)
        previous = output
    options, last, axes = schema.ReducerOptionsT(), made.tensor((1, CHANNELS)), schema.BufferT()
    axes.data = np.frombuffer(np.array([1, 2], np.int32).tobytes(), np.uint8)
    places = made.tensor((2,))
    made.graph.tensors[places].type = schema.TensorType.INT32
    made.graph.tensors[places].buffer = len(made.model.buffers)
    made.model.buffers.append(axes)
    made.operator(
        schema.BuiltinOperator.MEAN, [previous, places], last, schema.BuiltinOptions.ReducerOptions, options
    )
    return made.content(first, last)


def run(content: bytes, kernels: str, runs: int) -> tuple[np.ndarray, float]:
    """Returns what a file gives for one input, and the median time of a run in microseconds."""
    model = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=KERNELS[kernels])
    model.allocate_tensors()
    given, taken = model.get_input_details()[0], model.get_output_details()[0]
    model.set_tensor(given["index"], np.random.default_rng(9).normal(0, 1, given["shape"]).astype(np.float32))
    seconds = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        model.invoke()
        seconds.append(time.perf_counter() - started)
    return model.get_tensor(taken["index"]), 1e6 * float(np.median(seconds[1:]))


def main() -> None:
    """Prints a figure a file and set of kernels: bytes, microseconds, and how far it is off the dense one."""
    networks = {"dense_layer": lambda encoding: dense_layer(encoding)[0], "convolutions": convolutions}
    for network, make in networks.items():
        runs = RUNS if network == "dense_layer" else 30
        for kernels in KERNELS:
            expected = None
            for encoding in ("dense", "sparse", "densify"):
                name, content = f"sparse/{network}_{encoding}_{kernels.lower()}", make(encoding)
                report(f"{name}_bytes", len(content), "B", None, "lower")
                try:
                    found, took = run(content, kernels, runs)
                except (RuntimeError, ValueError) as error:
                    print(f"{name}: refused: {' '.join(str(error).split())[:200]}", flush=True)
                    continue
                expected = found if expected is None else expected
                off = float(np.abs(found - expected).max() / np.ptp(expected))
                report(f"{name}_us", took, "us", None, "lower")
                report(f"{name}_difference", off, "of the span", None, "lower")


if __name__ == "__main__":
    main()
