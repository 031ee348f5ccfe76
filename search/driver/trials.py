"""The trials of one study as its driver knows them."""

import re
from collections.abc import Iterator, Mapping

from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from .trial import Trial


class Trials(Mapping[str, Trial]):
    """Trials by name, in the order in which they came about; a recipe has one at most with each seed.

    A further seed says more of a recipe that is known: limits, proposals and the best know nothing of it.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, Trial] = {}
        self._by_recipe: dict[tuple[Recipe, int | None], Trial] = {}
        self._next_number = 1

    def __getitem__(self, name: str) -> Trial:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def create(
        self, recipe: Recipe, origin: str, proposal: int | None = None, seed: int | None = None
    ) -> Trial:
        """Returns a new trial of a recipe under the next free name."""
        trial = Trial(f"t{self._next_number:04d}", recipe, origin, proposal, seed)
        self.add(trial)
        return trial

    def add(self, trial: Trial) -> None:
        """Takes in a trial that has a name."""
        self.skip(trial.name)
        self._by_name[trial.name] = trial
        self._by_recipe[trial.recipe, trial.seed] = trial

    def skip(self, name: str) -> None:
        """Keeps a name, and those before it, from being given to a new trial.

        Raises:
            AtollError: it is no name that a study gives.
        """
        if not re.fullmatch(r"t[0-9]{1,9}", name):
            raise AtollError(f"its name is {name!r:.80}, allowed is t with a number")
        self._next_number = max(self._next_number, int(name[1:]) + 1)

    def of(self, recipe: Recipe, seed: int | None = None) -> Trial | None:
        """Returns the trial of a recipe with a further seed, with the study's where None; None if none."""
        return self._by_recipe.get((recipe, seed))

    @property
    def running(self) -> list[Trial]:
        """Those that are being evaluated."""
        return [trial for trial in self.values() if trial.status == "running"]

    @property
    def own(self) -> list[Trial]:
        """Those with the study's own seed."""
        return [trial for trial in self.values() if trial.seed is None]

    @property
    def searched(self) -> list[Trial]:
        """The searcher's own."""
        return [trial for trial in self.values() if trial.origin == "search"]

    def count(self, *statuses: str) -> int:
        """Returns how many with the study's own seed have one of these statuses."""
        return sum(trial.status in statuses for trial in self.own)

    def ensembles(self, status: str) -> int:
        """Returns how many of the searcher's ensembles have a status."""
        return sum(trial.is_ensemble and trial.status == status for trial in self.values())

    @property
    def best(self) -> Trial | None:
        """The feasible one with the highest objective, the baseline left aside."""
        found = [t for t in self.own if t.is_feasible and len(t.recipe) and t.objective is not None]
        return max(found, key=lambda trial: trial.objective or 0.0, default=None)
