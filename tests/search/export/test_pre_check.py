"""`atoll verify DIR --device coral-edge-tpu`: what maps is said operator by operator, with the layer."""

import json
import stat
from pathlib import Path

import pytest
from atoll.evaluators.card.bundle import save_bundle
from atoll.evaluators.edge_tpu.compiler import compile_for_edge_tpu
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.evaluators.tasks.given_network import given_network
from atoll.evaluators.tasks.task import Task
from atoll.search.commands.cli import main
from atoll.search.export.pre_check import pre_check
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.structure import input_shape_of
from atoll.spaces.recipes.recipe import Recipe

DEVICE = "coral-edge-tpu"


@pytest.fixture(scope="module")
def export_of(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory):
    """Writes an untrained network's bundle and file as `atoll export` does."""

    def write(text: str = "baseline") -> Path:
        folder = tmp_path_factory.mktemp("export")
        network = adopt(given_network(tiny_task), tiny_task.input_shape).eval()
        save_bundle(folder, network, tiny_task, Recipe.parse(text), [])
        (folder / "model.tflite").write_bytes(artifact_bytes(network, input_shape_of(network)))
        return folder

    return write


@pytest.fixture(scope="module")
def float_export(export_of) -> Path:
    return export_of()


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Puts a program of that name on the PATH."""

    def install(script: str) -> None:
        program = tmp_path / "edgetpu_compiler"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return install


@pytest.mark.usefixtures("no_compiler")
def test_the_first_that_does_not_map_is_named_with_its_layer(float_export: Path) -> None:
    found = pre_check(float_export, DEVICE)
    assert found.word == "pre-checked"
    assert not found.passed
    verdict, *changes = found.sentences()
    assert verdict.startswith(
        "pre-checked for coral-edge-tpu, since no edgetpu_compiler is on the PATH: 0 of "
    )
    assert f"the first on the CPU is CONV_2D of {found.report.operators[0].layer}: float32 values" in verdict
    assert any("quantize(bits=8)" in change for change in changes)


@pytest.mark.usefixtures("no_compiler")
def test_the_command_exits_with_one_and_prints_an_object(
    float_export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(float_export), "--device", DEVICE, "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["device"], found["word"], found["mappable"]) == (DEVICE, "pre-checked", 0.0)
    assert found["first"]["layer"] == found["operators"][0]["layer"] != ""
    assert found["compiler"] is None
    assert main(["verify", str(float_export), "--device", DEVICE]) == 1
    assert "the first on the CPU is CONV_2D" in capsys.readouterr().out


@pytest.mark.usefixtures("no_compiler")
def test_another_file_has_no_layers(export_of) -> None:
    folder = export_of()
    content = (folder / "model.tflite").read_bytes()
    (folder / "model.tflite").write_bytes(content + bytes(16))
    assert {one.layer for one in pre_check(folder, DEVICE).report.operators} == {""}


def test_the_compilers_own_report_is_shown(float_export: Path, compiler) -> None:
    compiler('test -f model.tflite && echo "Model compiled successfully" && touch model_edgetpu.tflite')
    found = pre_check(float_export, DEVICE)
    assert found.word == "compiled"
    assert found.sentences()[-1] == "Model compiled successfully"


def test_a_compiler_that_fails_is_no_pass(float_export: Path, compiler) -> None:
    compiler("echo 'Internal compiler error. Aborting!' >&2; exit 1")
    found = pre_check(float_export, DEVICE)
    assert (found.word, found.passed) == ("not compiled", False)
    assert "Internal compiler error" in found.to_json()["compiler"]


def test_a_file_that_the_weights_do_not_give_is_compiled_only_where_it_is_trusted(
    export_of, compiler, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiler(f"touch {tmp_path}/HAS-RUN")
    folder = export_of()
    content = (folder / "model.tflite").read_bytes()
    (folder / "model.tflite").write_bytes(content + bytes(16))
    assert main(["verify", str(folder), "--device", DEVICE]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "pre-checked for coral-edge-tpu, since the weights give another model.tflite (--trust" in said
    assert not (tmp_path / "HAS-RUN").exists()
    main(["verify", str(folder), "--device", DEVICE, "--trust"])
    assert (tmp_path / "HAS-RUN").exists()


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_nothing_is_compiled() -> None:
    assert compile_for_edge_tpu(b"") is None


def test_other_devices_have_no_pre_check(float_export: Path) -> None:
    with pytest.raises(AtollError, match=r"no pre-check for the device 'host'.*coral-edge-tpu"):
        pre_check(float_export, "host")


def test_a_folder_without_an_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AtollError, match=r"no export in .*model\.tflite"):
        pre_check(tmp_path, DEVICE)
