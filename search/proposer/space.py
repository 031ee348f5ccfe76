"""What a search may propose: techniques with the values that are tried, and the lengths of recipes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ...spaces.recipes.order import Grids, grid_steps
from ...spaces.recipes.recipe import Recipe
from ...spaces.technique.technique import Technique


@dataclass(frozen=True)
class Space:
    """The recipes of a study.

    Args:
        techniques: what may be in one.
        min_steps, max_steps: its length.
        grids: the values to be tried, where these are not the techniques' own.
        only: the recipes that can be evaluated at all, where not every one can: in a replay.
    """

    techniques: Sequence[type[Technique]]
    min_steps: int
    max_steps: int
    grids: Grids = field(default_factory=dict)
    only: frozenset[Recipe] | None = None

    @cached_property
    def steps(self) -> Mapping[str, Sequence[Technique]]:
        """Every step that may be taken, by the name of its technique."""
        return {technique.name: grid_steps(technique, self.grids) for technique in self.techniques}

    @cached_property
    def pool(self) -> tuple[Recipe, ...]:
        """The recipes of `only` that may be proposed, in an order of their own."""
        return tuple(sorted((recipe for recipe in self.only or () if recipe in self), key=str))

    def __contains__(self, recipe: Recipe) -> bool:
        """Whether it may be proposed, legal or not."""
        return self.min_steps <= len(recipe) <= self.max_steps and all(
            step in self.steps.get(step.name, ()) for step in recipe
        )
