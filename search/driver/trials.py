"""The trials of one study as its driver knows them."""

import re
from collections import Counter
from collections.abc import Collection, Container, Iterator, Mapping, ValuesView

from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from ..store.events import FOREIGN_NUMBER
from .trial import Trial


class Trials(Mapping[str, Trial]):
    """Trials by name, in the order in which they came about; a recipe has one at most with each seed.

    A further seed says more of a recipe that is known: limits, proposals and the best know nothing of it.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, Trial] = {}
        self._recipes: dict[Recipe, Trial] = {}
        self._further: dict[tuple[Recipe, int], Trial] = {}
        self._next_number = 1
        #: number of the searcher's next proposal
        self.next_proposal = 0
        # Who asks often asks of ten thousand: what is over is counted once.
        self._open: dict[str, Trial] = {}
        self._over: dict[str, Trial] = {}
        #: how often something that was over was begun again
        self.restarts = 0
        self._counts: Counter[tuple[bool, bool, str]] = Counter()

    def __getitem__(self, name: str) -> Trial:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def values(self) -> ValuesView[Trial]:
        """Returns them in their order."""
        return self._by_name.values()  # one look-up less for each of thousands than the mixin's

    def create(
        self, recipe: Recipe, origin: str, proposal: int | None = None, seed: int | None = None
    ) -> Trial:
        """Returns a new trial of a recipe under the next free name."""
        while (name := f"t{self._next_number:04d}") in self._by_name:
            self._next_number += 1
        trial = Trial(name, recipe, origin, proposal, seed)
        self.add(trial)
        return trial

    def add(self, trial: Trial) -> None:
        """Takes in a trial that has a name."""
        self.skip(trial.name)
        self._by_name[trial.name] = trial
        if trial.seed is None:
            self._recipes[trial.recipe] = trial
        else:
            self._further[trial.recipe, trial.seed] = trial
        self._open[trial.name] = trial
        if trial.origin == "search" and trial.proposal is not None:
            self.next_proposal = max(self.next_proposal, trial.proposal + 1)

    def skip(self, name: str) -> None:
        """Keeps a name from being given to a new trial, and those before it, unless it is a foreign one.

        Raises:
            AtollError: it is no name that a study gives.
        """
        if not re.fullmatch(r"t[0-9]{1,9}", name):
            raise AtollError(f"its name is {name!r:.80}, allowed is t with a number")
        if int(name[1:]) < FOREIGN_NUMBER:
            self._next_number = max(self._next_number, int(name[1:]) + 1)

    def of(self, recipe: Recipe, seed: int | None = None) -> Trial | None:
        """Returns the trial of a recipe with a further seed, with the study's where None; None if none."""
        return self._recipes.get(recipe) if seed is None else self._further.get((recipe, seed))

    def start(self, trial: Trial) -> None:
        """Lets a trial of these run, once more where it is over."""
        if self._settled().pop(trial.name, None) is not None:
            self._counts[_kind(trial)] -= 1
            self.restarts += 1
        self._open[trial.name] = trial
        trial.start()

    @property
    def recipes(self) -> Container[Recipe]:
        """Those of trials with the study's own seed."""
        return self._recipes.keys()

    @property
    def running(self) -> list[Trial]:
        """Those that are being evaluated."""
        return [trial for trial in self._opened() if trial.status == "running"]

    @property
    def waiting(self) -> list[Trial]:
        """Those that nobody has begun."""
        return [trial for trial in self._opened() if trial.status == "waiting"]

    @property
    def over(self) -> Mapping[str, Trial]:
        """Those of which nothing more will come, in the order in which that was seen."""
        return self._settled()

    @property
    def own(self) -> list[Trial]:
        """Those with the study's own seed."""
        return [trial for trial in self.values() if trial.seed is None]

    @property
    def further(self) -> Collection[Trial]:
        """Those with further seeds."""
        return self._further.values()

    @property
    def searched(self) -> list[Trial]:
        """The searcher's own."""
        return [trial for trial in self.values() if trial.origin == "search"]

    def count(self, *statuses: str) -> int:
        """Returns how many with the study's own seed have one of these statuses."""
        return sum(number for (own, _, status), number in self._tally().items() if own and status in statuses)

    def ensembles(self, status: str) -> int:
        """Returns how many of the searcher's ensembles have a status."""
        return sum(number for (_, is_one, its), number in self._tally().items() if is_one and its == status)

    def _settled(self) -> dict[str, Trial]:
        """Returns what is over, having looked at what was not."""
        for trial in [trial for trial in self._open.values() if trial.is_over]:
            self._over[trial.name] = self._open.pop(trial.name)
            self._counts[_kind(trial)] += 1
        return self._over

    def _opened(self) -> Collection[Trial]:
        self._settled()
        return self._open.values()

    def _tally(self) -> Counter[tuple[bool, bool, str]]:
        """Returns how many there are of each kind: the study's own seed, an ensemble, the status."""
        return Counter(map(_kind, self._opened())) + self._counts


def _kind(trial: Trial) -> tuple[bool, bool, str]:
    return trial.seed is None, trial.is_ensemble, trial.status
