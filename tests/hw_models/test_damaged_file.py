"""Files from outside: whatever is damaged ends in a sentence, without a traceback and without much memory."""

import struct
import tracemalloc

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from atoll.evaluators.edge_tpu.check import check_edge_tpu
from atoll.evaluators.litert import operators
from atoll.evaluators.litert import operators_moving as moving
from atoll.evaluators.litert import operators_pooling as pooling
from atoll.evaluators.litert.inspect import float_tensors, overhead_bytes, peak_tensor_bytes
from atoll.evaluators.litert.operators_loop import loop
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.writer import TfliteModel
from atoll.hw_models.runtimes.micro_arena import arena_of
from atoll.hw_models.runtimes.need import Need
from atoll.hw_models.tables.file_table import layer_table_of
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.errors import AtollError
from flatbuffers import Builder

#: what reads files
READERS = (
    lambda content: layer_table_of(TfliteFile.parse(content), "file"),
    check_edge_tpu,
    peak_tensor_bytes,
    float_tensors,
    overhead_bytes,
    lambda content: arena_of(TfliteFile.parse(content)),
    lambda content: Need.of(TfliteFile.parse(content)),
)


def small() -> bytes:
    """A convolution, a pooling, a widened dense layer: 1.2 kB."""
    model, grid = TfliteModel(), TensorGrid(0.5, 3)
    x = model.add_input((1, 6, 6, 2), grid)
    weight = model.add_constant(np.ones((4, 3, 3, 2), int), "int8", np.full(4, 0.5))
    bias = model.add_constant(np.ones(4, int), "int32", np.full(4, 0.25))
    x = pooling.pool_2d(model, operators.conv_2d(model, x, weight, bias, grid), "max", (2, 2))
    x = operators.dequantize(model, moving.reshape(model, x, (1, 36)))
    dense = operators.dequantize(model, model.add_constant(np.ones((3, 36), int), "int4", 0.5))
    model.outputs = [operators.fully_connected(model, x, dense)]
    return model.to_bytes()


def read(content: bytes) -> int:
    """How many of the readers refuse a file; anything but an AtollError is a fault."""
    refused = 0
    for reader in READERS:
        try:
            reader(content)
        except AtollError as error:
            assert "\n" not in str(error) and len(str(error)) < 400
            refused += 1
    return refused


def test_the_whole_file_is_read() -> None:
    assert read(small()) == 0


def test_every_beginning_is_a_sentence_or_a_file() -> None:
    content = small()
    assert all(read(content[:size]) for size in range(0, len(content) - 16, 3))


@pytest.mark.parametrize(("wrong", "step"), [(0xFF, 2), (0x80, 3), ("flipped", 1)])
def test_any_byte_may_be_another(wrong, step) -> None:
    content, refused = small(), 0
    for place in range(0, len(content), step):
        damaged = bytearray(content)
        damaged[place] = damaged[place] ^ 0x21 if wrong == "flipped" else wrong
        refused += bool(read(bytes(damaged)))
    assert refused > 100  # offsets and indices


def test_sizes_that_a_file_states_take_no_memory() -> None:
    content = changed(lambda m, g: _set(g.tensors[0], "shape", [1, 30_000, 30_000, 2]))
    tracemalloc.start()
    try:
        read(content)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def changed(change) -> bytes:
    """The file with something changed through the schema's own objects."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(small()))
    change(model, model.subgraphs[0])
    builder = Builder(4096)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _set(found, name, value):
    setattr(found, name, value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m, g: _set(g.tensors[1], "shape", [1 << 30] * 4), "a tensor of more than .* elements"),
        (lambda m, g: _set(g.tensors[1], "shape", [1] * 9), "tensor 1 has 9 axes, allowed are 8"),
        (lambda m, g: _set(g.tensors[1], "shape", [400, 3, 3, 2]), "tensor 1 .* needs 7200 bytes and has 72"),
        (lambda m, g: _set(g.tensors[0], "buffer", 99), "tensor 0 names buffer 99 of"),
        (lambda m, g: _set(g.operators[0], "opcodeIndex", 77), "operator 0 has code 77 of"),
        (lambda m, g: _set(g.operators[0], "inputs", [0, 1, 500]), "operator 0 names tensor 500 of"),
        (lambda m, g: _set(g.operators[0], "inputs", [-2, 1, 2]), "operator 0 names tensor -2 of"),
        (lambda m, g: _set(g.operators[0], "outputs", [-1]), "operator 0 names tensor -1 of"),
        (lambda m, g: _set(g, "inputs", [-1]), "the graph names tensor -1 of"),
        (lambda m, g: _set(g.operators[0], "inputs", [4, 1, 2]), "reads tensor 4 before anything makes it"),
        (lambda m, g: _set(g.operators[0], "outputs", [0]), "makes tensor 0, which is there already"),
        (lambda m, g: _set(m, "subgraphs", []), "no subgraph"),
    ],
)
def test_what_does_not_hold_together_is_named(change, said) -> None:
    with pytest.raises(AtollError, match=rf"got a damaged \.tflite file .*{said}"):
        TfliteFile.parse(changed(change))


@pytest.mark.parametrize(
    "change",
    [
        lambda m, g: _set(g.tensors[0], "shape", []),
        lambda m, g: _set(g.tensors[0], "shape", [1, 0, 6, 2]),
        lambda m, g: _set(g.operators[0], "inputs", []),
        lambda m, g: _set(g.operators[0], "outputs", []),
        lambda m, g: _set(g, "inputs", []),
        lambda m, g: _set(g, "operators", []),
    ],
)
def test_shapes_and_operators_that_do_not_fit_are_a_sentence_or_a_table(change) -> None:
    read(changed(change))


def test_a_vector_longer_than_the_file_is_not_walked() -> None:
    content = bytearray(small())
    root = struct.unpack_from("<I", content)[0]
    fields = root - struct.unpack_from("<i", content, root)[0]
    place = root + struct.unpack_from("<H", content, fields + 4 + 2 * 2)[0]  # subgraphs
    vector = place + struct.unpack_from("<I", content, place)[0]
    struct.pack_into("<I", content, vector, 0xFFFFFFFF)
    with pytest.raises(AtollError, match=r"got a damaged \.tflite file"):
        TfliteFile.parse(bytes(content))


def test_the_arena_of_a_whole_file_is_unchanged_by_the_reader() -> None:
    # 6 x 6 x 2 in, 4 x 4 x 4 behind the convolution; the widened dense weight is a float copy of 3 x 36
    assert arena_of(TfliteFile.parse(small())).tensor_bytes >= 3 * 36 * 4


def test_a_graph_that_runs_itself_is_planned_once() -> None:
    model = TfliteModel()
    x = model.add_input((1, 4))
    condition, body = TfliteModel(), TfliteModel()
    inside = condition.add_input((1, 4))
    condition.outputs = [operators.relu(condition, inside, "relu", None)]
    y = body.add_input((1, 4))
    again = body.add_activation((1, 4))
    numbers = dict(condSubgraphIndex=1, bodySubgraphIndex=2)  # the body is graph 2 itself
    body.add_operator("WHILE", (y,), (again,), options="While", **numbers)
    body.outputs = [again]
    model.outputs = loop(model, condition, body, [x])
    file = TfliteFile.parse(model.to_bytes())
    assert 0 < arena_of(file).tensor_bytes <= 6 * 16
