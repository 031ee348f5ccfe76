"""LiteRT Micro's interpreter in a process of its own: LiteRT stands in its place here, or one that fails."""

import sys
from pathlib import Path

import numpy as np
import pytest
from atoll.evaluators.litert import micro_run
from atoll.evaluators.litert import operators as op
from atoll.evaluators.litert.micro_run import MicroRun, has_interpreter, largest_steps, run_in_micro
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.writer import TfliteModel
from atoll.hw_models.runtimes.micro_arena import arena_of
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.errors import AtollError

STAND_IN = """
import sys
from ai_edge_litert.interpreter import Interpreter as LiteRt

class Interpreter:
    @classmethod
    def from_file(cls, path, arena_size):
        {then}
        self = cls()
        self.arena, self.inner = arena_size, LiteRt(path)
        self.inner.allocate_tensors()
        return self

    def set_input(self, values, number):
        self.inner.set_tensor(self.inner.get_input_details()[number]["index"], values)

    def invoke(self):
        self.inner.invoke()

    def get_output(self, number):
        return self.inner.get_tensor(self.inner.get_output_details()[number]["index"])

    def get_input_details(self, number):
        return self.inner.get_input_details()[number]

    def get_output_details(self, number):
        return self.inner.get_output_details()[number]

    def print_allocations(self):
        print(f"[RecordingMicroAllocator] Arena allocation total {{self.arena - 16}} bytes", file=sys.stderr)
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Puts a package of that name on the path, of this process and of those that it starts."""

    def install(then: str = "pass", with_version: bool = True) -> None:
        package = tmp_path / "tflite_micro"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "runtime.py").write_text(STAND_IN.format(then=then))
        if with_version:
            told = tmp_path / "tflite_micro-1.dist-info"
            told.mkdir()
            (told / "METADATA").write_text("Name: tflite-micro\nVersion: 1\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")

    return install


def two_inputs() -> bytes:
    """(x + y, their product's sign) of an int8 and a float input."""
    model, grid = TfliteModel(), TensorGrid(0.125, 3)
    x, y = model.add_input((1, 2, 2, 3), grid, "x"), model.add_input((1, 2, 2, 1), None, "y")
    moved = op.dequantize(model, x)
    model.outputs = [op.add(model, x, op.quantize(model, y, grid), grid), op.mul(model, moved, y)]
    return model.to_bytes()


def test_it_is_run_in_the_claimed_arena_as_litert_runs_it(stand_in) -> None:  # type: ignore[no-untyped-def]
    stand_in()
    content = two_inputs()
    images = np.random.default_rng(0).uniform(-1, 1, (3, 16)).astype(np.float32)
    found = run_in_micro(content, images)
    claimed = arena_of(TfliteFile.parse(content)).bytes
    assert (found.refusal, found.claimed_bytes, found.recorded_bytes) == ("", claimed, claimed - 16)
    assert found.steps == (0.125, None)
    runner = LiteRtRunner(content)
    others = [np.concatenate(rows) for rows in zip(*map(runner.run_heads, images), strict=True)]
    assert [one.shape for one in found.outputs] == [(3, 2, 2, 3)] * 2
    assert largest_steps(found, others) < 1e-6
    assert largest_steps(found, [others[0] + 0.25, others[1]]) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("then", "refusal"),
    [
        (
            "import os; os.write(2, b'rank <= 4 was not true\\n'); os.abort()",
            "it ended the process (SIGABRT): rank <= 4",
        ),
        ("import os; os.write(2, b'no\\nGELU\\n'); raise RuntimeError('failed')", "no GELU"),
        ("raise RuntimeError('failed')", "failed"),
    ],
)
def test_what_it_does_not_run_is_told_in_its_words(stand_in, then: str, refusal: str) -> None:  # type: ignore[no-untyped-def]
    stand_in(then)
    found = run_in_micro(two_inputs(), np.zeros((1, 16), np.float32))
    assert found.refusal.startswith(refusal) and found.recorded_bytes is None and found.outputs == ()


@pytest.mark.parametrize("then", ["import nowhere", "raise KeyError('nowhere')"])
def test_a_fault_that_is_not_the_interpreter_s_is_no_refusal(stand_in, then: str) -> None:  # type: ignore[no-untyped-def]
    stand_in(then)
    with pytest.raises(AtollError, match=r"was not run \(exit status 1\): .*nowhere"):
        run_in_micro(two_inputs(), np.zeros((1, 16), np.float32))


def test_without_the_package_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(micro_run, "find_spec", lambda name: None)
    assert not has_interpreter()
    with pytest.raises(AtollError, match=r"needs the package tflite-micro, .*pip install 'atoll\[micro\]'"):
        run_in_micro(b"", np.zeros((1, 1), np.float32))


def test_a_folder_of_its_name_without_a_version_is_no_package(  # type: ignore[no-untyped-def]
    stand_in, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a tree that it was built in: what a card says of who ran a file has a version."""
    stand_in(with_version=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])  # the package itself may be installed
    assert not has_interpreter()


def test_a_float_output_s_difference_is_told_as_it_is() -> None:
    run = MicroRun("", 1, 1, (np.zeros((1, 2)),), (None,))
    assert largest_steps(run, [np.array([[0.5, -0.25]])]) == 0.5


def test_an_output_without_a_number_hides_behind_no_other() -> None:
    run = MicroRun("", 1, 1, (np.ones((1, 2)), np.ones((1, 2))), (None, None))
    wrong = np.array([[np.nan, 0.0]])
    right = np.ones((1, 2))
    assert np.isnan(largest_steps(run, [wrong, right])) and np.isnan(largest_steps(run, [right, wrong]))
