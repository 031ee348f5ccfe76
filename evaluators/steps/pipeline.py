"""Carries out recipes step by step, from the longest prefix that the cache already has."""

import time
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path

from ...spaces.graph.heads import Outputs
from ...spaces.layers.statistics import reestimate
from ...spaces.recipes.order import check_order
from ...spaces.recipes.recipe import Recipe
from ..datasets.dataset import Dataset
from ..digests import derived_seed
from ..tasks.task import Task
from ..training.prediction import predict_logits
from .baseline import make_baseline, turns
from .cache_backend import CacheBackend, Entry
from .context import TrainingContext
from .idle import check_applied
from .pace import time_batches
from .pipeline_result import PipelineResult
from .settings import Settings
from .step_cache import StepCache
from .step_entries import StepEntries
from .study_basis import StudyBasis
from .teachers import Teachers
from .work import Position, Told

#: training images on which the statistics of a step without an epoch are measured, as `quantize` observes
IMAGES = 512


class Pipeline:
    """Everything that trials of one study share in one process.

    Args:
        settings: of the study.
        cache_dir: folder of the step cache.

    Raises:
        AtollError: no task or device has the name in the settings.
    """

    def __init__(self, settings: Settings, cache_dir: Path) -> None:
        self.settings = settings
        self.basis = StudyBasis(settings)
        self.cache: CacheBackend = StepCache(cache_dir)
        self._entries = StepEntries(self.basis)
        #: how many runs of the baseline may train at a time; no result depends on it
        self.at_once = 1
        #: hears how far a recipe is; no result depends on it
        self.told: Told | None = None

    @property
    def task(self) -> Task:
        """Network, data, fine-tuning."""
        return self.basis.task

    @property
    def dataset(self) -> Dataset:
        """The task's data."""
        return self.basis.dataset

    @cached_property
    def baseline(self) -> PipelineResult:
        """The baseline, made once and kept in the cache for good."""
        key = self._baseline_key
        entry, cached = self.cache.get_or_make(key, self._make_baseline)
        self.cache.pin(key)
        return self._entries.result(key, entry, Recipe(), int(cached))

    @property
    def _baseline_key(self) -> str:
        return self.basis.key(baseline_epochs=self.settings.baseline_epochs)

    def time_baseline(self) -> dict[str, float] | None:
        """Returns what the baseline will take here; None where it is made.

        Returns:
            `epoch_s`, an epoch of the given network, and `baseline_s`, all of it.

        Raises:
            AtollError: it cannot be trained.
        """
        if self.cache.has(self._baseline_key):
            return None
        pace = time_batches(self.task, self.dataset, self.settings.seed)
        epoch_s = pace.epoch_s(len(self.dataset.train))
        in_turn = turns(self.basis.given, self.task, self.dataset, self.at_once)
        return {"epoch_s": epoch_s, "baseline_s": in_turn * self.settings.baseline_epochs * epoch_s}

    @cached_property
    def teachers(self) -> Teachers:
        """What students learn from."""
        return Teachers(self.basis, self.cache, self.baseline)

    def run(self, recipe: Recipe, keep: bool = False) -> PipelineResult:
        """Carries out a recipe and returns the network with its metrics and the record of every step.

        Args:
            recipe: legal, or refused with the reason.
            keep: whether the result is pinned in the cache.

        Raises:
            AtollError: the order is refused, a step cannot be applied or touches no layer, or training
                diverged.
        """
        check_order(recipe)
        if not recipe.steps:
            return self.baseline
        prefixes = recipe.prefixes()[1:]
        cached_steps, entry = self._longest_cached(prefixes)
        for prefix in prefixes[cached_steps:]:
            key = self.basis.step_key(prefix)
            self._tell(prefix)
            entry, cached = self.cache.get_or_make(key, partial(self._make_step, prefix, entry))
            if cached:
                cached_steps = len(prefix)
        assert entry is not None
        key = self.basis.step_key(recipe)
        if keep:
            self.cache.pin(key)
        return self._entries.result(key, entry, recipe, cached_steps)

    def is_cached(self, recipe: Recipe) -> bool:
        """Whether the recipe's result is in the cache."""
        return not recipe.steps or self.cache.has(self.basis.step_key(recipe))

    def _longest_cached(self, prefixes: Sequence[Recipe]) -> tuple[int, Entry | None]:
        """Returns how many steps the longest prefix in the cache has, and its entry."""
        for prefix in reversed(prefixes):
            entry = self.cache.get(self.basis.step_key(prefix))
            if entry is not None:
                return len(prefix), entry
        return 0, None

    def _make_baseline(self) -> Entry:
        started = time.perf_counter()
        basis, settings = self.basis, self.settings
        network, qualities = make_baseline(
            basis.given, basis.task, basis.dataset, settings.baseline_epochs, settings.seed, self.at_once,
            partial(self._tell, Recipe()),
        )  # fmt: skip
        seconds = time.perf_counter() - started
        chosen = basis.task.quality_terms.best(qualities)
        epochs = 0.0 if chosen == "given" else settings.baseline_epochs
        return self._entries.of_baseline(network, epochs, seconds, {"chosen": chosen, "quality": qualities})

    def _make_step(self, prefix: Recipe, before: Entry | None) -> Entry:
        """Carries out the last step of a prefix on what those before it gave."""
        step, basis = prefix.steps[-1], self.basis
        started = time.perf_counter()
        network = basis.given
        if before is not None:
            network = self._entries.network(Recipe(prefix.steps[:-1]), before)
        context = TrainingContext(
            basis.task,
            basis.dataset,
            self.baseline.network,
            derived_seed(self.settings.seed, prefix.digest),
            self.settings.epochs_of(step.name),
            lambda: self.teachers.logits,
            lambda: self.teachers.bigger,
            self.settings.distilled,
            partial(self._tell, prefix),
        )
        compressed, decided = step.apply(network, context)
        check_applied(prefix, decided)
        if step.fine_tuned and context.epochs_left > 0:
            context.fit(compressed)
        elif step.fine_tuned and context.epochs_spent == 0:
            reestimate(compressed, context.images(IMAGES))
        seconds = time.perf_counter() - started
        return self._entries.of_step(
            compressed, step, decided, before, context.epochs_spent, seconds, self._baseline_logits
        )

    def _tell(self, prefix: Recipe, epochs_done: float = 0.0, epochs: float | None = None) -> None:
        """Says which step is carried out and how far its training is."""
        if self.told is not None:
            budget = self.settings.epochs_of(prefix.steps[-1].name) if epochs is None else epochs
            self.told(Position(len(prefix), epochs_done, budget))

    @cached_property
    def _baseline_logits(self) -> Outputs:
        """The baseline's outputs on the validation split."""
        return predict_logits(self.baseline.network, self.dataset.validation.images)
