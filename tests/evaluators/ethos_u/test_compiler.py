"""Running Vela: what it is not given, how its end becomes a sentence; a real file where it is installed."""

import selectors
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from atoll.evaluators.ethos_u import compiler, running
from atoll.evaluators.ethos_u.compiler import NotCompiled, compile_for_ethos_u, has_compiler
from atoll.evaluators.ethos_u.refusals import has_work, refused
from atoll.evaluators.litert import operators
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.writer import TfliteModel
from atoll.evaluators.measuring.artifact import artifact_of
from atoll.hw_models.formulas.setup import Npu
from atoll.hw_models.tables.planned import planned
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.reading import trace
from atoll.spaces.recipes.recipe import Recipe

NPU = Npu("ethos-u55-128", "Ethos_U55_High_End_Embedded", "Shared_Sram")
GRID = TensorGrid(0.1, 0)
# A compiler that does what the name of its system says; it writes the files of a stored report.
FAKE = """
import os, pathlib, time
def main(words):
    options = dict(zip(words[1::2], words[2::2]))
    count = pathlib.Path(words[0]).stat().st_size
    system = options["--system-config"]
    if system == "dies":
        os.kill(os.getpid(), 8)
    if system == "hangs":
        time.sleep(60)
    if system == "raises":
        raise KeyError("map::at")
    stored = pathlib.Path(REPORTS)
    for end, place in (("_summary_" + system, "summary"), ("_per-layer", "layers")):
        pathlib.Path("model" + end + ".csv").write_text((stored / ("whole." + place + ".csv")).read_text())
    print((stored / "whole.txt").read_text())
    pathlib.Path("model_vela.tflite").write_bytes(b"compiled")
"""


def planned_file(recipe: str) -> bytes:
    network = planned(Recipe.parse(recipe), "compact_cnn", (3, 16, 16), 7)
    return artifact_of(trace(network, (3, 16, 16)), drawn=True)


def dense(dtype: str, grid: TensorGrid | None) -> bytes:
    """Two dense layers in a row, of which the second has weights of a type."""
    model = TfliteModel()
    value = model.add_input((1, 4), grid)
    for kind in ("int8" if grid else "float32", dtype):
        scales = None if kind == "float32" else 0.1
        weight = model.add_constant(np.ones((4, 4)), kind, scales)
        value = operators.fully_connected(model, value, weight, operators.NO_TENSOR, grid=grid)
    model.outputs = [value]
    return model.to_bytes()


@pytest.fixture
def vela(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A compiler of the tests' own in place of Vela."""
    package = tmp_path / "ethosu" / "vela"
    package.mkdir(parents=True)
    reports = f"REPORTS = {str(Path(__file__).parent / 'reports')!r}\n"
    (package / "vela.py").write_text(reports + FAKE)
    for place in (package, package.parent):
        (place / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(compiler, "has_compiler", lambda: True)
    monkeypatch.setattr(compiler, "version", lambda package: "0")
    monkeypatch.setattr(compiler, "clock_hz", lambda npu: 5e8)
    monkeypatch.setattr(running, "_running", [])
    compile_for_ethos_u.cache_clear()
    yield
    for one in running._running:
        one.end()
    compile_for_ethos_u.cache_clear()


def system(name: str) -> Npu:
    return Npu("ethos-u55-128", name, "Shared_Sram")


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "has_compiler", lambda: False)
    compile_for_ethos_u.cache_clear()
    with pytest.raises(AtollError, match=r"ethos-u55-128 needs .* pip install 'atoll\[ethos\]'"):
        compile_for_ethos_u(dense("int8", GRID), NPU)


@pytest.mark.parametrize("grid", [GRID, None])
@pytest.mark.parametrize("dtype", ["int4", "int2"])
def test_narrow_weights_are_refused_by_rule_without_asking(
    dtype: str, grid: TensorGrid | None, monkeypatch: pytest.MonkeyPatch, vela: None
) -> None:
    monkeypatch.setattr(compiler, "run_compiler", lambda *_: pytest.fail("it was asked"))
    with pytest.raises(
        NotCompiled, match=f"FULLY_CONNECTED has {dtype} weights, which end it; allowed are 8"
    ):
        compile_for_ethos_u(dense(dtype, grid), NPU)


@pytest.mark.parametrize(
    ("recipe", "narrow", "work"),
    [
        ("baseline", False, False),
        ("quantize(bits=8)", False, True),
        ("quantize(bits=8, activations=float)", False, False),
        ("quantize(bits=8, layers=dense)", False, True),
        ("quantize(bits=4)", True, True),
        ("quantize(bits=2)", True, True),
        ("ternarize", True, False),
        ("binarize", True, False),
    ],
)
def test_the_rules_on_what_techniques_write(recipe: str, narrow: bool, work: bool) -> None:
    file = TfliteFile.parse(planned_file(recipe))
    assert (bool(refused(file)), has_work(file)) == (narrow, work)


def test_a_file_that_ends_the_compiler_is_a_sentence_and_the_next_one_is_compiled(vela: None) -> None:
    content = dense("int8", GRID)
    with pytest.raises(NotCompiled, match="it died \\(SIGFPE\\) at FULLY_CONNECTED, operator 1 of 2"):
        compile_for_ethos_u(content, system("dies"))
    with pytest.raises(NotCompiled, match="it failed \\(KeyError: 'map::at'\\) at FULLY_CONNECTED"):
        compile_for_ethos_u(content, system("raises"))
    found = compile_for_ethos_u(content, system("works"))
    assert found.content == b"compiled" and found.report.cycles == 41380
    assert len(running._running) == 1 and compile_for_ethos_u(content, system("works")) is found


def test_a_compiler_that_does_not_come_back_is_ended(vela: None, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, limit_s = compiler._compiled, 0.2
    monkeypatch.setattr(compiler, "_compiled", lambda content, npu, _=0: compiled(content, npu, limit_s))
    with pytest.raises(NotCompiled, match=r"it did not end within .* s"):
        compile_for_ethos_u(dense("int8", None), system("hangs"))
    assert not running._running[0].lives
    limit_s = 60.0
    assert compile_for_ethos_u(dense("int8", None), system("works")).content == b"compiled"


def test_what_ctrl_c_left_unanswered_is_no_answer_to_the_next_file(
    vela: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            super().select(timeout)  # the answer is there, and is not read
            raise KeyboardInterrupt

    content = dense("int8", GRID)
    assert compile_for_ethos_u(content, system("works")).content == b"compiled"
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(selectors, "DefaultSelector", Interrupted)
        compile_for_ethos_u(content, system("again"))
    with pytest.raises(NotCompiled, match="it died \\(SIGFPE\\)"):
        compile_for_ethos_u(content, system("dies"))


def test_one_that_does_not_start_is_a_sentence(vela: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(AtollError, match="Vela is installed and does not start"):
        compile_for_ethos_u(dense("int8", None), system("works"))


def test_the_first_operator_that_ends_it_is_named(vela: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled(content: bytes, npu: Npu, limit_s: float = 0) -> str | object:
        return "it died" if len(TfliteFile.parse(content).operators) >= 3 else object()

    monkeypatch.setattr(compiler, "_compiled", compiled)
    content = planned_file("quantize(bits=8)")
    names = [one.name for one in TfliteFile.parse(content).operators]
    with pytest.raises(NotCompiled, match=f"it died at {names[2]}, operator 3 of {len(names)}"):
        compile_for_ethos_u(content, NPU)


@pytest.mark.skipif(not has_compiler(), reason="ethos-u-vela is not installed")
def test_vela_itself_says_what_was_stored() -> None:
    assert compiler.version(compiler.PACKAGE) == compiler.TRIED
    found = compile_for_ethos_u(planned_file("quantize(bits=8)"), NPU)
    assert (found.report.mappable, found.report.cycles, found.report.flash_bytes) == (1.0, 41380, 32080)
    assert len(found.content) > found.report.flash_bytes and found.content[4:8] == b"TFL3"
    assert compiler.clock_hz(NPU) == 500e6
    with pytest.raises(AtollError, match=r"knows no 'Ethos_U55'; .*Ethos_U55_High_End_Embedded"):
        compiler.clock_hz(system("Ethos_U55"))


@pytest.mark.skipif(not has_compiler(), reason="ethos-u-vela is not installed")
def test_vela_itself_dies_of_what_the_rule_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "refused", lambda file: "")
    compile_for_ethos_u.cache_clear()
    with pytest.raises(NotCompiled, match="it died \\(SIGFPE\\) at FULLY_CONNECTED, operator 2 of 2"):
        compile_for_ethos_u(dense("int4", GRID), NPU)
    compile_for_ethos_u.cache_clear()
