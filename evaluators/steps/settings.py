"""The settings that all trials of a study share: with its recipe they decide what a trial gives."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from ..digests import digest_json

#: what settings mean that say nothing of it: they are as old as that
_OF_OLD: dict[str, Any] = {"loss": "labels", "epochs": {}}


@dataclass(frozen=True)
class Settings:
    """What a trial is run with; what belongs to one process alone, such as the cache's folder, is not in it.

    Args:
        task: name of the task.
        device: name of the device that prices the candidates; part of no key of the step cache.
        seed: of the trials.
        epochs_per_step: passes over the training split after every step.
        baseline_epochs: what the baseline may spend: as much as any candidate of the study.
        threads: of torch in a worker; they decide the last bits of a result.
        loss: what steps are fine-tuned against: `labels`, or `distilled`, the baseline's answers beside them.
        epochs: after the steps of single techniques, in place of `epochs_per_step`, by name.
    """

    task: str
    device: str
    seed: int
    epochs_per_step: float
    baseline_epochs: float
    threads: int = 1
    loss: str = "labels"
    epochs: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        # 1 and 1.0 are equal, and as JSON, of which keys are made, they are not.
        for name in ("epochs_per_step", "baseline_epochs"):
            object.__setattr__(self, name, float(getattr(self, name)))
        own = {name: float(self.epochs[name]) for name in sorted(self.epochs)}
        object.__setattr__(self, "epochs", own)

    @property
    def distilled(self) -> bool:
        """Whether steps are fine-tuned against the baseline's answers too."""
        return self.loss == "distilled"

    def epochs_of(self, technique: str) -> float:
        """Returns the passes after a step of a technique."""
        return self.epochs.get(technique, self.epochs_per_step)

    @property
    def digest(self) -> str:
        """SHA-256 of all of them, hexadecimal: equal settings have the same one in every process."""
        return digest_json(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Returns every field in JSON's own types; what came later is left out where it changes nothing."""
        told = asdict(self)
        return {name: one for name, one in told.items() if (name, one) not in _OF_OLD.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Builds settings from what `to_json` gave."""
        return cls(**value)
