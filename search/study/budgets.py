"""How many epochs steps are given where techniques differ, and what a candidate may spend in all."""

from collections.abc import Mapping

from ...spaces.recipes.order import Grids, may_repeat
from ...spaces.techniques import TECHNIQUES, technique_named
from .study_checks import at


def checked_epochs(epochs: Mapping[str, float]) -> dict[str, float]:
    """Returns the epochs of single techniques in the order of the package.

    Raises:
        StudyMistake: no technique has such a name.
    """
    for name in epochs:
        with at("epochs", name):
            technique_named(name)
    return {technique.name: epochs[technique.name] for technique in TECHNIQUES if technique.name in epochs}


def largest_budget(
    max_steps: int, epochs_per_step: float, epochs: Mapping[str, float], grids: Grids
) -> float:
    """Returns what no candidate exceeds: the most epochs that so many steps may spend together.

    Args:
        max_steps: of a candidate.
        epochs_per_step: of a technique without epochs of its own; some are always left to fill a recipe.
        epochs: of the others, by name.
        grids: of the study; a technique that cannot come twice is counted once.
    """
    more: list[float] = []
    for name, own in epochs.items():
        times = max_steps if may_repeat(technique_named(name), grids) else 1
        more += [max(0.0, own - epochs_per_step)] * times
    return max_steps * epochs_per_step + sum(sorted(more, reverse=True)[:max_steps])
