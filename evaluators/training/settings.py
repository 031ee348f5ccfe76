"""How a task's networks are trained: one frozen set of settings."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("one_cycle", "cosine", "constant")
#: what a view of an input may differ in from the input (`augmentation`)
AUGMENTATIONS = ("shift", "mirror", "rotation", "scale", "crop")
#: how rare classes are made up for: their images count more, or are drawn more often
BALANCES = ("none", "weights", "resample")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
#: AdamW's own (Loshchilov & Hutter 2019), in units of the learning rate; He et al. 2016 for SGD
WEIGHT_DECAY = {"adamw": 0.01, "sgd": 1e-4}
#: share of the steps in which a one-cycle rate rises (Smith & Topin 2019 use up to 0.45, for long runs); a
#: cosine's warm-up is five epochs of ninety (Goyal et al. 2017)
WARM_UP = {"one_cycle": 0.15, "cosine": 5 / 90, "constant": 0.0}


@dataclass(frozen=True)
class Training:
    """Settings of a training run; their defaults are what the built-in tasks use.

    Args:
        learning_rate: its peak, above 0.
        batch_size: inputs a step, at least 2.
        optimizer: `adamw`, or `sgd` with Nesterov's momentum (Sutskever et al. 2013).
        schedule: `one_cycle` (half a cosine up and one down, Smith & Topin 2019), `cosine` (a straight line
            up, then half a cosine down, Loshchilov & Hutter 2017) or `constant`.
        weight_decay: at least 0; that of `WEIGHT_DECAY` when None.
        momentum: of `sgd`, in [0, 1).
        warm_up: share of the steps in which the rate rises, in [0, 1); that of `WARM_UP` when None.
        clip_norm: largest norm of all gradients together (Pascanu et al. 2013), above 0; none when None.
        label_smoothing: share of the weight that all classes get alike (Szegedy et al. 2016), in [0, 1).
        patience: epochs without a better validation after which a run ends with the best weights seen; it
            never ends early when None.
        augment: what the views of an input differ in; small shifts of images and series, nothing of vectors
            when None.
        balance: what is done about rare classes.
        precision: of the arithmetic on an accelerator; `auto` is bfloat16 (float16 where the card has none)
            for networks without rounded activations, whose steps it is too coarse for, float32 for others.

    Raises:
        AtollError: a setting is out of range.
    """

    learning_rate: float
    batch_size: int
    optimizer: str = "adamw"
    schedule: str = "one_cycle"
    weight_decay: float | None = None
    momentum: float = 0.9
    warm_up: float | None = None
    clip_norm: float | None = None
    label_smoothing: float = 0.0
    patience: int | None = None
    augment: tuple[str, ...] | None = None
    balance: str = "none"
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("balance", BALANCES),
            ("precision", PRECISIONS),
        ):
            _check_name(name, getattr(self, name), allowed)
        for name in self.augment or ():
            _check_name("augment", name, AUGMENTATIONS)
        if self.augment is not None:
            object.__setattr__(self, "augment", tuple(a for a in AUGMENTATIONS if a in self.augment))
        _check("learning_rate", self.learning_rate, self.learning_rate > 0, "positive, finite")
        _check("batch_size", self.batch_size, self.batch_size >= 2, "2 or more (BatchNorm needs two images)")
        for name, value in (("weight_decay", self.decay), ("label_smoothing", self.label_smoothing)):
            _check(name, value, 0 <= value < 1, "0 or more and below 1")
        for name, value in (("momentum", self.momentum), ("warm_up", self.rising)):
            _check(name, value, 0 <= value < 1, "0 or more and below 1")
        if self.clip_norm is not None:
            _check("clip_norm", self.clip_norm, self.clip_norm > 0, "above 0")
        if self.patience is not None:
            _check("patience", self.patience, self.patience >= 1, "1 epoch or more")

    @property
    def decay(self) -> float:
        """The weight decay that is meant."""
        return WEIGHT_DECAY[self.optimizer] if self.weight_decay is None else self.weight_decay

    @property
    def rising(self) -> float:
        """The share of the steps in which the learning rate rises."""
        return WARM_UP[self.schedule] if self.warm_up is None else self.warm_up

    def to_json(self) -> dict[str, Any]:
        """Returns what is not at its default, as JSON: keys that are made of it outlive new settings."""
        fresh = asdict(Training(self.learning_rate, self.batch_size))
        given = asdict(self)
        always = ("learning_rate", "batch_size")
        found = {name: value for name, value in given.items() if name in always or value != fresh[name]}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def _check(name: str, value: float, right: bool, allowed: str) -> None:
    if not (math.isfinite(value) and right):
        raise AtollError(f"{name} is {value}; allowed: {allowed}")


def _check_name(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise AtollError(f"{name}: unknown {value!r}. {known_names(value, allowed)}")
