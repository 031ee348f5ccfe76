"""The worker's function: what goes in and comes out crosses processes, and a lost training is an error."""

import json
import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from atoll.evaluators.measuring import measure as measure_module
from atoll.evaluators.ranking.metrics import Metrics
from atoll.evaluators.steps.evaluate import (
    Evaluation,
    EvaluationRequest,
    evaluate,
    pipeline_for,
    price_recipe,
)
from atoll.evaluators.steps.pipeline_result import StepRecord
from atoll.evaluators.tasks.task import Task
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe


@pytest.fixture(scope="module")
def request_(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> EvaluationRequest:
    return EvaluationRequest(
        task=tiny_task.name,
        recipe=Recipe.parse("tensor_train(rank=2, fit_steps=5) -> quantize(bits=8)"),
        seed=0,
        epochs_per_step=0.2,
        baseline_epochs=0.2,
        device="coral-dev-board",
        cache_dir=tmp_path_factory.mktemp("cache"),
    )


@pytest.fixture(scope="module")
def evaluation(request_: EvaluationRequest) -> Evaluation:
    return evaluate(request_)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_request_crosses_processes(request_: EvaluationRequest) -> None:
    assert pickle.loads(pickle.dumps(request_)) == request_


def test_an_evaluation_crosses_processes(evaluation: Evaluation) -> None:
    assert pickle.loads(pickle.dumps(evaluation)) == evaluation


def test_an_evaluation_survives_json(evaluation: Evaluation) -> None:
    found = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert Metrics.from_json(found["metrics"]) == evaluation.metrics
    assert tuple(StepRecord(**step) for step in found["steps"]) == evaluation.steps
    rest = {name: found[name] for name in ("seconds", "digest", "worker_pid")}
    assert Evaluation(evaluation.metrics, evaluation.steps, **rest) == evaluation


def test_an_evaluation_says_who_worked_and_how_long(evaluation: Evaluation) -> None:
    assert evaluation.worker_pid == os.getpid()
    assert evaluation.seconds >= sum(step.seconds for step in evaluation.steps) > 0
    assert len(evaluation.digest) == 64
    assert [step.technique for step in evaluation.steps] == ["tensor_train", "quantize"]


def test_the_same_request_finds_the_same(request_: EvaluationRequest, evaluation: Evaluation) -> None:
    again = evaluate(request_)
    assert again.digest == evaluation.digest
    assert again.metrics == evaluation.metrics
    assert all(step.cached for step in again.steps)


def test_the_empty_recipe_is_the_baseline(request_: EvaluationRequest) -> None:
    found = evaluate(replace(request_, recipe=Recipe()))
    assert [step.technique for step in found.steps] == ["baseline"]
    assert found.metrics.label_loyalty == found.metrics.probability_loyalty == 1.0


def test_a_process_keeps_data_and_baseline(request_: EvaluationRequest) -> None:
    other = replace(request_, recipe=Recipe.parse("binarize"), keep=True)
    assert pipeline_for(request_) is pipeline_for(other)


def test_torch_works_with_the_threads_of_the_key(request_: EvaluationRequest, threads: None) -> None:
    """Whoever gets the pipeline may train: what it makes is stored under that number of threads."""
    pipeline = pipeline_for(replace(request_, threads=2))
    assert torch.get_num_threads() == pipeline.basis.threads == 2
    pipeline_for(request_)
    assert torch.get_num_threads() == 1


def test_outputs_that_are_no_numbers_are_an_error(
    request_: EvaluationRequest, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(request_, recipe=Recipe.parse("prune_weights(ratio=0.5)"))
    monkeypatch.setattr(
        measure_module, "predict_logits", lambda model, images: torch.full((len(images), 10), torch.nan)
    )
    with pytest.raises(AtollError, match="not finite"):
        evaluate(broken)
    assert not pipeline_for(broken).is_cached(broken.recipe)


def test_training_that_diverges_is_an_error(
    request_: EvaluationRequest, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch, tiny_task: Task
) -> None:
    broken = replace(request_, recipe=Recipe.parse("cluster(clusters=8)"))
    monkeypatch.setattr(pipeline_for(broken).basis, "task", replace(tiny_task, learning_rate=1e30))
    with pytest.raises(AtollError, match="training diverged"):
        evaluate(broken)
    assert not pipeline_for(broken).is_cached(broken.recipe)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"task": "tinny"}, "unknown task 'tinny'.*did you mean 'tiny'"),
        ({"device": "coral"}, "unknown device 'coral'"),
        ({"recipe": Recipe.parse("binarize -> quantize(bits=8)")}, "can take only 2 values already"),
    ],
    ids=["task", "device", "order"],
)
def test_what_cannot_be_evaluated_is_refused(
    request_: EvaluationRequest, changed: dict[str, object], message: str
) -> None:
    with pytest.raises(AtollError, match=message):
        evaluate(replace(request_, **changed))


def test_a_cache_that_cannot_be_written_is_said(request_: EvaluationRequest, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AtollError, match=r"step cache .*: cannot write"):
        evaluate(replace(request_, cache_dir=tmp_path / "file" / "cache"))


def test_a_price_needs_no_data_and_no_cache(tiny_task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Task, "dataset", lambda task: pytest.fail("a price asks for no images"))
    recipe = Recipe.parse("prune_channels(ratio=0.5, multiple=4) -> quantize(bits=8)")
    assert price_recipe(recipe, "tiny", "coral-dev-board").model_bytes > 0
