"""Doubles for tests, ours and those of whoever builds on Atoll: a world for techniques, answers for searches.

Nothing of the product imports this package.
"""

from .figures import BASELINE, EFFECTS, STUDY, made_up_metrics, made_up_replay
from .networks import Residual, sequential
from .replay import Effect, Replay
from .worlds import World, bars, bars_world

__all__ = [
    "BASELINE",
    "EFFECTS",
    "STUDY",
    "Effect",
    "Replay",
    "Residual",
    "World",
    "bars",
    "bars_world",
    "made_up_metrics",
    "made_up_replay",
    "sequential",
]
