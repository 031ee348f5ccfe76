"""The pipeline: a step depends on its prefix alone, is made once, and is told with what it took."""

import multiprocessing
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from atoll.evaluators import tasks
from atoll.evaluators.datasets.dataset import ImagesInMemory
from atoll.evaluators.measuring.artifact import packed_bytes, shipped_logits
from atoll.evaluators.steps import baseline, step_entries
from atoll.evaluators.steps import pipeline as pipeline_module
from atoll.evaluators.steps.context import TrainingContext
from atoll.evaluators.steps.pipeline import Pipeline
from atoll.evaluators.steps.pipeline_result import PipelineResult
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.steps.step_cache import StepCache
from atoll.evaluators.steps.work import Position
from atoll.evaluators.tasks import given_network
from atoll.evaluators.tasks.task import Task
from atoll.evaluators.training.prediction import predict_logits
from atoll.evaluators.training.settings import Training
from atoll.hw_models.devices.device import Device
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from torch import nn

PRUNED = "prune_channels(ratio=0.25)"
RECIPE = Recipe.parse(f"{PRUNED} -> quantize(bits=8)")
SIBLING = Recipe.parse(f"{PRUNED} -> cluster(clusters=8)")

NewPipeline = Callable[..., Pipeline]


@pytest.fixture(scope="module")
def new_pipeline(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> NewPipeline:
    """Builds a pipeline over the tiny task, on a cache of its own where none is named."""

    def build(cache: Path | None = None, task: Task = tiny_task, **changed: Any) -> Pipeline:
        settings = replace(Settings(task.name, "coral-dev-board", 0, 0.5, 1.0), **changed)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tasks, "TASKS", (task,))
            return Pipeline(settings, cache or tmp_path_factory.mktemp("cache"))

    return build


@pytest.fixture(scope="module")
def cold(new_pipeline: NewPipeline) -> tuple[Pipeline, PipelineResult]:
    """A recipe of two steps from nothing, and the pipeline that made it; nobody may add to its cache."""
    pipeline = new_pipeline()
    return pipeline, pipeline.run(RECIPE)


@pytest.fixture
def warm(new_pipeline: NewPipeline, cold: tuple[Pipeline, PipelineResult], tmp_path: Path) -> NewPipeline:
    """Builds pipelines over a copy of the cold run's cache."""
    shutil.copytree(folder_cache(cold[0]).root, tmp_path / "cache")
    return lambda **changed: new_pipeline(tmp_path / "cache", **changed)


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lists the steps that are made from now on."""
    made: list[str] = []
    real = Pipeline._make_step

    def spied(self: Pipeline, prefix: Recipe, before: Any) -> Any:
        made.append(str(prefix.steps[-1]))
        return real(self, prefix, before)

    monkeypatch.setattr(Pipeline, "_make_step", spied)
    return made


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (nn.LogSoftmax(1), "operation 'LogSoftmax' at 4: allowed are"),
        (
            nn.Upsample(scale_factor=2, mode="bicubic"),
            "4: an upsampling of mode 'bicubic' from .* cannot be written",
        ),
    ],
    ids=["no price", "no file"],
)
def test_a_network_that_no_trial_can_be_measured_of_is_refused_before_training(
    last: nn.Module,
    said: str,
    tiny_task: Task,
    new_pipeline: NewPipeline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    channels, classes = tiny_task.input_shape[0], tiny_task.num_classes
    layers = [nn.Conv2d(channels, 8, 3), nn.ReLU(), nn.Conv2d(8, classes, 1), nn.ReLU(), last, nn.Flatten()]
    monkeypatch.setattr(given_network, "given_network", lambda task: nn.Sequential(*layers))
    monkeypatch.setattr(baseline, "TrainingContext", None)  # training would need it
    with pytest.raises(AtollError, match=f"^the network cannot be searched, nothing was trained: {said}"):
        new_pipeline().run(Recipe())


def folder_cache(pipeline: Pipeline) -> StepCache:
    """The pipeline's cache, known to lie in a folder."""
    assert isinstance(pipeline.cache, StepCache)
    return pipeline.cache


def assert_same(a: PipelineResult, b: PipelineResult) -> None:
    """Both hold the same network to the last bit, and the same figures but for times."""
    theirs = b.network.state_dict()
    assert a.network.state_dict().keys() == theirs.keys()
    for name, tensor in a.network.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name
    assert a.digest == b.digest
    assert a.decisions == b.decisions
    assert replace(a.metrics, train_seconds=0) == replace(b.metrics, train_seconds=0)


def test_every_step_says_what_it_took(cold: tuple[Pipeline, PipelineResult]) -> None:
    pipeline, result = cold
    assert [(step.position, step.step) for step in result.steps] == [(1, PRUNED), (2, "quantize(bits=8)")]
    assert [(step.technique, step.stage) for step in result.steps] == [
        ("prune_channels", "structure"),
        ("quantize", "numbers"),
    ]
    for step in result.steps:
        assert step.epochs == 0.5
        assert step.seconds > 0
        assert step.worker_pid == os.getpid()
        assert not step.cached
    assert result.metrics.train_epochs == 1.0
    assert result.metrics.train_seconds == pytest.approx(sum(step.seconds for step in result.steps))
    last = result.steps[-1]
    for name in (
        "quality",
        "payload_bytes",
        "model_bytes",
        "packed_bytes",
        "macs",
        "latency_ms",
        "parameters",
    ):
        assert getattr(last, name) == getattr(result.metrics, name), name
    assert result.steps[0].model_bytes > last.model_bytes
    validation = pipeline.dataset.validation
    said = shipped_logits(result.network, validation.images)
    assert result.metrics.quality == pipeline.task.judged_by.measure(said, validation.labels)


def test_a_second_run_reads_everything(warm: NewPipeline, cold: Any, applied: list[str]) -> None:
    again = warm().run(RECIPE)
    assert applied == []
    assert_same(again, cold[1])
    assert all(step.cached for step in again.steps)
    assert [step.seconds for step in again.steps] == [step.seconds for step in cold[1].steps]


def test_a_shared_prefix_is_taken_and_the_tail_is_that_of_a_cold_run(
    warm: NewPipeline, new_pipeline: NewPipeline, applied: list[str]
) -> None:
    short_cut = warm().run(SIBLING)
    assert applied == ["cluster(clusters=8)"]
    assert [step.cached for step in short_cut.steps] == [True, False]
    assert_same(short_cut, new_pipeline().run(SIBLING))


def test_a_longer_recipe_goes_on_from_a_shorter_one(warm: NewPipeline, applied: list[str]) -> None:
    pipeline = warm()
    longer = pipeline.run(Recipe.parse(f"{RECIPE} -> distill(temperature=2.0)"))
    assert applied == ["distill(temperature=2.0)"]
    assert [step.cached for step in longer.steps] == [True, True, False]
    assert longer.metrics.train_epochs == 1.5


def test_two_processes_with_the_same_recipe_train_every_step_once(
    new_pipeline: NewPipeline, tmp_path: Path, cold: Any
) -> None:
    log = tmp_path / "log"
    real = Pipeline._make_step

    def logged(self: Pipeline, prefix: Recipe, before: Any) -> Any:
        with log.open("a") as stream:
            stream.write(f"{prefix}\n")
        return real(self, prefix, before)

    def work(pipeline: Pipeline) -> None:
        Pipeline._make_step = logged  # type: ignore[method-assign]  # in this process alone
        pipeline.run(RECIPE)

    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=work, args=(new_pipeline(tmp_path / "cache"),)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert sorted(log.read_text().splitlines()) == [PRUNED, str(RECIPE)]
    result = new_pipeline(tmp_path / "cache").run(RECIPE)
    assert_same(result, cold[1])
    pids = {step.worker_pid for step in result.steps}
    assert pids <= {worker.pid for worker in workers}


def test_a_damaged_step_is_made_again_to_the_last_bit(
    warm: NewPipeline, cold: Any, applied: list[str]
) -> None:
    pipeline = warm()
    weights = folder_cache(pipeline).root / cold[1].key[:2] / cold[1].key / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x55")
    assert_same(pipeline.run(RECIPE), cold[1])
    assert applied == ["quantize(bits=8)"]


def test_a_step_s_seed_depends_on_seed_and_prefix_alone(
    new_pipeline: NewPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same step has one seed wherever it stands after the same prefix, another one elsewhere."""
    seeds: list[int] = []
    real = pipeline_module.TrainingContext

    def spied(task: Any, dataset: Any, teacher: Any, seed: int, *rest: Any) -> Any:
        seeds.append(seed)
        return real(task, dataset, teacher, seed, *rest)

    monkeypatch.setattr(pipeline_module, "TrainingContext", spied)

    def seeds_of(text: str, **changed: Any) -> list[int]:
        seeds.clear()
        new_pipeline(epochs_per_step=0.0, baseline_epochs=0.0, **changed).run(Recipe.parse(text))
        return list(seeds)

    first = seeds_of("cluster(clusters=8) -> prune_weights(ratio=0.5)")
    assert seeds_of("cluster(clusters=8) -> prune_weights(ratio=0.75)")[0] == first[0]
    assert seeds_of("cluster(clusters=8) -> prune_weights(ratio=0.5)") == first
    assert seeds_of("prune_weights(ratio=0.5)")[0] != first[1]
    assert seeds_of("cluster(clusters=8) -> prune_weights(ratio=0.5)", seed=1)[0] != first[0]


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 1},
        {"threads": 2},
        {"epochs_per_step": 0.25},
        {"baseline_epochs": 0.5},
        {"loss": "distilled"},
        {"epochs": {"quantize": 0.25}},
    ],
    ids=str,
)
def test_what_decides_a_result_is_in_its_key(warm: NewPipeline, changed: dict[str, Any]) -> None:
    assert warm().is_cached(RECIPE)
    assert not warm(**changed).is_cached(RECIPE)


def test_every_fit_of_a_distilled_study_asks_the_kept_answers_of_the_same_baseline(
    warm: NewPipeline, cold: Any, applied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = TrainingContext._answering

    def noting(self: TrainingContext) -> Any:
        asked.append(applied[-1])
        found = real(self)
        assert isinstance(found, torch.Tensor)
        return found

    monkeypatch.setattr(TrainingContext, "_answering", noting)
    pipeline = warm(loss="distilled")
    staged = Recipe.parse("prune_weights(ratio=0.5, schedule=agp) -> quantize(bits=8)")
    found = pipeline.run(staged)
    an_epoch = len(pipeline.dataset.train) // pipeline.task.training.batch_size
    for step in found.steps:
        assert asked.count(step.step) == round(step.epochs * an_epoch) > 0
    assert pipeline.baseline.digest == cold[0].baseline.digest


def test_techniques_have_epochs_of_their_own_and_zero_measures_statistics_alone(
    warm: NewPipeline, applied: list[str]
) -> None:
    recipe = Recipe.parse(f"{PRUNED} -> prune_weights(ratio=0.5, schedule=agp) -> quantize(bits=8)")
    pipeline = warm(epochs={"prune_weights": 0.0, "quantize": 0.25})
    found = pipeline.run(recipe)
    assert applied == [str(step) for step in recipe.steps[1:]], "other techniques' steps are shared"
    an_epoch = len(pipeline.dataset.train) // pipeline.task.training.batch_size
    assert [step.epochs * an_epoch for step in found.steps] == [
        round(0.5 * an_epoch),
        0,
        round(0.25 * an_epoch),
    ]
    before = pipeline.run(Recipe(recipe.steps[:1])).network.state_dict()
    after = pipeline.run(Recipe(recipe.steps[:2])).network.state_dict()
    weights = [name for name in before if name.endswith("weight.raw")]
    assert weights and all(torch.equal(after[name], before[name]) for name in weights)
    means = [name for name in before if name.endswith("running_mean")]
    assert means and not any(torch.equal(after[name], before[name]) for name in means)


def test_the_task_decides_a_result_too(warm: NewPipeline, tiny_task: Task) -> None:
    for changed in (Training(2e-3, 32), Training(1e-3, 16), Training(1e-3, 32, clip_norm=1.0)):
        assert not warm(task=replace(tiny_task, training=changed)).is_cached(RECIPE), changed
    data = tiny_task.dataset()
    assert isinstance(data, ImagesInMemory)
    dataset = replace(data, version="2")
    assert not warm(task=replace(tiny_task, load_dataset=lambda: dataset)).is_cached(RECIPE)
    # what only says how a study begins does not
    assert warm(task=replace(tiny_task, epochs_per_step=7.0)).is_cached(RECIPE)


def test_the_baseline_is_one_record_and_pinned(warm: NewPipeline, cold: Any) -> None:
    result = warm().run(Recipe())
    assert [(step.position, step.step, step.cached) for step in result.steps] == [(0, "baseline", True)]
    assert result.steps[0].notes["chosen"] in ("given", "plain", "self_distilled")
    assert result.metrics.label_loyalty == 1.0
    pipeline = warm()
    cache = folder_cache(pipeline)
    cache.quota_bytes = 0
    cache.evict()
    assert pipeline.cache.has(result.key)
    assert not pipeline.is_cached(RECIPE)


def test_what_is_to_be_kept_survives_eviction(warm: NewPipeline) -> None:
    pipeline = warm()
    pipeline.run(RECIPE, keep=True)
    cache = folder_cache(pipeline)
    cache.quota_bytes = 0
    cache.evict()
    assert pipeline.is_cached(RECIPE)
    assert not pipeline.is_cached(Recipe.parse(PRUNED))


def test_prices_are_those_of_today_s_device_model(
    warm: NewPipeline, cold: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A calibration made after a step was trained prices it as it would have been priced then."""
    real = step_entries.price

    def dearer(network: Any, device: Device) -> Any:
        found = real(network, device)
        value, low, high, status = found.latency_ms
        return replace(found, latency_ms=(value + 100, low + 100, high + 100, status))

    monkeypatch.setattr(step_entries, "price", dearer)
    result = warm().run(RECIPE)
    assert result.metrics.latency_ms == cold[1].metrics.latency_ms + 100
    assert [step.latency_ms for step in result.steps] == [step.latency_ms + 100 for step in cold[1].steps]
    assert result.metrics.quality == cold[1].metrics.quality


def test_an_entry_of_a_file_that_is_written_otherwise_by_now_is_packed_anew(
    warm: NewPipeline, cold: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Size and packed size are of one file; that of an earlier step, whose weights are gone, is unknown."""
    real = step_entries.price
    monkeypatch.setattr(
        step_entries, "price", lambda *of: replace(real(*of), model_bytes=real(*of).model_bytes - 16)
    )
    monkeypatch.setattr(step_entries, "artifact_bytes", lambda network, shape: b"")
    result = warm().run(RECIPE)
    assert result.metrics.model_bytes == cold[1].metrics.model_bytes - 16
    assert result.metrics.packed_bytes == packed_bytes(b"") < cold[1].metrics.packed_bytes
    assert [step.packed_bytes for step in result.steps] == [None, packed_bytes(b"")]


def test_the_network_that_is_read_computes_what_was_trained(warm: NewPipeline, cold: Any) -> None:
    pipeline = warm()
    images = pipeline.dataset.validation.images
    assert torch.equal(
        predict_logits(pipeline.run(RECIPE).network, images), predict_logits(cold[1].network, images)
    )
    assert not pipeline.run(RECIPE).network.training


def test_the_given_network_stays_as_it_was_given(cold: Any, new_pipeline: NewPipeline) -> None:
    fresh = new_pipeline().basis.given.state_dict()
    for name, tensor in cold[0].basis.given.state_dict().items():
        assert torch.equal(tensor, fresh[name]), name


def test_an_order_without_meaning_costs_nothing(new_pipeline: NewPipeline) -> None:
    pipeline = new_pipeline()
    with pytest.raises(AtollError, match="can only be the first step"):
        pipeline.run(Recipe.parse("quantize(bits=8) -> distill(student=compact_cnn)"))
    assert not list(folder_cache(pipeline).root.iterdir())


def test_a_step_that_diverges_is_an_error_and_no_entry(warm: NewPipeline, tiny_task: Task) -> None:
    pipeline = warm()
    assert pipeline.baseline
    pipeline.basis.task = replace(tiny_task, training=Training(1e30, 32))  # the keys are those of the old one
    recipe = Recipe.parse(f"{PRUNED} -> prune_weights(ratio=0.5)")
    with pytest.raises(AtollError, match="training diverged"):
        pipeline.run(recipe)
    assert not pipeline.is_cached(recipe)
    pipeline.basis.task = tiny_task
    assert pipeline.run(recipe).metrics.quality > 0.3


def test_where_a_recipe_is_is_told(warm: NewPipeline, cold: tuple[Pipeline, PipelineResult]) -> None:
    """The first of two steps lies in the cache; the second one trains for half an epoch."""
    pipeline, told = warm(), list[Position]()
    pipeline.told = told.append
    assert pipeline.run(RECIPE).digest == cold[1].digest and told == [], "all of it lies there"
    pipeline.run(SIBLING)
    assert told[0] == Position(2, 0.0, 0.5)
    assert {(at.step, at.epochs) for at in told} == {(2, 0.5)}
    done = [at.epochs_done for at in told]
    assert done == sorted(done) and done[-1] == pytest.approx(0.5)
