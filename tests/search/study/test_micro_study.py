"""Studies for LiteRT Micro: bounded by what is counted, and never by a latency that nobody measured."""

import shlex
from pathlib import Path

import pytest
from atoll.hw_models.devices.device import Device
from atoll.search.commands.cli import main
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError

MICRO = {"task": "digits", "device": "litert-micro"}


def test_flash_and_arena_are_bounded() -> None:
    bounds = ["flash_bytes <= 262144", "arena_bytes <= 65536"]
    study = Study.create({**MICRO, "goal": "smallest", "constraints": bounds})
    assert study.constraints == tuple(bounds)


def test_another_runtime_than_the_arena_is_of_is_refused() -> None:
    assert Study.create({**MICRO, "runtime": "litert-micro"}).runs_on == Study.create(MICRO).runs_on
    with pytest.raises(AtollError, match="runtime litert-2 on the device litert-micro, ") as found:
        Study.create({**MICRO, "runtime": "litert-2"})
    assert getattr(found.value, "where", None) == ("runtime",)


@pytest.mark.parametrize("device", ["litert-micro", "litert-micro:cortex-m"])
@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({"goal": "fastest"}, ("goal",)),
        ({"constraints": ["arena_bytes <= 9", "latency_ms <= 10"]}, ("constraints", 1)),
    ],
)
def test_a_latency_that_nobody_measured_is_refused_with_a_cure_that_works(
    asked: dict[str, object],
    where: tuple[str | int, ...],
    device: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(AtollError, match="was never timed, latency_ms is unknown; allowed is") as found:
        Study.create({**MICRO, "device": device, **asked})
    assert getattr(found.value, "where", None) == where
    monkeypatch.setenv("ATOLL_DEVICES", str(tmp_path))
    rows = tmp_path / "rows.csv"
    rows.write_text(
        "id,setup,source,family,network,recipe,input_shape,num_classes,latency_ms,peak_memory_mib,"
        "latency_credible,memory_credible\nmine,m4,me,compact_cnn,compact_cnn,baseline,16x16x3,7,90,,yes,yes\n"
    )
    said = str(found.value).split("`")[1].replace("FILE", str(rows)).replace("NAME", "my-m4")
    assert main(shlex.split(said)[1:]) == 0
    assert Study.create({**MICRO, "device": "my-m4", **asked}) and Device.load("my-m4").lacking() == []
