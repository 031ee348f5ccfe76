"""What a file costs on an Ethos-U: the compiler's figures, and what is assumed of a part on the CPU."""

from pathlib import Path

import pytest
from atoll.evaluators.ethos_u import estimate as estimate_module
from atoll.evaluators.ethos_u.compiler import Compiled, NotCompiled
from atoll.evaluators.ethos_u.estimate import estimate
from atoll.evaluators.ethos_u.report import VelaReport
from atoll.evaluators.measuring.artifact import artifact_of
from atoll.hw_models.devices.device import Device
from atoll.hw_models.formulas.prediction import ESTIMATED
from atoll.hw_models.runtimes.micro_arena import arena_of
from atoll.hw_models.tables.file_table import layer_table_of
from atoll.hw_models.tables.planned import planned
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.reading import trace
from atoll.spaces.recipes.recipe import Recipe

REPORTS, SHAPE = Path(__file__).parent / "reports", (3, 16, 16)
SETUP = Device.load("ethos-u55-128").npu_setup()
assert SETUP is not None


def report(name: str) -> VelaReport:
    return VelaReport.of(
        *((REPORTS / f"{name}.{end}").read_text() for end in ("txt", "summary.csv", "layers.csv"))
    )


def planned_file(recipe: str) -> TfliteFile:
    network = planned(Recipe.parse(recipe), "compact_cnn", SHAPE, 7)
    return TfliteFile.parse(artifact_of(trace(network, SHAPE), drawn=True))


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate_module, "require_compiler", lambda what: None)
    monkeypatch.setattr(estimate_module, "clock_hz", lambda npu: 5e8)


def compiler_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = Compiled(b"12345", report(name), "0")
    monkeypatch.setattr(estimate_module, "compile_for_ethos_u", lambda content, npu: compiled)


def test_all_on_the_npu_is_the_compilers_estimate_without_an_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiler_says("whole", monkeypatch)
    found = estimate(planned_file("quantize(bits=8)"), SETUP)
    time, memory = found.latency_ms, found.peak_memory_bytes
    assert (found.mappable, found.flash_bytes, found.refusal) == (1.0, 5, "")
    assert (time.value, time.low, time.high) == (pytest.approx(41380 / 500e3),) * 3
    assert (memory.value, memory.low, memory.high) == (5632,) * 3
    assert {time.status, memory.status} == {ESTIMATED} == {"compiler estimate"}
    assert time.setup == "high-end"


def test_a_float_file_is_not_compiled_and_all_of_it_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate_module, "compile_for_ethos_u", lambda *_: pytest.fail("it was asked"))
    file = planned_file("baseline")
    found = estimate(file, SETUP)
    assert (found.mappable, found.flash_bytes) == (0.0, file.size_bytes)
    assert found.latency_ms.status.startswith("unknown operation: CONV_2D, ")
    made = sum(file.tensors[index].elements for one in file.operators for index in one.outputs)
    work = sum(row.cost.macs for row in layer_table_of(file, "compact_cnn").rows) + made
    assert found.latency_ms.value == pytest.approx(work / 500e3)
    assert (found.latency_ms.low, found.latency_ms.high) == (
        pytest.approx(work / 8 / 500e3),
        pytest.approx(10 * work / 500e3),
    )
    assert found.peak_memory_bytes.value == arena_of(file).bytes


def test_a_part_on_the_cpu_is_slower_than_the_npu_alone_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler_says("part", monkeypatch)
    found = estimate(planned_file("quantize(bits=8, layers=dense)"), SETUP)
    assert found.mappable == pytest.approx(2 / 11)
    assert found.latency_ms.low > report("part").time_ms
    assert "FULLY_CONNECTED" not in found.latency_ms.status and "QUANTIZE" in found.latency_ms.status


def test_what_cannot_be_compiled_says_why_and_does_not_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(content: bytes, npu: object) -> Compiled:
        raise NotCompiled("Vela cannot compile it: it died (SIGFPE) at MEAN, operator 3 of 9")

    monkeypatch.setattr(estimate_module, "compile_for_ethos_u", refuses)
    found = estimate(planned_file("quantize(bits=8)"), SETUP)
    assert found.mappable == 0.0 and found.refusal.endswith("at MEAN, operator 3 of 9")
    assert found.latency_ms.status == f"unknown operation: {found.refusal}"


def test_a_compiler_that_is_not_there_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(what: str) -> None:
        raise AtollError(f"{what} needs it")

    monkeypatch.setattr(estimate_module, "require_compiler", lacking)
    with pytest.raises(AtollError, match="ethos-u55-128 needs it"):
        estimate(planned_file("baseline"), SETUP)
