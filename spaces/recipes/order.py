"""Which orders of steps are legal: the only place that knows.

Legal means that it can be carried out, not that it is wise. The rules speak of what a technique declares
(`replaces_network`, `needs_stage`, `levels_per_weight`, `needs_levels`, `repeatable`, `scope`), never of a
technique by name.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from random import Random
from typing import Any

from ..errors import AtollError
from ..technique.technique import Technique
from .recipe import Recipe

#: longest recipe of a study unless it says otherwise (the papers' longest ensemble has four steps)
MAX_STEPS = 4


def refusal(steps: Sequence[Technique]) -> str | None:
    """Returns why an order has no meaning, in words, or None where it is legal.

    >>> refusal(Recipe.parse("prune_weights(ratio=0.5) -> quantize(bits=8)").steps) is None
    True
    >>> refusal(Recipe.parse("svd(rank=8) -> svd(rank=4)").steps)
    'svd(rank=4) directly after svd(rank=8) is one step written twice: give its final settings once'
    """
    for position, step in enumerate(steps):
        before = steps[:position]
        if step.needs_stage is not None and all(e.stage != step.needs_stage for e in before):
            return f"{step} needs a step of the stage {step.needs_stage!r} before it, there is none"
        reason = _refused_directly(before[-1], step) if before else None
        reasons = (reason, *(_refused_after(earlier, step) for earlier in before))
        found = next((reason for reason in reasons if reason is not None), None)
        if found is not None:
            return found
    return None


def _refused_directly(last: Technique, step: Technique) -> str | None:
    """Returns why a step cannot come directly after another."""
    if last.name == step.name and not step.replaces_network and last.scope == step.scope:
        return f"{step} directly after {last} is one step written twice: give its final settings once"
    return None


def _refused_after(earlier: Technique, step: Technique) -> str | None:
    """Returns why a step cannot come anywhere after another."""
    if step.replaces_network:
        return f"{step} builds a new network and would forget {earlier}: it can only be the first step"
    again = earlier.name == step.name and _covers(earlier, step)
    if again and not step.repeatable and not _narrower(earlier, step):
        fewer = "" if step.levels_per_weight is None else ", or fewer values to some of its layers later"
        return (
            f"{step.name} comes twice: what it leaves is still in force, give its final settings once{fewer}"
        )
    if _meaningless(earlier, step):
        return (
            f"{step} after {earlier}: the weights it would touch can take only "
            f"{earlier.levels_per_weight} values already"
        )
    return None


def _covers(earlier: Technique, later: Technique) -> bool:
    """Whether the later step touches no layer that the earlier one did not, as far as names tell.

    Patterns that overlap in part are legal: the later step leaves alone what it cannot touch, and says so.
    """
    return earlier.scope in ("*", later.scope)


def _narrower(earlier: Technique, later: Technique) -> bool:
    """Whether the later step leaves fewer values to a weight, on a part of the earlier one's layers.

    On the same layers it alone would say all that is left in force.
    """
    were, are = earlier.levels_per_weight, later.levels_per_weight
    return were is not None and are is not None and are < were and earlier.scope != later.scope


def _meaningless(earlier: Technique, later: Technique) -> bool:
    needs, left = later.needs_levels, earlier.levels_per_weight
    return needs is not None and left is not None and left < needs and _covers(earlier, later)


def is_legal(steps: Sequence[Technique]) -> bool:
    """Whether a sequence of steps can be carried out."""
    return refusal(steps) is None


def check_order(recipe: Recipe, max_steps: int | None = None) -> Recipe:
    """Returns the recipe, or raises an AtollError with the reason why its order is refused."""
    if max_steps is not None and len(recipe) > max_steps:
        raise AtollError(f"recipe {str(recipe)!r}: got {len(recipe)} steps, allowed are {max_steps} at most")
    reason = refusal(recipe.steps)
    if reason is not None:
        raise AtollError(f"recipe {str(recipe)!r}: {reason}")
    return recipe


def repair(steps: Sequence[Technique], max_steps: int = MAX_STEPS) -> Recipe:
    """Returns the nearest legal recipe: steps that would make the order illegal are left out, in order.

    A step that replaces the network stays only in the first place. Idempotent; legal input is unchanged.

    >>> print(repair(Recipe.parse("quantize(bits=8) -> quantize(bits=8) -> svd(rank=8)").steps))
    quantize(bits=8) -> svd(rank=8)
    """
    kept: list[Technique] = []
    for step in steps:
        if len(kept) < max_steps and is_legal([*kept, step]):
            kept.append(step)
    return Recipe(tuple(kept))


#: technique -> setting -> the values that a search tries, where these are not the domain's own grid
Grids = Mapping[str, Mapping[str, Sequence[Any]]]


def searched_values(technique: type[Technique], grids: Grids | None = None) -> dict[str, tuple[Any, ...]]:
    """Returns the values that a search tries for every setting of a technique."""
    own = (grids or {}).get(technique.name, {})
    return {name: tuple(own.get(name, domain.grid)) for name, domain in technique.domains().items()}


def grid_steps(technique: type[Technique], grids: Grids | None = None) -> list[Technique]:
    """Returns the technique with every combination of the searched values that it allows."""
    values = searched_values(technique, grids)
    steps = []
    for combination in product(*values.values()):
        step = allowed_step(technique, dict(zip(values, combination, strict=True)))
        if step is not None:
            steps.append(step)
    return steps


def may_repeat(technique: type[Technique], grids: Grids | None = None) -> bool:
    """Whether a recipe may hold two steps of a technique, as a search draws them."""
    steps = grid_steps(technique, grids)
    return any(_refused_after(*pair) is None for pair in product(steps, steps))


def allowed_step(technique: type[Technique], settings: Mapping[str, Any]) -> Technique | None:
    """Returns the step, None where these settings, each legal by itself, exclude each other."""
    try:
        return technique.from_settings(settings)
    except AtollError:
        return None


def count_recipes(
    techniques: Sequence[type[Technique]], max_steps: int = MAX_STEPS, grids: Grids | None = None
) -> int:
    """Returns how many legal recipes of 1 to `max_steps` steps the search grids span.

    Exact, and linear in the steps: settings that every rule treats alike count as a multiple, and so do
    beginnings of a recipe after which the same steps may follow.
    """
    alike: dict[tuple[object, ...], tuple[Technique, int]] = {}
    for technique in techniques:
        for step in grid_steps(technique, grids):
            key = (step.name, step.replaces_network, step.levels_per_weight, step.needs_levels, step.scope)
            representative, multiple = alike.get(key, (step, 0))
            alike[key] = (representative, multiple + 1)
    groups = list(alike.values())
    steps = [step for step, _ in groups]
    needed = {step.needs_stage for step in steps if step.needs_stage is not None}
    directly = [frozenset(n for n, s in enumerate(steps) if _refused_directly(e, s)) for e in steps]
    for_good = [frozenset(n for n, s in enumerate(steps) if _refused_after(e, s)) for e in steps]

    # (groups refused from now on, groups refused as the very next, stages that others need) -> recipes
    nothing: frozenset[Any] = frozenset()
    beginnings = Counter({(nothing, nothing, nothing): 1})
    total = 0
    for _ in range(max_steps):
        longer: Counter[tuple[frozenset[Any], frozenset[Any], frozenset[Any]]] = Counter()
        for (refused, next_refused, stages), recipes in beginnings.items():
            for n, (step, multiple) in enumerate(groups):
                lacks = step.needs_stage is not None and step.needs_stage not in stages
                if lacks or n in refused or n in next_refused:
                    continue
                after = refused | for_good[n]
                had = stages | ({step.stage} & needed)
                longer[after, directly[n] - after, had] += recipes * multiple
        total += longer.total()
        beginnings = longer
    return total


def sample(
    techniques: Sequence[type[Technique]],
    random: Random,
    max_steps: int = MAX_STEPS,
    grids: Grids | None = None,
) -> Recipe:
    """Returns a legal recipe of one to `max_steps` steps drawn at random from the search grids."""
    length = random.randint(1, max_steps)
    drawn: list[Technique] = []
    while not drawn:
        wanted = [_draw(random.choice(techniques), random, grids) for _ in range(length)]
        drawn = list(repair([step for step in wanted if step is not None], max_steps).steps)
    return Recipe(tuple(drawn))


def _draw(technique: type[Technique], random: Random, grids: Grids | None) -> Technique | None:
    values = searched_values(technique, grids)
    return allowed_step(technique, {name: random.choice(tried) for name, tried in values.items()})
