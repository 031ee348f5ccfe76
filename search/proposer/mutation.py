"""Changes a good recipe a little: what Optuna's independent positions cannot do."""

from collections.abc import Callable, Mapping, Sequence
from random import Random

from ...spaces.recipes.order import repair
from ...spaces.recipes.recipe import Recipe
from ...spaces.technique.technique import Technique

Steps = list[Technique]
#: every step of the space by the name of its technique
ByTechnique = Mapping[str, Sequence[Technique]]


def mutate(recipe: Recipe, space: ByTechnique, random: Random, max_steps: int) -> Recipe:
    """Returns a legal recipe one change away: a step more, less or other, a setting, or an order.

    A step is appended twice as often as anything else is done: the whole recipe is in the step cache then,
    and only the new step is trained.

    Args:
        recipe: legal.
        space: what may be in a step.
        random: the only source of randomness.
        max_steps: longest result.

    Returns:
        the changed recipe, repaired; it may equal the old one where the repair undid the change.
    """
    steps = list(recipe.steps)
    changes: list[Callable[[Steps, ByTechnique, Random], Steps]] = [_set]
    if len(steps) < max_steps:
        changes += [_append, _append, _insert]
    if len(steps) > 1:
        changes += [_swap, _replace, _remove]
    return repair(random.choice(changes)(steps, space, random), max_steps)


def _any(space: ByTechnique, random: Random) -> Technique:
    return random.choice(space[random.choice(sorted(space))])


def _append(steps: Steps, space: ByTechnique, random: Random) -> Steps:
    return [*steps, _any(space, random)]


def _insert(steps: Steps, space: ByTechnique, random: Random) -> Steps:
    place = random.randrange(len(steps) + 1)
    return [*steps[:place], _any(space, random), *steps[place:]]


def _replace(steps: Steps, space: ByTechnique, random: Random) -> Steps:
    place = random.randrange(len(steps))
    return [*steps[:place], _any(space, random), *steps[place + 1 :]]


def _remove(steps: Steps, space: ByTechnique, random: Random) -> Steps:
    place = random.randrange(len(steps))
    return [*steps[:place], *steps[place + 1 :]]


def _swap(steps: Steps, space: ByTechnique, random: Random) -> Steps:
    place = random.randrange(len(steps) - 1)
    return [*steps[:place], steps[place + 1], steps[place], *steps[place + 2 :]]


def _set(steps: Steps, space: ByTechnique, random: Random) -> Steps:
    """Takes another setting of one step; of a technique outside the space the step stays."""
    place = random.randrange(len(steps))
    others = [step for step in space.get(steps[place].name, ()) if step != steps[place]]
    return [*steps[:place], random.choice(others), *steps[place + 1 :]] if others else steps
