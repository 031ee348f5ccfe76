"""The worker's function: what goes in and comes out crosses processes, and a lost training is an error."""

import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from atoll.evaluators.cache_dir import cache_dir
from atoll.evaluators.measuring import measure as measure_module
from atoll.evaluators.ranking.demands import demands
from atoll.evaluators.steps.evaluate import evaluate, pipeline_for, price_recipe
from atoll.evaluators.steps.pipeline import Pipeline
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.steps.work import Outcome, Work
from atoll.evaluators.tasks.task import Task
from atoll.evaluators.training.settings import Training
from atoll.hw_models.runtimes.runtime import Runtime
from atoll.search.proposer.trial_scores import Judge
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import made_up_metrics


@pytest.fixture(scope="module")
def work(tiny_task: Task) -> Work:
    recipe = Recipe.parse("tensor_train(rank=2, fit_steps=5) -> quantize(bits=8)")
    return Work(Settings(tiny_task.name, "coral-dev-board", 0, 0.2, 0.2), recipe)


@pytest.fixture(scope="module")
def outcome(work: Work) -> Outcome:
    return evaluate(work)


def pipeline_of(work: Work) -> Pipeline:
    return pipeline_for(work.settings, cache_dir())


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_what_was_found_crosses_processes(outcome: Outcome) -> None:
    assert pickle.loads(pickle.dumps(outcome)) == outcome
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json(), allow_nan=False))) == outcome


def test_an_outcome_says_how_long_it_took_and_what_was_done(outcome: Outcome) -> None:
    assert outcome.status == "finished" and outcome.metrics is not None
    assert outcome.seconds >= sum(step.seconds for step in outcome.steps) > 0
    assert len(outcome.weights_digest) == 64
    assert [step.technique for step in outcome.steps] == ["tensor_train", "quantize"]


def test_the_same_work_finds_the_same(work: Work, outcome: Outcome) -> None:
    again = evaluate(work)
    assert again.weights_digest == outcome.weights_digest
    assert again.metrics == outcome.metrics
    assert all(step.cached for step in again.steps)


def test_the_empty_recipe_is_the_baseline(work: Work) -> None:
    found = evaluate(replace(work, recipe=Recipe()))
    assert [step.technique for step in found.steps] == ["baseline"]
    assert found.metrics.label_loyalty == found.metrics.probability_loyalty == 1.0


def test_a_process_keeps_data_and_baseline(work: Work) -> None:
    equal = Settings.from_json(work.settings.to_json())
    assert pipeline_of(work) is pipeline_for(equal, cache_dir())
    assert pipeline_of(work) is not pipeline_for(replace(equal, seed=1), cache_dir())


def test_torch_works_with_the_threads_of_the_key(work: Work, threads: None) -> None:
    """Whoever gets the pipeline may train: what it makes is stored under that number of threads."""
    pipeline = pipeline_for(replace(work.settings, threads=2), cache_dir())
    assert torch.get_num_threads() == pipeline.settings.threads == 2
    pipeline_of(work)
    assert torch.get_num_threads() == 1


def test_outputs_that_are_no_numbers_are_an_error(
    work: Work, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(work, recipe=Recipe.parse("prune_weights(ratio=0.5)"))
    monkeypatch.setattr(
        measure_module, "shipped_logits", lambda model, images: torch.full((len(images), 10), torch.nan)
    )
    with pytest.raises(AtollError, match="not finite"):
        evaluate(broken)
    assert not pipeline_of(broken).is_cached(broken.recipe)


def test_training_that_diverges_is_an_error(
    work: Work, outcome: Outcome, monkeypatch: pytest.MonkeyPatch, tiny_task: Task
) -> None:
    broken = replace(work, recipe=Recipe.parse("cluster(clusters=8)"))
    monkeypatch.setattr(pipeline_of(broken).basis, "task", replace(tiny_task, training=Training(1e30, 32)))
    with pytest.raises(AtollError, match="training diverged"):
        evaluate(broken)
    assert not pipeline_of(broken).is_cached(broken.recipe)


def with_settings(**changed: object) -> Callable[[Work], Work]:
    return lambda work: replace(work, settings=replace(work.settings, **changed))


def with_recipe(text: str) -> Callable[[Work], Work]:
    return lambda work: replace(work, recipe=Recipe.parse(text))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (with_settings(task="tinny"), "unknown task 'tinny'.*did you mean 'tiny'"),
        (with_settings(device="coral"), "unknown device 'coral'"),
        (with_recipe("binarize -> quantize(bits=8)"), "can take only 2 values already"),
    ],
    ids=["task", "device", "order"],
)
def test_what_cannot_be_evaluated_is_refused(
    work: Work, changed: Callable[[Work], Work], message: str
) -> None:
    with pytest.raises(AtollError, match=message):
        evaluate(changed(work))


def test_a_cache_that_cannot_be_written_is_said(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(AtollError, match=r"step cache .*: cannot write"):
        evaluate(work)


def test_a_price_needs_no_data_and_no_cache(tiny_task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Task, "dataset", lambda task: pytest.fail("a price asks for no images"))
    recipe = Recipe.parse("prune_channels(ratio=0.5, multiple=4) -> quantize(bits=8)")
    assert price_recipe(recipe, "tiny", "coral-dev-board").model_bytes > 0


@pytest.mark.parametrize("recipe", ["quantize(bits=16)", "mixed_precision(bits=8, wide=1)"])
def test_half_precision_is_rejected_before_training_where_the_runtime_gets_it_wrong(
    recipe: str, tiny_task: Task
) -> None:
    price = price_recipe(Recipe.parse(recipe), tiny_task.name, "coral-dev-board").to_metrics()
    base = made_up_metrics().to_json()
    faulty, right = (Judge(demands([], Runtime.named(name)), base) for name in ("litert-1.2", "litert-1"))
    found = faulty.rejection(price)
    assert found is not None and found.reason.startswith("litert-1.2 does not run half precision right")
    assert right.rejection(price) is None
    other = price_recipe(Recipe.parse("mixed_precision(bits=8)"), tiny_task.name, "coral-dev-board")
    assert faulty.rejection(other.to_metrics()) is None
