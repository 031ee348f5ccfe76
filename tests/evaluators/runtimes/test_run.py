"""A file in another release: the installed LiteRT stands in for one, or a runtime that refuses or dies."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from atoll.evaluators.litert import operators as op
from atoll.evaluators.litert.file_run import run_file
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.writer import TfliteModel
from atoll.evaluators.runtimes import run as module
from atoll.evaluators.runtimes.run import Kernels, Refusal, run_in
from atoll.hw_models.runtimes.wheels import Wheel
from atoll.spaces.errors import AtollError

HERE = Path(np.__file__).parents[1]
LITERT = Wheel("ai-edge-litert", "0", "ai_edge_litert.interpreter")
STAND_IN = """
class OpResolverType:
    BUILTIN_WITHOUT_DEFAULT_DELEGATES = 3

class Interpreter:
    def __init__(self, **settings):
        {then}
"""


def two_inputs() -> bytes:
    """(x + y, their product) of an int8 and a float input."""
    model, grid = TfliteModel(), TensorGrid(0.125, 3)
    x, y = model.add_input((1, 2, 2, 3), grid, "x"), model.add_input((1, 2, 2, 1), None, "y")
    moved = op.dequantize(model, x)
    model.outputs = [op.add(model, x, op.quantize(model, y, grid), grid), op.mul(model, moved, y)]
    return model.to_bytes()


def drawn(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, 16)).astype(np.float32)


@pytest.mark.parametrize("kernels", ["default", "plain"])
def test_it_gives_what_the_same_release_gives_here(kernels: Kernels) -> None:
    content, images = two_inputs(), drawn(3)
    expected = run_file(content, 3, [images])
    found = run_in(HERE, LITERT, kernels, content, 3, [images[:2], images[2:]])
    assert found.steps == expected.steps == (0.125, None)
    for ours, theirs in zip(found.outputs, expected.outputs, strict=True):
        assert ours.shape == theirs.shape == (3, 2, 2, 3)
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture
def stand_in(tmp_path: Path):  # type: ignore[no-untyped-def]
    def make(then: str) -> tuple[Path, Wheel]:
        for name in ("numpy", "numpy.libs"):
            (tmp_path / name).symlink_to(HERE / name)
        (tmp_path / "other.py").write_text(STAND_IN.format(then=then))
        return tmp_path, replace(LITERT, module="other")

    return make


@pytest.mark.parametrize(
    ("then", "told"),
    [
        ("raise ValueError('op builtin\\n opcode 9')", "op builtin opcode 9"),
        ("raise RuntimeError('failed to prepare')", "failed to prepare"),
        (
            "import os; os.write(2, b'not true'); os.abort()",
            r"it ended the process \(SIGABRT\) while loading the file: not true",
        ),
    ],
)
def test_what_it_does_not_run_is_told_in_its_words(stand_in, then: str, told: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Refusal, match=told):
        packages, wheel = stand_in(then)
        run_in(packages, wheel, "default", two_inputs(), 1, [drawn(1)])


@pytest.mark.parametrize(
    ("at_import", "told", "refuses"),
    [
        (False, "it did not come back within 3 s while loading the file", True),
        (True, "while starting", False),
    ],
)
def test_one_that_hangs_is_ended(  # type: ignore[no-untyped-def]
    stand_in, monkeypatch: pytest.MonkeyPatch, at_import: bool, told: str, refuses: bool
) -> None:
    monkeypatch.setattr(module, "START_S", 3)
    monkeypatch.setattr(module, "RUN_S", 0)
    place, wheel = stand_in("import time; time.sleep(60)")
    if at_import:
        (place / "other.py").write_text("import time; time.sleep(60)")
    with pytest.raises(AtollError, match=told) as raised:
        run_in(place, wheel, "default", two_inputs(), 1, [drawn(1)])
    assert isinstance(raised.value, Refusal) == refuses


def test_a_runtime_that_is_not_there_refuses_no_file(tmp_path: Path) -> None:
    """Nothing of this environment is imported in its place."""
    with pytest.raises(AtollError, match=r"was not run \(exit status 1\).*No module named 'numpy'") as told:
        run_in(tmp_path, LITERT, "default", two_inputs(), 1, [drawn(1)])
    assert not isinstance(told.value, Refusal)
