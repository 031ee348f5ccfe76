"""What an ablation runs, and how long it will take: known before anything is trained."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from ..driver.launch import pricer_of
from ..store.store import Store
from ..store.stored_study import StoredStudy
from ..study.study import Study
from .variants import Variant

#: a recipe with the seed that it is run with
Run = tuple[Recipe, int]


def store_of_ablations(store: Store) -> Store:
    """Returns the store of what ablations ran, beside the one that has the study.

    Its trials are like all others and no study's own: in the store of the study a search would take them for
    what it found, and would not propose them any more.
    """
    return Store(store.path.with_name(f"{store.path.name.removesuffix('.duckdb')}-ablations.duckdb"))


@dataclass(frozen=True)
class Plan:
    """The runs of an ablation, with what is known of their times.

    Args:
        study: of the trial.
        seeds: the trial's own first.
        variants: of the trial's recipe, itself first.
        impossible: why a variant cannot be carried out, by its recipe: it is not run.
        step_s: seconds of a step by its text, as the trial took.
        baseline_s: seconds of the study's baseline, which every further seed needs anew.
    """

    study: Study
    seeds: tuple[int, ...]
    variants: tuple[Variant, ...]
    impossible: Mapping[Recipe, str]
    step_s: Mapping[str, float]
    baseline_s: float

    @classmethod
    def of(
        cls,
        store: Store,
        stored: StoredStudy,
        trial: Mapping[str, Any],
        variants: Sequence[Variant],
        seeds: int,
    ) -> "Plan":
        """Plans the ablation of a trial; what its plan alone rules out is found here, in milliseconds.

        Args:
            store: that has the trial.
            stored: its study.
            trial: its row of the view `trials`.
            variants: of its recipe, itself first.
            seeds: how many.

        Raises:
            AtollError: this version of Atoll would run another study.
        """
        study = Study.from_stored(stored.name, stored.definition, stored.limits)
        recipe = variants[0].recipe
        each_s = (trial["seconds"] or 0.0) / len(recipe)
        # results depend on them
        threads = study.resources.model_copy(update={"cpu": trial["threads"] or 1})
        rows = {row["step"]: row["seconds"] for row in store.steps(stored.name, trial["trial"])}
        every = store.trials(stored.name)
        return cls(
            study.model_copy(update={"epochs_per_step": trial["epochs_per_step"], "resources": threads}),
            tuple((trial["seed"] + n) % 2**32 for n in range(seeds)),
            tuple(variants),
            _impossible(study, [variant.recipe for variant in variants[1:]]),
            {str(step): rows.get(str(step)) or each_s for step in recipe},
            next((row["seconds"] or 0.0 for row in every if row["origin"] == "baseline"), 0.0),
        )

    @property
    def recipe(self) -> Recipe:
        """Of the trial."""
        return self.variants[0].recipe

    def study_of(self, seed: int) -> Study:
        """Returns the study that the runs of a seed belong to, named after what it is."""
        return self.study.model_copy(update={"name": None, "seed": seed, "warm_start": False})

    @cached_property
    def recipes(self) -> tuple[Recipe, ...]:
        """Those that are run with every seed."""
        return tuple(one.recipe for one in self.variants if one.recipe not in self.impossible)

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Everything that is run, seed by seed."""
        return tuple((recipe, seed) for seed in self.seeds for recipe in self.recipes)

    def steps_left(self, over: Collection[Run]) -> list[Run]:
        """Returns the beginnings of recipes that are still to be trained, each once.

        Args:
            over: runs that ended; what they and the trial trained is in the step cache.
        """
        known = {(prefix, self.seeds[0]) for prefix in self.recipe.prefixes()}
        known |= {(prefix, seed) for recipe, seed in over for prefix in recipe.prefixes()}
        wanted = ((prefix, seed) for recipe, seed in self.runs for prefix in recipe.prefixes())
        return [one for one in dict.fromkeys(wanted) if one not in known]

    def seconds_left(self, over: Collection[Run]) -> float:
        """Returns about how long it still takes: what the trial's steps took, a beginning counted once."""
        left = [recipe for recipe, _ in self.steps_left(over)]
        return sum(self.step_s[str(one.steps[-1])] if one.steps else self.baseline_s for one in left)


def _impossible(study: Study, recipes: Sequence[Recipe]) -> dict[Recipe, str]:
    price, found = pricer_of(study), {}
    for recipe in recipes:
        try:
            price(recipe)
        except AtollError as error:
            found[recipe] = str(error)
    return found
