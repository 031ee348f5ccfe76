"""Which processor this is, and what the device `host` says on another one than that of its fit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.card.waterfall import fit_digest
from atoll.hw_models.devices import device_folder as device_folders
from atoll.hw_models.devices.device import OTHER_PROCESSOR, Device
from atoll.hw_models.devices.device_folder import About, device_folder
from atoll.hw_models.devices.samples import measurements_of
from atoll.hw_models.fitting.measured_table import measured_table
from atoll.spaces.machine.processor import processor_of, this_processor

CPUINFO = """processor\t: 0
model name\t: {name}
flags\t\t: fpu sse2 {flags}

processor\t: 1
model name\t: Another(R)
flags\t\t: fpu
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU part\t: 0xd0b\n"


@pytest.mark.parametrize(
    ("name", "flags", "said"),
    [
        ("Xeon", "avx avx2 fma avx512f avx512_vnni amx_int8", "Xeon (float avx512f, int8 amx_int8)"),
        ("EPYC", "avx avx2 fma avx512f avx_vnni avx512_vnni", "EPYC (float avx512f, int8 avx512_vnni)"),
        ("i7", "avx avx2 fma", "i7 (float fma, int8 avx2)"),
        ("Old", "", "Old"),
    ],
)
def test_a_processor_is_its_name_and_its_best_kernels(name: str, flags: str, said: str) -> None:
    assert processor_of(CPUINFO.format(name=name, flags=flags)) == said


def test_an_arm_core_says_features_and_no_name() -> None:
    assert processor_of(ARM).endswith(" (float asimd, int8 asimddp)")


def test_this_machine_has_a_processor() -> None:
    assert this_processor()


@pytest.fixture
def another_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_folders, "this_processor", lambda: "Made-up (float fma, int8 avx2)")
    monkeypatch.setattr(
        "atoll.hw_models.devices.device.this_processor", lambda: "Made-up (float fma, int8 avx2)"
    )


def predicted() -> dict[str, Any]:
    row = next(row for row in measurements_of("host") if "quantize(bits=8)" in row.recipe)
    return Device.load("host").predict(measured_table(row), row.setup, row.file_bytes)


def test_on_the_processor_of_the_fit_nothing_is_said(processor_of_the_fit: None) -> None:
    assert Device.load("host").remark == ""
    assert predicted()["latency_ms"].status == "interpolated"


def test_on_another_processor_latencies_are_wide_and_it_is_said(
    another_processor: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = predicted()
    host = Device.load("host")
    assert "Intel(R) Xeon(R) Processor (float avx512f, int8 amx_int8)" in host.remark
    assert "Made-up (float fma, int8 avx2)" in host.remark
    assert "`atoll calibrate --device host --measure`" in host.remark
    monkeypatch.setattr(device_folders, "this_processor", lambda: host.about.processor)
    narrow = predicted()
    assert wide["peak_memory_bytes"] == narrow["peak_memory_bytes"]
    one, other = narrow["latency_ms"], wide["latency_ms"]
    assert (other.value, other.status) == (one.value, "extrapolated")
    assert (other.low, other.high) == (one.low / OTHER_PROCESSOR, one.high * OTHER_PROCESSOR)
    # what was seen without VNNI: 3.7 times as long as predicted
    assert other.low < 3.7 * one.value < other.high


def test_cards_of_another_processor_are_not_compared(
    another_processor: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    board, elsewhere = fit_digest("coral-dev-board"), fit_digest("host")
    monkeypatch.setattr(device_folders, "this_processor", lambda: About.read(device_folder("host")).processor)
    assert fit_digest("coral-dev-board") == board
    assert fit_digest("host") != elsewhere


def test_a_board_has_no_processor_of_this_machine() -> None:
    about = About.read(device_folder("coral-dev-board"))
    assert not about.processor and not about.other_processor


def test_a_processor_survives_its_file(tmp_path: Path) -> None:
    about = replace(About.read(device_folder("host")), processor='A "quoted" one', title='a "title"')
    (tmp_path / "device.toml").write_text(about.to_toml())
    assert About.read(tmp_path) == about
