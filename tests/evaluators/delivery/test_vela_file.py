"""The compiled file for an Ethos-U: compared with what the compiler makes of the artifact again."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from atoll.evaluators.delivery import vela_file
from atoll.evaluators.delivery.delivery import Source
from atoll.evaluators.delivery.forms import VELA, check_forms, form_of
from atoll.evaluators.ethos_u import compiler
from atoll.evaluators.ethos_u.compiler import Compiled
from atoll.evaluators.ethos_u.report import VelaOperator, VelaReport
from atoll.hw_models.formulas.setup import Npu
from atoll.spaces.errors import AtollError
from torch import nn

REPORT = VelaReport(
    "Ethos_U55_64",
    "system",
    "mode",
    5e8,
    7,
    1,
    1000,
    99,
    4096,
    0,
    800,
    900,
    800,
    operators=(VelaOperator("Mean", False, 0, 0),),
    refusals=("why",),
)
SOURCE = Source("one", nn.Identity(), b"artifact", torch.empty(0), npu=Npu("a", "system", "mode"))


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_it(content: bytes, npu: Npu) -> Compiled:
        return Compiled(b"compiled " + content, REPORT, "5.2.0")

    monkeypatch.setattr(vela_file, "compile_for_ethos_u", compile_it)


def test_the_card_has_version_accelerator_system_and_mode(tmp_path: Path) -> None:
    form = form_of(VELA)
    holds, figures = form.write(tmp_path, SOURCE), form.measure(tmp_path, SOURCE)
    assert (tmp_path / form.file).read_bytes() == b"compiled artifact"
    assert (
        "by Vela 5.2.0: 7 of 8 operators run on the NPU, on the CPU Mean; the compiler estimates 1,000 cycles"
        in holds
    )
    told = {name: figures[name] for name in ("accelerator", "system_config", "memory_mode", "clock_hz")}
    assert list(told.values()) == ["Ethos_U55_64", "system", "mode", 5e8]
    assert (figures["mappable"], figures["time_ms"]) == (7 / 8, 0.002)
    assert form.packages == ("ethos-u-vela",) and not form.risk


def test_another_file_in_its_place_is_told(tmp_path: Path) -> None:
    form = form_of(VELA)
    (tmp_path / form.file).write_bytes(b"something else")
    with pytest.raises(AtollError, match=r"model_vela.tflite is not what Vela 5.2.0 makes of model.tflite"):
        form.measure(tmp_path, SOURCE)


def test_without_an_npu_or_with_nothing_for_it_there_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = form_of(VELA)
    with pytest.raises(AtollError, match="the study's device has no Ethos-U"):
        form.write(tmp_path, replace(SOURCE, npu=None))
    nothing = Compiled(b"", replace(REPORT, npu_operators=0), "5.2.0")
    monkeypatch.setattr(vela_file, "compile_for_ethos_u", lambda *_: nothing)
    with pytest.raises(AtollError, match="no operator runs on the NPU: why"):
        form.write(tmp_path, SOURCE)
    assert not list(tmp_path.iterdir())


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "has_compiler", lambda: False)
    with pytest.raises(AtollError, match=r"--also vela needs .* pip install 'atoll\[ethos\]'"):
        check_forms([VELA])
