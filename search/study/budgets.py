"""How many epochs steps are given where techniques differ, what a candidate and the finalists may spend."""

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


def finals_s(baselines: int, baseline_s: float, recipes_s: float, workers: int) -> float:
    """Returns about how long the finalists train, in seconds.

    Workers share the work, and the first baseline is waited for by whatever is held against it.

    Args:
        baselines: that are still to be made, one a further seed.
        baseline_s: of making one.
        recipes_s: of all recipes, one after the other.
        workers: trials at a time.

    >>> finals_s(2, 60.0, 300.0, workers=1), finals_s(2, 60.0, 300.0, workers=3)
    (420.0, 160.0)
    """
    return max(baselines / workers, min(baselines, 1)) * baseline_s + recipes_s / workers
