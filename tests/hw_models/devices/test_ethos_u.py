"""The devices `ethos-u…`: figures of a compiler in place of measurements."""

import tomllib
from pathlib import Path

import pytest
from atoll.hw_models.devices.device import Device
from atoll.hw_models.devices.device_folder import ETHOS_U, About, device_names
from atoll.hw_models.devices.own_device import Calibration
from atoll.hw_models.devices.samples import measurements_of
from atoll.spaces.errors import AtollError

NAMES = [f"ethos-{size}" for size in ETHOS_U]


@pytest.mark.parametrize("name", NAMES)
def test_each_names_its_accelerator_and_lacks_nothing(name: str) -> None:
    device = Device.load(name)
    setup = device.npu_setup()
    assert name in device_names() and setup is not None and setup.npu is not None
    assert setup.npu.accelerator == name and setup.npu.memory_mode == "Shared_Sram"
    assert device.lacking() == [] and device.fits == () and measurements_of(name) == ()
    assert device.about.comparable("latency_ms") == [setup.name]
    assert tomllib.loads(device.about.to_toml())["setups"][setup.name]["accelerator"] == name


def test_a_setup_is_another_system() -> None:
    usual, other = (Device.load(name).npu_setup() for name in ("ethos-u55-64", "ethos-u55-64:deep-embedded"))
    assert usual is not None and other is not None and usual.npu != other.npu
    assert Device.load("ethos-u55-64").npu_setup("deep-embedded") == other
    assert Device.load("coral-dev-board").npu_setup() is None


def test_there_is_nothing_to_fit() -> None:
    with pytest.raises(AtollError, match="ethos-u65-256: its figures are a compiler's estimates"):
        Calibration.of(None, "ethos-u65-256", None)


@pytest.mark.parametrize("extra", ['latency_ms = "cpu"', ""])
def test_an_own_system_names_all_three_and_no_formula(extra: str, tmp_path: Path) -> None:
    words = {"accelerator": "ethos-u55-32", "system_config": "Mine", "memory_mode": "Sram_Only"}
    if not extra:
        del words["memory_mode"]
    lines = [f'{key} = "{value}"' for key, value in words.items()]
    (tmp_path / "device.toml").write_text("\n".join(["[setups.mine]", *lines, extra]))
    with pytest.raises(AtollError, match="set-up mine: an NPU needs accelerator, system_config, memory_mode"):
        About.read(tmp_path)
