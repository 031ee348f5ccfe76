"""Networks after steps as entries of the step cache: measured on the way in, priced on the way out."""

import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from torch import nn

from ...spaces.graph.heads import Outputs
from ...spaces.layers.structure import input_shape_of, to_meta
from ...spaces.recipes.recipe import Recipe
from ...spaces.technique.technique import Decisions, Technique
from ..digests import digest_tensors
from ..measuring.artifact import artifact_bytes, packed_bytes
from ..measuring.measure import Price, measure, price
from ..ranking.metrics import Metrics
from .cache_backend import Entry
from .pipeline_result import MEASURED_AFTER_A_STEP, PipelineResult, StepRecord
from .study_basis import StudyBasis


class StepEntries:
    """Makes entries of trained networks, and networks and results of entries.

    An entry's record holds the decisions and the records of all steps so far, and the metrics.

    Args:
        basis: of the study.
    """

    def __init__(self, basis: StudyBasis) -> None:
        self._basis = basis

    def of_baseline(self, network: nn.Module, epochs: float, seconds: float, notes: dict[str, Any]) -> Entry:
        """Returns the entry of the baseline, which belongs to no recipe."""
        told = {"step": "baseline", "technique": "baseline", "stage": "baseline", "notes": notes}
        return self._measured(network, told, epochs, seconds, [], [], None)

    def of_step(
        self,
        network: nn.Module,
        step: Technique,
        decided: Decisions,
        before: Entry | None,
        epochs: float,
        seconds: float,
        baseline_logits: Outputs,
    ) -> Entry:
        """Returns the entry of a step.

        Args:
            network: what it made, in its final state.
            step, decided: the step, and what was decided on the way.
            before: entry of the step before it, None for the first.
            epochs, seconds: what it took.
            baseline_logits: of the validation split, [N, K].
        """
        notes = {name: value for name, value in decided.items() if name != "structure" and value}
        told = {"step": str(step), "technique": step.name, "stage": step.stage, "notes": notes}
        record: dict[str, Any] = {"decisions": [], "steps": []} if before is None else before.record
        decisions = [*record["decisions"], decided]
        return self._measured(network, told, epochs, seconds, decisions, record["steps"], baseline_logits)

    def _measured(
        self,
        network: nn.Module,
        told: dict[str, Any],
        epochs: float,
        seconds: float,
        decisions: list[Decisions],
        earlier: list[dict[str, Any]],
        baseline_logits: Outputs | None,
    ) -> Entry:
        basis, validation = self._basis, self._basis.dataset.validation
        metrics, _ = measure(
            network.eval(),
            basis.task,
            validation.images,
            validation.labels,
            basis.device,
            baseline_logits,
            epochs + sum(record["epochs"] for record in earlier),
            seconds + sum(record["seconds"] for record in earlier),
        )
        record = StepRecord(
            position=len(decisions),
            epochs=epochs,
            seconds=seconds,
            cached=False,
            worker_pid=os.getpid(),
            **told,
            **{name: getattr(metrics, name) for name in MEASURED_AFTER_A_STEP},
        )
        return Entry(
            network.state_dict(),
            {"decisions": decisions, "steps": [*earlier, asdict(record)], "metrics": metrics.to_json()},
        )

    def network(self, recipe: Recipe, entry: Entry) -> nn.Module:
        """Returns the network that a recipe's entry holds, in evaluation mode."""
        network = self._basis.given
        for step, decisions in zip(recipe, entry.record["decisions"], strict=True):
            network = step.rebuild(network, decisions)
        if network is self._basis.given:
            network = self._basis.new_given()
        network.load_state_dict(entry.tensors)
        return network.eval()

    def result(self, key: str, entry: Entry, recipe: Recipe, cached_steps: int) -> PipelineResult:
        """Returns what an entry says of a recipe, the baseline being one step.

        Args:
            key: of the entry.
            entry: of the recipe's last step.
            recipe: what gave it.
            cached_steps: how many steps were found in the cache.
        """
        prices, network = self._prices(recipe, entry), self.network(recipe, entry)
        stored, today = entry.record["metrics"], prices[-1]
        if stored["model_bytes"] != today.model_bytes:  # the file is written otherwise than it was then
            file = artifact_bytes(network, input_shape_of(network))
            stored = {**stored, "packed_bytes": packed_bytes(file)}
        metrics = Metrics.from_json({**stored, **today.to_metrics()})
        steps = [
            StepRecord(**{**record, **_step_prices(record, found), "cached": n <= cached_steps})
            for n, (record, found) in enumerate(zip(entry.record["steps"], prices, strict=True), start=1)
        ]
        steps[-1] = replace(steps[-1], packed_bytes=metrics.packed_bytes)
        return PipelineResult(
            network=network,
            decisions=tuple(entry.record["decisions"]),
            metrics=metrics,
            steps=tuple(steps),
            digest=digest_tensors(entry.tensors),
            key=key,
        )

    def _prices(self, recipe: Recipe, entry: Entry) -> list[Price]:
        """Prices the network after every step by the device model of today, whenever the entry was made."""
        network, device = to_meta(self._basis.given).eval(), self._basis.device
        if not recipe.steps:
            return [price(network, device)]
        found = []
        for step, decisions in zip(recipe, entry.record["decisions"], strict=True):
            network = step.rebuild(network, decisions).eval()
            found.append(price(network, device))
        return found


def _step_prices(record: Mapping[str, Any], found: Price) -> dict[str, Any]:
    """Returns those figures of a price that a step's record holds; another file's packed size is unknown."""
    now = {name: value for name, value in found.to_metrics().items() if name in MEASURED_AFTER_A_STEP}
    return now if record["model_bytes"] == found.model_bytes else {**now, "packed_bytes": None}
