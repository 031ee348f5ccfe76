"""Steps that touch nothing: training after one would rank a recipe for what it does not do."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from ...spaces.errors import AtollError
from ...spaces.layers.structure import structure
from ...spaces.recipes.recipe import Recipe
from ...spaces.technique.technique import Technique

#: reasons that are named; a network of fifty layers has a handful
_REASONS = 2


def check_plan(recipe: Recipe, planned: Callable[[Recipe], nn.Module]) -> None:
    """Refuses a recipe whose last step changes nothing, as far as plans tell.

    Layers come out of a step whose plan is a lower bound somewhere between that plan and what they were.
    Where one follows that changes neither of these two it has nothing to change; the rest is left to
    `check_applied`.

    Args:
        recipe: with a step, one at least.
        planned: gives the structure that a recipe leaves.

    Raises:
        AtollError: the step touches no layer.
    """
    *earlier, step = recipe.steps
    if step.stage == "training" or not _keeps(step, earlier, planned):
        return
    exact = [one for one in earlier if one.plan_is_exact]
    if len(exact) == len(earlier) or _keeps_whole(step, exact, planned):
        raise _idle(recipe, {})


def _keeps_whole(step: Technique, exact: Sequence[Technique], planned: Callable[[Recipe], nn.Module]) -> bool:
    """Whether a step changes nothing where the others left every layer whole; not if it cannot be planned."""
    try:
        return _keeps(step, exact, planned)
    except AtollError:
        return False


def _keeps(step: Technique, earlier: Sequence[Technique], planned: Callable[[Recipe], nn.Module]) -> bool:
    """Whether a step's plan changes nothing of what others leave."""
    before, after = (planned(Recipe((*earlier, *more))) for more in ((), (step,)))
    return structure(before) == structure(after)


def check_applied(recipe: Recipe, decided: Mapping[str, Any]) -> None:
    """Refuses a recipe whose last step changed nothing, before any training after it.

    Args:
        recipe: with a step, one at least.
        decided: what the step's `apply` returned.

    Raises:
        AtollError: the step touched no layer; the message has the reasons.
    """
    if recipe.steps[-1].stage != "training" and not decided["structure"]:
        raise _idle(recipe, decided.get("left_alone") or {})


def _idle(recipe: Recipe, left_alone: Mapping[str, str]) -> AtollError:
    *earlier, step = recipe.steps
    where = f" as {Recipe(tuple(earlier))} leaves it" if earlier else ""
    reasons = list(dict.fromkeys(why for why in left_alone.values() if why))[:_REASONS]
    why = f" ({'; '.join(reasons)})" if reasons else ""
    return AtollError(f"{step} touches no layer of this network{where}{why}")
