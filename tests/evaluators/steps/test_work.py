"""What crosses processes: work and its outcome come out as they went in, and half a result is no result."""

import json
import pickle

import pytest
from atoll.evaluators.ranking.metrics import Metrics
from atoll.evaluators.steps.pipeline_result import StepRecord
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.steps.work import Outcome, Work
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe

SETTINGS = Settings("digits", "coral-dev-board", 3, 1.5, 6.0, threads=2)
METRICS = Metrics(
    quality=0.95,
    quality_name="accuracy",
    macs=1000,
    latency_ms=2.0,
    latency_ms_low=1.0,
    latency_ms_high=3.0,
    latency_status="interpolated",
    peak_memory_bytes=100.0,
    peak_memory_bytes_low=90.0,
    peak_memory_bytes_high=110.0,
    peak_memory_status="interpolated",
    parameters=10,
    nonzero_parameters=5,
    payload_bytes=40,
    model_bytes=80,
)
STEP = StepRecord(
    1, "binarize", "binarize", "numbers", 1.5, 0.1, False, 7, 0.9, 40, 80, None, 1000, 2.0, 100.0, 10,
    {"left_alone": {"head": "too small"}},
)  # fmt: skip
OUTCOMES = [
    Outcome("finished", None, METRICS, (STEP, STEP), 1.5, 7, "here", 2, "0" * 64),
    Outcome("finished", metrics=METRICS),
    Outcome("rejected", "latency_ms 11, demanded <= 10"),
    Outcome.failed("training diverged", seconds=1.0, worker_pid=7),
    Outcome("interrupted"),
]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("recipe", ["baseline", "tensor_train(rank=8) -> quantize(bits=4)"])
def test_work_crosses_processes(recipe: str, keep: bool) -> None:
    work = Work(SETTINGS, Recipe.parse(recipe), keep, at_once=1 + keep)
    assert pickle.loads(pickle.dumps(work)) == work
    assert Work.from_json(json.loads(json.dumps(work.to_json()))) == work


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: outcome.status)
def test_an_outcome_crosses_processes(outcome: Outcome) -> None:
    assert pickle.loads(pickle.dumps(outcome)) == outcome
    told = outcome.to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert Outcome.from_json(told) == outcome


def test_the_reason_of_a_failure_is_one_line() -> None:
    assert Outcome.failed("shapes\ndo\t not fit").reason == "shapes do not fit"
    assert Outcome.failed(" \n").reason == "no reason given"


def test_a_finished_trial_has_metrics() -> None:
    with pytest.raises(AtollError, match="a finished trial has no metrics"):
        Outcome("finished")


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        ({**METRICS.to_json(), "quality": float("nan")}, "quality is nan: it must be a finite number"),
        ({"quality": 0.5}, "metrics are missing: quality_name"),
        ({**METRICS.to_json(), "qualty": 1.0}, "unknown metric 'qualty'"),
        (None, "metrics are missing: quality, "),
    ],
    ids=["not a number", "half of them", "one too many", "none"],
)
def test_half_of_a_result_is_a_failure(metrics: object, reason: str) -> None:
    found = Outcome.from_json({**OUTCOMES[0].to_json(), "metrics": metrics})
    assert found.status == "failed" and str(found.reason).startswith(reason)
    assert found.metrics is None
    assert (found.steps, found.seconds, found.worker_pid) == ((STEP, STEP), 1.5, 7)
