"""A trained file is held again against what a study demands of the compiled one."""

import pytest
from atoll.evaluators.ethos_u.estimate import ESTIMATED, Estimate
from atoll.evaluators.litert.writer import TfliteModel
from atoll.evaluators.ranking.demands import demands
from atoll.hw_models.formulas.prediction import Prediction
from atoll.search.export import compiled
from atoll.search.export.compiled import as_compiled

DEVICE = "ethos-u55-128"


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A file; of what it is given the compiler's double says 1,000 bytes, 2 ms and 3,000 bytes of SRAM."""
    time, memory = (Prediction(one, one, one, ESTIMATED, "default") for one in (2.0, 3000.0))
    monkeypatch.setattr(compiled, "estimate", lambda file, setup: Estimate(0.5, 1000, time, memory))
    model = TfliteModel()
    model.outputs = [model.add_input((1, 4), None)]
    return model.to_bytes()


@pytest.mark.parametrize(
    ("constraint", "broken"),
    [
        ("ethos_u_flash_bytes <= 999", "ethos_u_flash_bytes 1000, demanded <= 999"),
        ("ethos_u_flash_bytes <= 1000", ""),
        ("ethos_u_mappable = 1", "ethos_u_mappable 0.5, demanded = 1"),
        ("latency_ms <= 1.5", "latency_ms 2, demanded <= 1.5"),
        ("peak_memory_bytes <= 4000", ""),
        ("quality_drop <= 0.01", ""),  # what only its network tells is judged elsewhere
    ],
)
def test_what_breaks_a_demand_is_said(content: bytes, constraint: str, broken: str) -> None:
    [said] = as_compiled(content, DEVICE, demands([constraint], None))
    assert said.startswith(
        f"compiled for {DEVICE} with its trained weights the file takes 1,000 bytes of flash"
    )
    assert said.partition(", which BREAKS the study's constraints: ")[2] == broken


def test_devices_without_a_compiler_have_nothing_to_say(content: bytes) -> None:
    assert as_compiled(content, "coral-dev-board", demands(["latency_ms <= 0"], None)) == []
