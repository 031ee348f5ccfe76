"""A microcontroller's device before training: what it runs, its arena, and a latency that nobody knows."""

import pytest
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.evaluators.ranking.demands import demands
from atoll.evaluators.ranking.metrics import Metrics
from atoll.evaluators.steps.evaluate import planned_for, price_recipe
from atoll.evaluators.tasks.task import Task
from atoll.hw_models.runtimes.micro_arena import arena_of
from atoll.hw_models.runtimes.runtime import Runtime
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.search.proposer.trial_scores import Judge
from atoll.search.study.study import Study
from atoll.search.study.study_checks import StudyMistake
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import made_up_metrics

DEVICE = "litert-micro"


def price(text: str, task: Task) -> dict[str, object]:
    return dict(price_recipe(Recipe.parse(text), task.name, DEVICE).to_metrics())


def test_memory_is_the_arena_of_the_planned_file_and_latency_unknown(tiny_task: Task) -> None:
    found = price("quantize(bits=8)", tiny_task)
    planned = planned_for(Recipe.parse("quantize(bits=8)"), tiny_task.name)
    arena = arena_of(TfliteFile.parse(artifact_bytes(planned, tiny_task.input_shape)))
    ends = ("", "_low", "_high")
    assert [found[f"peak_memory_bytes{end}"] for end in ends] == [arena.bytes] * 3
    assert [found[f"arena_bytes{end}"] for end in ends] == [arena.bytes, None, None]
    assert [found[f"latency_ms{end}"] for end in ends] == [None] * 3
    assert found["latency_status"] == "unknown: litert-micro was never timed"
    assert found["micro_status"] == "runs"
    whole = Metrics.from_json(made_up_metrics(nonzero_parameters=1).to_json() | found)
    assert Metrics.from_json(whole.to_json()) == whole


def test_what_is_not_known_yet_has_an_interval(tiny_task: Task) -> None:
    """Widths that are measured: between what is alive at once and the network as it was given."""
    found, given = price("mixed_precision", tiny_task), price("baseline", tiny_task)
    assert found["micro_status"] is None
    assert 0 < found["arena_bytes_low"] <= found["arena_bytes"] <= found["arena_bytes_high"]  # type: ignore[operator]
    assert found["arena_bytes_high"] >= given["arena_bytes"]  # type: ignore[operator]
    eight = price("quantize(bits=8)", tiny_task)
    assert found["arena_bytes_low"] <= eight["arena_bytes"]  # type: ignore[operator]
    assert found["peak_memory_bytes_low"] == found["arena_bytes_low"]


def test_a_recipe_is_rejected_before_training_with_the_reason(tiny_task: Task) -> None:
    arena = price("quantize(bits=8)", tiny_task)["arena_bytes"]
    demanded = demands([f"arena_bytes <= {arena}", "flash_bytes <= 1e9"], Runtime.named(DEVICE))
    judge = Judge(demanded, made_up_metrics().to_json())
    assert judge.rejection(price("quantize(bits=8)", tiny_task)) is None
    assert judge.rejection(price("mixed_precision", tiny_task)) is None  # its favourable end may do
    narrow = judge.rejection(price("quantize(bits=2)", tiny_task))
    assert narrow is not None and "litert-micro does not load it: it does not run" in narrow.reason
    whole = judge.rejection(price("baseline", tiny_task))
    assert whole is not None and whole.reason.startswith("arena_bytes ")


@pytest.mark.parametrize(
    ("asked", "where"), [({"goal": "fastest"}, ("goal",)), ({"constraints": ("latency_ms <= 3",)}, None)]
)
def test_a_study_cannot_ask_for_what_nobody_timed(asked: dict[str, object], where: tuple[str] | None) -> None:
    with pytest.raises(StudyMistake, match="litert-micro was never timed, latency_ms is unknown; ") as caught:
        Study(task="digits", device=DEVICE, **asked)  # type: ignore[arg-type]
    assert caught.value.where == (where or ("constraints", 0))
    held = Study(task="digits", device=DEVICE, constraints=("flash_bytes <= 262144", "arena_bytes <= 65536"))
    assert [str(one) for one in held.demands] == [
        "flash_bytes <= 262144",
        "arena_bytes <= 65536",
        "micro_status = runs",
    ]
