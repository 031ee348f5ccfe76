"""`atoll verify DIR --device ethos-u…`: what the compiler says of a file that the weights give."""

import json
from pathlib import Path

import pytest
from atoll.evaluators.card.bundle import save_bundle
from atoll.evaluators.ethos_u import compiler
from atoll.evaluators.ethos_u.compiler import Compiled, NotCompiled
from atoll.evaluators.ethos_u.report import VelaOperator, VelaReport
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.evaluators.tasks.given_network import given_network
from atoll.evaluators.tasks.task import Task
from atoll.hw_models.formulas.setup import Npu
from atoll.search.commands.cli import main
from atoll.search.export import ethos_check as module
from atoll.search.export.ethos_check import ethos_check
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.structure import input_shape_of
from atoll.spaces.recipes.recipe import Recipe

DEVICE = "ethos-u55-128"
OPERATORS = (VelaOperator("Conv2D", True, 900, 99), VelaOperator("Mean", False, 0, 0))
WHY = "MEAN: Unsupported depth-reduction"


def report(cpu_operators: int) -> VelaReport:
    figures = ("Ethos_U55_128", "system", "mode", 5e8, 1, cpu_operators, 900, 99, 4096, 0, 800, 900, 700)
    return VelaReport(*figures, OPERATORS[: 1 + cpu_operators], (WHY,) * cpu_operators)


@pytest.fixture
def folder(tiny_task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    network = adopt(given_network(tiny_task), tiny_task.input_shape).eval()
    save_bundle(tmp_path, network, tiny_task, Recipe(), [])
    (tmp_path / "model.tflite").write_bytes(artifact_bytes(network, input_shape_of(network)))
    monkeypatch.setattr(module, "require_compiler", lambda what: None)
    compiles(monkeypatch, 0)
    return tmp_path


def compiles(monkeypatch: pytest.MonkeyPatch, cpu_operators: int) -> None:
    def compile_it(content: bytes, npu: Npu) -> Compiled:
        assert npu.accelerator == DEVICE
        return Compiled(b"12345", report(cpu_operators), "5.2.0")

    monkeypatch.setattr(module, "compile_for_ethos_u", compile_it)


def test_what_is_mapped_as_a_whole_passes(folder: Path) -> None:
    found = ethos_check(folder, f"{DEVICE}:deep-embedded")
    assert found.passed and found.rows() == [{"operator": "Conv2D", "runs_on": "Ethos-U"}]
    [said] = found.sentences()
    assert said.startswith(
        f"compiled for {DEVICE}:deep-embedded by Vela 5.2.0, 5 bytes: 1 of 1 operators run"
    )


def test_what_stays_on_the_cpu_fails_the_command_with_the_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compiles(monkeypatch, 1)
    assert main(["verify", str(folder), "--device", DEVICE]) == 1
    told = capsys.readouterr()
    assert f"on the CPU: {WHY}" in told.out + told.err
    heading = next(line for line in told.out.splitlines() if line.startswith("operator"))
    assert heading.split() == ["operator", "runs_on"]  # what the compiler does not say has no column
    assert main(["verify", str(folder), "--device", DEVICE, "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["passed"], found["report"]["mappable"], found["version"]) == (False, 0.5, "5.2.0")


def test_a_file_that_the_weights_do_not_give_is_compiled_with_trust_alone(folder: Path) -> None:
    with (folder / "model.tflite").open("ab") as stream:
        stream.write(bytes(4))
    found = ethos_check(folder, DEVICE)
    assert not found.passed and "--trust hands it to the compiler" in found.sentences()[0]
    assert ethos_check(folder, DEVICE, trust=True).passed


def test_what_cannot_be_compiled_is_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(content: bytes, npu: Npu) -> Compiled:
        raise NotCompiled("Vela cannot compile it: it died (SIGFPE) at MEAN, operator 2 of 3")

    monkeypatch.setattr(module, "compile_for_ethos_u", dies)
    found = ethos_check(folder, DEVICE)
    assert not found.passed and "it died (SIGFPE) at MEAN, operator 2 of 3" in found.sentences()[0]


def test_without_the_compiler_or_an_export_one_sentence_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(AtollError, match="the device host has no Ethos-U"):
        ethos_check(folder, "host")
    (folder / "model.tflite").unlink()
    with pytest.raises(AtollError, match="no export in "):
        ethos_check(folder, DEVICE)
    monkeypatch.setattr(compiler, "has_compiler", lambda: False)
    monkeypatch.setattr(module, "require_compiler", compiler.require_compiler)
    with pytest.raises(AtollError, match=r"pip install 'atoll\[ethos\]'"):
        ethos_check(folder, DEVICE)
