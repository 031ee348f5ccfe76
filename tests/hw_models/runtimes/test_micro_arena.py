"""LiteRT Micro's rules and arena against what its interpreter said, brute force, and by hand."""

import csv
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from atoll.evaluators.litert import operators
from atoll.evaluators.litert.flatbuffer import FILE_IDENTIFIER
from atoll.evaluators.litert.inspect import peak_tensor_bytes
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.versions import LINES
from atoll.evaluators.litert.writer import TfliteModel
from atoll.hw_models.runtimes import micro_plan
from atoll.hw_models.runtimes.micro import READS, WEIGHTS, refused
from atoll.hw_models.runtimes.micro_arena import arena_of
from atoll.hw_models.runtimes.micro_plan import Lifetime, greedy_plan, lifetimes
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.search.commands.cli import main
from atoll.spaces.errors import AtollError
from flatbuffers import Builder
from hypothesis import given
from hypothesis import strategies as st

FOUND = list(csv.DictReader((Path(__file__).parent / "micro_found.csv").open(encoding="utf-8")))
LIFETIMES = st.builds(
    lambda size, first, length: Lifetime(16 * size, first, first + length),
    st.integers(1, 9),
    st.integers(0, 5),
    st.integers(0, 4),
)


def alive_at_once(tensors: list[Lifetime]) -> int:
    return max(sum(t.size for t in tensors if t.first <= step <= t.last) for step in range(11))


def best_plan(tensors: list[Lifetime]) -> int:
    """The least bytes over all orders of first fit: no order of placing them is left out."""
    least = sum(t.size for t in tensors)
    for order in permutations(tensors):
        placed: list[tuple[int, Lifetime]] = []
        for tensor in order:
            others = [(s, o) for s, o in placed if o.first <= tensor.last and o.last >= tensor.first]
            starts = [0, *(start + other.size for start, other in others)]
            fits = (
                at
                for at in sorted(starts)
                if all(at + tensor.size <= s or at >= s + o.size for s, o in others)
            )
            placed.append((next(fits), tensor))
        least = min(least, max(start + tensor.size for start, tensor in placed))
    return least


@given(st.lists(LIFETIMES, min_size=1, max_size=5))
def test_the_plan_lies_between_what_is_alive_and_everything_side_by_side(tensors: list[Lifetime]) -> None:
    plan = greedy_plan(tensors)
    assert alive_at_once(tensors) <= best_plan(tensors) <= plan <= sum(t.size for t in tensors)


@pytest.mark.parametrize(
    ("tensors", "bytes_"),
    [
        ([], 0),
        ([Lifetime(32, 0, 1), Lifetime(16, 2, 3)], 32),  # one after the other
        ([Lifetime(32, 0, 1), Lifetime(16, 1, 2)], 48),  # both at step 1
        (
            [Lifetime(64, 0, 1), Lifetime(32, 1, 2), Lifetime(48, 2, 3)],
            96,
        ),  # 48 and 32 meet: 64 + 32, gap of 64
    ],
)
def test_plans_by_hand(tensors: list[Lifetime], bytes_: int) -> None:
    assert greedy_plan(tensors) == bytes_


@pytest.fixture(scope="module")
def files(micro_files: dict[str, bytes]) -> dict[str, TfliteFile]:
    return {name: TfliteFile.parse(content) for name, content in micro_files.items()}


def test_the_table_has_every_file(files: dict[str, TfliteFile]) -> None:
    assert list(files) == [row["file"] for row in FOUND]


def test_every_operator_that_is_written_was_tried(files: dict[str, TfliteFile]) -> None:
    graphs = [graph for file in files.values() for graph in file.graphs]
    assert {operator.name for graph in graphs for operator in graph.operators} == set(LINES)
    assert set(LINES) - {*READS, *WEIGHTS} == {"GELU", "RELU_N1_TO_1", "RELU_0_TO_1"}


def test_what_the_interpreter_refused_is_refused(files: dict[str, TfliteFile]) -> None:
    """What it loads and computes wrongly, or only by chance, is refused beside: so the reason begins."""
    for row in FOUND:
        reason = refused(files[row["file"]])
        assert bool(reason) == (row["outcome"] == "refused") or reason.startswith("it runs"), (row, reason)


def test_the_plan_is_the_interpreter_s_and_the_claim_never_below_what_it_needed(
    files: dict[str, TfliteFile],
) -> None:
    runs = [row for row in FOUND if row["outcome"] == "runs"]
    assert len(runs) > 200
    for row in runs:
        arena = arena_of(files[row["file"]])
        assert arena.tensor_bytes == int(row["planned_bytes"]), row
        needed = max(int(row["recorded_bytes"]), int(row["needed_bytes"]))
        assert needed <= arena.counted_bytes < arena.bytes, row
        # of networks: the files of one operator are smaller than what preparing it takes at most
        assert ";" not in row["file"] or "(" not in row["file"] or arena.bytes <= 1.13 * needed, row


def chain(dtype: str = "int8") -> TfliteFile:
    """8 x 8 x 3 -> convolution with 4 outputs -> dense with 5, int8."""
    model, grid = TfliteModel(), TensorGrid(0.1)
    x = model.add_input((1, 8, 8, 3), grid)
    scales = np.full(4, 0.1)
    weight = model.add_constant(np.ones((4, 3, 3, 3), int), dtype, scales)
    bias = model.add_constant(np.zeros(4, int), "int32", scales * np.float32(0.1))
    x = operators.conv_2d(model, x, weight, bias, grid)
    dense = model.add_constant(np.ones((5, 256), int), "int8", np.full(5, 0.1))
    model.outputs = [operators.fully_connected(model, x, dense, grid=grid)]
    return TfliteFile.parse(model.to_bytes())


def test_lifetimes_and_sizes_are_those_of_the_file() -> None:
    file = chain()
    assert lifetimes(file) == [Lifetime(192, 0, 1), Lifetime(256, 1, 2), Lifetime(16, 2, 2)]
    arena = arena_of(file)
    assert arena.tensor_bytes == 192 + 256 == peak_tensor_bytes(file.content)
    assert arena.scratch_bytes == 0
    ends, kernels = 2 * (64 + 32), 128 + 2 * 16 + 120 + 2 * 32  # 4 and 5 channels, rounded up to 16 bytes
    assert arena.kept_bytes == 512 + ends + 24 * 6 + 64 * 2 + kernels
    assert arena.counted_bytes == 1328 + 704  # preparing a convolution takes more than these tensors
    assert arena.bytes % 16 == 0 and arena.bytes >= 1.02 * arena.counted_bytes > arena.bytes - 32


def test_narrow_weights_are_spread_to_bytes() -> None:
    assert lifetimes(chain("int4"))[-1] == Lifetime(112, 1, 1, "scratch")  # 4 x 3 x 3 x 3
    assert arena_of(chain("int4")).scratch_bytes == 112


def loops_in_loops(depth: int) -> bytes:
    """A file whose every loop runs the next one, such as nobody writes."""
    model = schema.ModelT(subgraphs=[], buffers=[schema.BufferT()], operatorCodes=[])
    for code in (schema.BuiltinOperator.WHILE, schema.BuiltinOperator.RELU):
        model.operatorCodes.append(schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code))
    for number in range(depth + 1):
        tensors = [schema.TensorT(shape=[1, 4]) for _ in range(2)]
        operator = schema.OperatorT(opcodeIndex=int(number == depth), inputs=[0], outputs=[1])
        if number < depth:
            operator.builtinOptionsType = schema.BuiltinOptions.WhileOptions
            operator.builtinOptions = schema.WhileOptionsT(number + 1, number + 1)
        model.subgraphs.append(
            schema.SubGraphT(tensors=tensors, inputs=[0], outputs=[1], operators=[operator])
        )
    builder = Builder()
    builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def test_loops_of_a_file_of_somebody_else_do_not_go_deeper_than_the_stack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert arena_of(TfliteFile.parse(loops_in_loops(16))).bytes
    path = tmp_path / "loops.tflite"
    path.write_bytes(loops_in_loops(3000))
    words = ["predict", "--artifact", str(path), "--device"]
    assert main([*words, "litert-micro"]) == 2
    assert "loops more than 16 deep, allowed are so many" in " ".join(capsys.readouterr().err.split())
    assert main([*words, "coral-dev-board"]) == 0  # where nobody asks for the arena it is not planned


def test_a_file_with_more_buffers_than_are_placed_in_seconds_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(micro_plan, "_MOST_BUFFERS", 1)
    with pytest.raises(AtollError, match="got a file with 2 buffers to place, allowed are 1"):
        arena_of(TfliteFile.parse(loops_in_loops(0)))
