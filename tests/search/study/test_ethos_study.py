"""Studies for an Ethos-U: bounded and minimized by what its compiler estimates, and by that nowhere else."""

import pytest
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError

BOUNDS = ["ethos_u_mappable = 1", "ethos_u_flash_bytes <= 262144", "latency_ms <= 2"]


def test_its_figures_are_bounded_and_minimized() -> None:
    study = Study.create(
        {"task": "digits", "device": "ethos-u55-128:deep-embedded", "goal": "fastest", "constraints": BOUNDS}
    )
    assert study.constraints == tuple(BOUNDS)
    goal = {"minimize": "ethos_u_flash_bytes * latency_ms"}
    Study.create({"task": "digits", "device": "ethos-u85-256", "goal": goal})


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({"goal": {"minimize": "ethos_u_flash_bytes"}}, ("goal",)),
        ({"constraints": ["macs <= 9", "ethos_u_mappable = 1"]}, ("constraints", 1)),
    ],
)
@pytest.mark.parametrize("device", ["coral-edge-tpu", "litert-micro"])
def test_another_device_has_none(device: str, asked: dict[str, object], where: tuple[str | int, ...]) -> None:
    with pytest.raises(AtollError, match=f"{device} has no Ethos-U, ethos_u_.* is unknown") as found:
        Study.create({"task": "digits", "device": device, **asked})
    assert getattr(found.value, "where", None) == where
