"""Carries out recipes step by step, from the longest prefix that the cache already has."""

import os
import time
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..hw_models.device import Device
from ..spaces.channels.widen import widened
from ..spaces.layers.structure import adopt, to_meta
from ..spaces.order import check_order
from ..spaces.recipe import Recipe
from ..spaces.technique import Decisions
from .baseline import make_baseline
from .bigger_teacher import make_bigger_teacher
from .context import TrainingContext
from .datasets.dataset import Dataset
from .digests import derived_seed, digest_json, digest_tensors, library_versions
from .measure import Price, measure, price
from .metrics import Metrics
from .step_cache import Entry, StepCache
from .tasks.given import given_network
from .tasks.task import Task
from .training import predict_logits, predict_views

#: raised when the pipeline itself changes what a step gives
PIPELINE_VERSION = 1


@dataclass(frozen=True)
class StepRecord:
    """What one step did and what the network was worth after it.

    Args:
        position: 1 for the first step; 0 for the baseline.
        step: its text.
        technique, stage: what it is.
        epochs: passes over the training split that it spent.
        seconds: wall time of making it (not of reading it back).
        cached: whether this trial found it in the cache.
        worker_pid: the process that made it.
        quality, payload_bytes, model_bytes, packed_bytes, macs, latency_ms, peak_memory_bytes, parameters:
            after the step, on the validation split; latency, memory and model bytes predicted.
        notes: what the technique wants its reader to know (fates of constraints, layers left alone).
    """

    position: int
    step: str
    technique: str
    stage: str
    epochs: float
    seconds: float
    cached: bool
    worker_pid: int
    quality: float
    payload_bytes: int
    model_bytes: int
    packed_bytes: int | None
    macs: int
    latency_ms: float
    peak_memory_bytes: float
    parameters: int
    notes: dict[str, Any]


@dataclass(frozen=True)
class PipelineResult:
    """A network with everything that is known of it.

    Args:
        network: the final one, in evaluation mode.
        decisions: of every step, in order.
        metrics: of the final network.
        steps: one record a step.
        digest: SHA-256 over the final weights.
        key: its key in the step cache.
    """

    network: nn.Module
    decisions: tuple[Decisions, ...]
    metrics: Metrics
    steps: tuple[StepRecord, ...]
    digest: str
    key: str


class Pipeline:
    """Everything that trials of one study share in one process.

    Args:
        task: network, data, fine-tuning.
        device: predicts latency and memory.
        cache_dir: folder of the step cache.
        seed: of the trials.
        epochs_per_step: what each step may spend on training.
        baseline_epochs: what the baseline may spend.
        threads: of torch; part of the key.
    """

    def __init__(
        self,
        task: Task,
        device: Device,
        cache_dir: Path,
        seed: int,
        epochs_per_step: float,
        baseline_epochs: float,
        threads: int,
    ) -> None:
        self.task, self.device = task, device
        self.cache = StepCache(cache_dir)
        self.seed, self.epochs_per_step, self.baseline_epochs = seed, epochs_per_step, baseline_epochs
        self.threads = threads

    # What the trials share ---------------------------------------------------------------------------

    @cached_property
    def dataset(self) -> Dataset:
        """The task's data."""
        return self.task.dataset()

    @cached_property
    def given(self) -> nn.Module:
        """The network as it was given, adopted."""
        return adopt(given_network(self.task), self.task.input_shape).eval()

    @cached_property
    def baseline(self) -> PipelineResult:
        """The baseline, made once and kept in the cache for good."""
        key = self._key({"baseline_epochs": self.baseline_epochs})
        with self.cache.making(key):
            entry = self.cache.get(key)
            cached = entry is not None
            if entry is None:
                entry = self._make_baseline(key)
        self.cache.pin(key)
        return self._result(key, entry, Recipe(), cached)

    @cached_property
    def baseline_logits(self) -> Tensor:
        """The baseline's outputs on the validation split."""
        return predict_logits(self.baseline.network, self.dataset.validation.images)

    @cached_property
    def teacher_logits(self) -> Tensor:
        """The baseline's answers to all views of the training images, computed once and kept in the cache."""
        key = self._key({"teacher_logits_of": self.baseline.digest})
        with self.cache.making(key):
            entry = self.cache.get(key)
            if entry is None:
                entry = Entry({"logits": predict_views(self.baseline.network, self.dataset.train.images)}, {})
                self.cache.put(key, entry)
        return entry.tensors["logits"]

    @cached_property
    def bigger_teacher(self) -> nn.Module:
        """The baseline with twice the channels, trained with the baseline's budget, when a step asks for it.

        Made once and kept in the cache; outside the budget of the steps, as the baseline is.
        """
        key = self._key({"bigger_teacher_of": self.baseline.digest, "epochs": self.baseline_epochs})
        with self.cache.making(key):
            entry = self.cache.get(key)
            if entry is None:
                made = make_bigger_teacher(
                    self.baseline.network,
                    self.task,
                    self.dataset,
                    self.baseline_epochs,
                    self.seed,
                    self.teacher_logits,
                )
                entry = Entry(made.state_dict(), {})
                self.cache.put(key, entry)
        network = widened(self.baseline.network)
        network.load_state_dict(entry.tensors)
        return network.eval()

    @cached_property
    def _common(self) -> dict[str, Any]:
        """What belongs into every key."""
        return {
            "pipeline": PIPELINE_VERSION,
            "task": self.task.name,
            "network": digest_tensors(self.given.state_dict()),
            "data": self.dataset.version,
            "learning_rate": self.task.learning_rate,
            "batch_size": self.task.batch_size,
            "seed": self.seed,
            "threads": self.threads,
            "libraries": library_versions(),
        }

    def _key(self, what: dict[str, Any]) -> str:
        return digest_json({**self._common, **what})

    # Carrying out ------------------------------------------------------------------------------------

    def run(self, recipe: Recipe, keep: bool = False) -> PipelineResult:
        """Carries out a recipe and returns the network with its metrics and the record of every step.

        Args:
            recipe: legal, or refused with the reason.
            keep: whether the result is pinned in the cache.

        Raises:
            AtollError: the order is refused, a step cannot be applied, or training diverged.
        """
        check_order(recipe)
        if not recipe.steps:
            return self.baseline
        prefixes = recipe.prefixes()[1:]
        found = [n for n, prefix in enumerate(prefixes, start=1) if self.cache.has(self._step_key(prefix))]
        start, entry = 0, None
        for n in reversed(found):
            entry = self.cache.get(self._step_key(prefixes[n - 1]))
            if entry is not None:
                start = n
                break
        cached_steps = start
        for prefix in prefixes[start:]:
            key = self._step_key(prefix)
            with self.cache.making(key):
                made = self.cache.get(key)
                if made is not None:
                    cached_steps = len(prefix)
                else:
                    made = self._make_step(key, prefix, entry)
            entry = made
        assert entry is not None
        key = self._step_key(recipe)
        if keep:
            self.cache.pin(key)
        return self._result(key, entry, recipe, cached_steps)

    def is_cached(self, recipe: Recipe) -> bool:
        """Whether the recipe's result is in the cache."""
        return not recipe.steps or self.cache.has(self._step_key(recipe))

    def rebuilt(self, recipe: Recipe, record: dict[str, Any]) -> nn.Module:
        """Returns the structure that the decisions in a record lead to; its tensors are not filled."""
        network = self.given
        for step, decisions in zip(recipe, record["decisions"], strict=True):
            network = step.rebuild(network, decisions)
        return network

    def _step_key(self, prefix: Recipe) -> str:
        what = {
            "recipe": prefix.identity(),
            "epochs_per_step": self.epochs_per_step,
            "baseline_epochs": self.baseline_epochs,  # the teacher
        }
        return self._key(what)

    def _make_baseline(self, key: str) -> Entry:
        started = time.perf_counter()
        network, qualities = make_baseline(
            self.given, self.task, self.dataset, self.baseline_epochs, self.seed
        )
        chosen = max(qualities, key=lambda name: qualities[name])
        epochs = 0.0 if chosen == "given" else self.baseline_epochs
        notes = {"chosen": chosen, "quality": qualities}
        return self._publish(key, network, [], [], None, epochs, time.perf_counter() - started, notes)

    def _make_step(self, key: str, prefix: Recipe, before: Entry | None) -> Entry:
        step = prefix.steps[-1]
        started = time.perf_counter()
        network, earlier, decisions = self.given, [], []
        if before is not None:
            network = self._filled(Recipe(prefix.steps[:-1]), before)
            earlier, decisions = before.record["steps"], before.record["decisions"]
        context = TrainingContext(
            self.task,
            self.dataset,
            self.baseline.network,
            derived_seed(self.seed, prefix.digest),
            self.epochs_per_step,
            lambda: self.teacher_logits,
            lambda: self.bigger_teacher,
        )
        compressed, decided = step.apply(network, context)
        if step.fine_tuned and context.epochs_left > 0:
            context.fit(compressed)
        seconds = time.perf_counter() - started
        notes = {name: value for name, value in decided.items() if name != "structure" and value}
        return self._publish(
            key, compressed, [*decisions, decided], earlier, step, context.epochs_spent, seconds, notes
        )

    def _publish(
        self,
        key: str,
        network: nn.Module,
        decisions: list[Decisions],
        earlier: list[dict[str, Any]],
        step: Any,
        epochs: float,
        seconds: float,
        notes: dict[str, Any],
    ) -> Entry:
        """Measures a network and puts it into the cache."""
        validation = self.dataset.validation
        reference = None if step is None else self.baseline_logits
        metrics, _ = measure(
            network.eval(),
            self.task,
            validation.images,
            validation.labels,
            self.device,
            reference,
            epochs + sum(record["epochs"] for record in earlier),
            seconds + sum(record["seconds"] for record in earlier),
        )
        record = StepRecord(
            position=len(earlier) + 1 if step is not None else 0,
            step="baseline" if step is None else str(step),
            technique="baseline" if step is None else step.name,
            stage="baseline" if step is None else step.stage,
            epochs=epochs,
            seconds=seconds,
            cached=False,
            worker_pid=os.getpid(),
            notes=notes,
            **{name: getattr(metrics, name) for name in _MEASURED_AFTER_A_STEP},
        )
        entry = Entry(
            network.state_dict(),
            {"decisions": decisions, "steps": [*earlier, asdict(record)], "metrics": metrics.to_json()},
        )
        self.cache.put(key, entry)
        return entry

    def _filled(self, recipe: Recipe, entry: Entry) -> nn.Module:
        network = self.rebuilt(recipe, entry.record)
        if network is self.given:
            network = adopt(given_network(self.task), self.task.input_shape)
        network.load_state_dict(entry.tensors)
        return network.eval()

    def _result(self, key: str, entry: Entry, recipe: Recipe, cached: int | bool) -> PipelineResult:
        """Reads a result out of an entry."""
        prices = self._prices(recipe, entry.record)
        steps = tuple(
            StepRecord(**{**record, **_step_prices(found), "cached": n <= int(cached)})
            for n, (record, found) in enumerate(zip(entry.record["steps"], prices, strict=True), start=1)
        )
        return PipelineResult(
            network=self._filled(recipe, entry),
            decisions=tuple(entry.record["decisions"]),
            metrics=Metrics.from_json({**entry.record["metrics"], **prices[-1].to_metrics()}),
            steps=steps,
            digest=digest_tensors(entry.tensors),
            key=key,
        )

    def _prices(self, recipe: Recipe, record: dict[str, Any]) -> list[Price]:
        """Prices the network after every step by the device model of today, whenever the entry was made."""
        network = to_meta(self.given).eval()
        if not recipe.steps:
            return [price(network, self.device)]
        found = []
        for step, decisions in zip(recipe, record["decisions"], strict=True):
            network = step.rebuild(network, decisions).eval()
            found.append(price(network, self.device))
        return found


_MEASURED_AFTER_A_STEP = (
    "quality",
    "payload_bytes",
    "model_bytes",
    "packed_bytes",
    "macs",
    "latency_ms",
    "peak_memory_bytes",
    "parameters",
)


def _step_prices(found: Price) -> dict[str, Any]:
    """Returns those figures of a price that a step's record holds."""
    return {name: value for name, value in found.to_metrics().items() if name in _MEASURED_AFTER_A_STEP}
