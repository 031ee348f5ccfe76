"""Steps that touch nothing: training after one would rank a recipe for what it does not do."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from ...spaces.errors import AtollError
from ...spaces.layers.structure import structure
from ...spaces.recipes.recipe import Recipe

#: reasons that are named; a network of fifty layers has a handful
_REASONS = 2


def check_plan(recipe: Recipe, before: nn.Module, after: nn.Module) -> None:
    """Refuses a recipe whose last step changes nothing, as far as plans tell.

    What follows a plan that is a lower bound is left to `check_applied`: layers may come out of that step in
    another form than planned.

    Args:
        recipe: with a step, one at least.
        before, after: the planned structures around its last step.

    Raises:
        AtollError: the step touches no layer.
    """
    changes_layers = recipe.steps[-1].stage != "training"
    if (
        changes_layers
        and all(step.plan_is_exact for step in recipe)
        and structure(before) == structure(after)
    ):
        raise _idle(recipe, {})


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
