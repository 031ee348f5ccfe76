"""A file in a process of its own: the same answers; a sentence where the runtime refuses, stops or dies."""

import re
from pathlib import Path

import numpy as np
import pytest
from atoll.evaluators.litert import file_run, operators
from atoll.evaluators.litert import operators_pooling as pooling
from atoll.evaluators.litert.crash import crashing_operator
from atoll.evaluators.litert.file_run import run_file
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.writer import TfliteModel
from atoll.spaces.errors import AtollError

SHAPE = (1, 4, 4, 1)
#: what LiteRT says where what lies in memory before its tensors is not what makes it crash
REFUSED = r"LiteRT does not load the model: .* failed to prepare"
IMAGES = np.random.default_rng(0).normal(size=(5, 4, 4, 1)).astype(np.float32)


def pooled(grid: TensorGrid | None = None) -> bytes:
    model = TfliteModel()
    model.outputs = [pooling.pool_2d(model, model.add_input(SHAPE, grid), "max", (4, 4))]
    return model.to_bytes()


def one_operator(name: str, *others: int) -> bytes:
    """A file of one operator that reads the graph's input and then tensors of the caller's."""
    model = TfliteModel()
    inputs = (model.add_input(SHAPE), *others)
    model.outputs = [model.add_activation(SHAPE)]
    model.add_operator(name, inputs, model.outputs)
    return model.to_bytes()


@pytest.mark.parametrize("grid", [None, TensorGrid(0.05, 3)])
def test_it_gives_what_the_runtime_gives_here(grid: TensorGrid | None) -> None:
    content = pooled(grid)
    found = run_file(content, len(IMAGES), [IMAGES[:2], IMAGES[2:]])
    np.testing.assert_array_equal(found.outputs[0], LiteRtRunner(content).run(IMAGES))
    assert found.steps == ((None if grid is None else pytest.approx(grid.scale)),)
    assert found.latency_ms is None


def test_a_file_of_the_working_directory_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('this is no library')\n")
    monkeypatch.chdir(tmp_path)
    assert len(run_file(pooled(), len(IMAGES), [IMAGES]).outputs[0]) == len(IMAGES)


def test_time_is_measured_where_it_is_asked_for() -> None:
    latency_ms = run_file(pooled(), len(IMAGES), [IMAGES], timed_runs=3).latency_ms
    assert latency_ms is not None
    assert 0 < latency_ms < 1000


def test_a_file_that_the_runtime_refuses_is_one_sentence() -> None:
    with pytest.raises(
        AtollError, match=r"LiteRT does not load the model: .*MAX_POOL_2D.* failed to prepare"
    ):
        run_file(one_operator("MAX_POOL_2D"), len(IMAGES), [IMAGES])  # without window and strides


def test_a_file_that_stops_while_it_runs_is_one_sentence() -> None:
    model = TfliteModel()
    x = model.add_input(SHAPE)
    far = model.add_constant(np.array([1_000_000], np.int32), "int32")
    model.outputs = [model.add_activation((1, 1, 4, 1))]
    model.add_operator("GATHER", (x, far), model.outputs, 1, "Gather", axis=1)
    with pytest.raises(AtollError, match=r"LiteRT stops in the model: .*Node number 0 \(GATHER\)"):
        run_file(model.to_bytes(), len(IMAGES), [IMAGES])


def test_a_crash_of_the_runtime_is_contained() -> None:
    """LiteRT 2.3 follows a null pointer where an operator's second input is left out."""
    died = r"the LiteRT runtime crashed \(SIG\w+\) while loading the file"
    with pytest.raises(AtollError, match=f"{died}|{REFUSED}"):
        run_file(one_operator("ADD", operators.NO_TENSOR), len(IMAGES), [IMAGES])


def test_a_runtime_that_does_not_come_back_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here it is the start that takes longer than it may."""
    monkeypatch.setattr(file_run, "START_S", 0.01)
    monkeypatch.setattr(file_run, "RUN_S", 0)
    with pytest.raises(AtollError, match=r"LiteRT runtime did not come back within 0\.01 s while starting"):
        run_file(pooled(), len(IMAGES), [IMAGES])


def test_the_operation_that_crashes_is_found() -> None:
    model = TfliteModel()
    x = operators.relu(model, operators.relu(model, model.add_input(SHAPE), "relu"), "relu6")
    y = model.add_activation(SHAPE)
    model.add_operator("ADD", (x, operators.NO_TENSOR), (y,))
    model.outputs = [operators.relu(model, operators.relu(model, y, "relu"), "relu6")]
    content = model.to_bytes()
    with pytest.raises(AtollError) as told:
        run_file(content, len(IMAGES), [IMAGES])
    if re.search(REFUSED, str(told.value)):
        pytest.skip("the runtime refused the file this time instead of crashing")
    assert crashing_operator(content) == 2
