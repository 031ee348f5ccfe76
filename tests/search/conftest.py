"""A study whose answers are looked up: the search loop in seconds, without training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.ranking.metrics import Metrics
from atoll.evaluators.steps.replay import Effect, Replay
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.steps.work import Work
from atoll.search.store.store import Store
from atoll.search.study.study import Study

BASELINE = Metrics(
    quality=0.95,
    quality_name="accuracy",
    macs=32_899_776,
    latency_ms=22.88,
    latency_ms_low=20.0,
    latency_ms_high=25.0,
    latency_status="interpolated",
    peak_memory_bytes=8_900_000.0,
    peak_memory_bytes_low=8_000_000.0,
    peak_memory_bytes_high=9_900_000.0,
    peak_memory_status="interpolated",
    parameters=1_106_176,
    nonzero_parameters=1_106_176,
    payload_bytes=4_424_704,
    model_bytes=4_429_610,
)
# Roughly what each did on the real network; only their differences matter here.
EFFECTS = {
    "prune_channels": Effect(0.5, 0.008),
    "prune_weights": Effect(0.7, 0.002),
    "tensor_train": Effect(0.1, 0.01),
    "tucker": Effect(0.6, 0.006),
    "cluster": Effect(0.3, 0.004),
    "quantize": Effect(0.25, 0.0),
    "binarize": Effect(0.05, 0.03),
    "distill": Effect(1.0, -0.004),
}
#: a study over them; tests that start processes build it again there
STUDY = {"task": "digits", "seed": 3, "techniques": list(EFFECTS), "limits": {"ensembles": 8}}


@pytest.fixture
def baseline_metrics() -> Metrics:
    return BASELINE


@pytest.fixture
def replay() -> Replay:
    return Replay({"baseline": BASELINE}, EFFECTS)


@pytest.fixture
def pricer() -> Callable[[Any], dict[str, Any]]:
    """Prices a recipe by the same table, as if plans were exact."""
    table = Replay({"baseline": BASELINE}, EFFECTS)

    settings = Settings("digits", "coral-dev-board", 0, 1.0, 1.0)

    def price(recipe: Any) -> dict[str, Any]:
        found = table(Work(settings, recipe)).metrics.to_json()
        return {name: found[name] for name in found if name.startswith(("latency", "peak", "macs", "model"))}

    return price


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "atoll.duckdb")


@pytest.fixture
def study() -> Study:
    return Study.create(STUDY)
