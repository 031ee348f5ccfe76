"""What a trial is on its way through processes: a piece of work, and what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from ..ranking.metrics import Metrics
from .pipeline_result import StepRecord
from .settings import Settings


@dataclass(frozen=True)
class Work:
    """One recipe to evaluate.

    Args:
        settings: of the study.
        recipe: the empty one is the baseline.
        keep: whether the result must stay in the step cache whatever its quota says.
        at_once: how many runs of the baseline may train at a time, where nothing else runs beside it.
    """

    settings: Settings
    recipe: Recipe
    keep: bool = False
    at_once: int = 1

    def to_json(self) -> dict[str, Any]:
        """Returns every part in JSON's own types."""
        return {
            "settings": self.settings.to_json(),
            "recipe": self.recipe.to_json(),
            "keep": self.keep,
            "at_once": self.at_once,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Builds work from what `to_json` gave.

        Raises:
            AtollError: the recipe is of another version of Atoll.
        """
        settings, recipe = Settings.from_json(value["settings"]), Recipe.from_json(value["recipe"])
        return cls(settings, recipe, value["keep"], value["at_once"])


@dataclass(frozen=True)
class Position:
    """Where a piece of work is while it is carried out.

    Args:
        step: number of the step of its recipe, from 1; 0 where it makes the baseline.
        epochs_done, epochs: of the step's training, or of all of the baseline's runs; 0 of 0 for none.
    """

    step: int
    epochs_done: float = 0.0
    epochs: float = 0.0


#: hears of every position; called after every batch of training, so it has to be quick
Told = Callable[[Position], None]


@dataclass(frozen=True)
class Outcome:
    """What came of a piece of work.

    Args:
        status: finished, failed, rejected, stopped, or interrupted: its process is gone (killed, out of
            memory, or with its machine), and nobody was left to say more.
        reason: why it is not finished.
        metrics: of a finished one's final network.
        steps: one record a step, in the order of the recipe.
        seconds: wall time, waiting included.
        worker_pid, node, threads: the process that did it.
        weights_digest: SHA-256 over the final weights, hexadecimal.

    Raises:
        AtollError: it is finished and has no metrics.
    """

    status: str
    reason: str | None = None
    metrics: Metrics | None = None
    steps: tuple[StepRecord, ...] = ()
    seconds: float | None = None
    worker_pid: int | None = None
    node: str | None = None
    threads: int | None = None
    weights_digest: str | None = None

    def __post_init__(self) -> None:
        if self.status == "finished" and self.metrics is None:
            raise AtollError("a finished trial has no metrics")

    @classmethod
    def failed(cls, reason: str, **fields: Any) -> Self:
        """Returns the outcome of a trial that came to nothing; the reason is one line."""
        return cls("failed", " ".join(reason.split()) or "no reason given", **fields)

    def to_json(self) -> dict[str, Any]:
        """Returns every field in JSON's own types."""
        told = asdict(self)
        return {**told, "steps": list(told["steps"])}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Builds an outcome from what `to_json` gave; a finished one without whole figures is a failure."""
        told = {**value, "steps": tuple(StepRecord(**step) for step in value["steps"])}
        if value["status"] != "finished":
            return cls(**{**told, "metrics": None})
        try:
            return cls(**{**told, "metrics": Metrics.from_json(value["metrics"] or {})})
        except AtollError as error:
            rest = {name: one for name, one in told.items() if name not in ("status", "reason", "metrics")}
            return cls.failed(str(error), **rest)


#: what runs a trial; tests and replays bring their own
Evaluator = Callable[[Work], Outcome]
