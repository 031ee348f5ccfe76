"""How long a search will take still, learned from how fast it was: pure arithmetic over times."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from ...spaces.recipes.recipe import Recipe

#: So many ends of trials later an interval weighs half (own choice). Trials become longer as beginnings in
#: the step cache run out, and shorter as good ones are changed: on the recorded search of `characters` the
#: median error from a third on is 18 % with a half life of 10 ends, 9 % with 20 to 40, 13 % with all alike.
_HALF_LIFE_ENDS = 30
#: share of what a trial should take that is left of it, however long it runs (own choice)
_LEAST_LEFT = 0.1


class Course:
    """What was seen of a search so far: how fast trials ended, what steps took, when what runs began."""

    def __init__(self) -> None:
        self._paces: dict[str, Pace] = {}
        self._began_s: dict[str, float] = {}
        self._trained: set[tuple[Recipe, int | None]] = set()
        self._steps: dict[str, tuple[float, int]] = {}  # by technique: seconds in all, of how many
        self._last: dict[Recipe, float] = {}  # seconds of a recipe's last step

    def observe(self, done: Mapping[str, int], running: Collection[str], searches: bool, at_s: float) -> None:
        """Takes notice of what is done and what runs.

        Args:
            done: how many there are of each kind that a limit counts.
            running: names of the trials that run.
            searches: whether one of them was proposed: the time before that tells nothing.
            at_s: seconds since the command began.
        """
        self._began_s = {name: self._began_s.get(name, at_s) for name in running}
        for kind, count in done.items():
            if searches or kind in self._paces:
                self._paces.setdefault(kind, Pace()).observe(count, at_s)

    def learn(self, recipe: Recipe, seed: int | None, steps_s: Sequence[float]) -> None:
        """Takes notice of what the steps of a trial took when they were made.

        Args:
            recipe: what was carried out; its beginnings are in the step cache now.
            seed: a further one, None for the study's.
            steps_s: seconds of each step; none where nobody knows.
        """
        for prefix, step_s in zip(recipe.prefixes()[1:], steps_s, strict=False):
            if (prefix, seed) not in self._trained:
                self._trained.add((prefix, seed))
                self._last[prefix] = step_s
                seconds, count = self._steps.get(prefix.steps[-1].name, (0.0, 0))
                self._steps[prefix.steps[-1].name] = seconds + step_s, count + 1

    def each_s(self, kind: str) -> float | None:
        """Returns the time between two ends of a kind, None before the first was seen."""
        return self._paces[kind].each_s if kind in self._paces else None

    def left_of(self, trials: Iterable[tuple[str, Recipe, int | None]], at_s: float) -> list[float] | None:
        """Returns how long each of some trials takes still, those before it done; None if nothing tells.

        Args:
            trials: name, recipe and seed of those that run or will; "" for one without a name yet.
            at_s: seconds since the command began.
        """
        if not self._steps:
            return None
        mean_s = sum(s for s, _ in self._steps.values()) / sum(n for _, n in self._steps.values())
        found, trained = [], set(self._trained)
        for name, recipe, seed in trials:
            missing = [prefix for prefix in recipe.prefixes()[1:] if (prefix, seed) not in trained]
            trained.update((prefix, seed) for prefix in missing)
            whole_s = sum(self._step_s(prefix, mean_s) for prefix in missing)
            found.append(max(whole_s - (at_s - self._began_s.get(name, at_s)), _LEAST_LEFT * whole_s))
        return found

    def _step_s(self, prefix: Recipe, mean_s: float) -> float:
        """Returns what the last step took with another seed, else steps of its technique, else any step."""
        seconds, count = self._steps.get(prefix.steps[-1].name, (mean_s, 1))
        return self._last.get(prefix, seconds / count)


class Pace:
    """The time that passes between two ends of trials, later intervals with more weight.

    By the clock, so that workers beside each other, checks, failures, prices and what the driver itself takes
    are all in it.
    """

    def __init__(self) -> None:
        self._done: int | None = None
        self._last_s = 0.0
        self._sum_s = self._weight = 0.0

    def observe(self, done: int, at_s: float) -> None:
        """Takes notice of how many are done.

        Args:
            done: in all; those of the first call were there before.
            at_s: when, in seconds on any clock.
        """
        if self._done is None:
            self._done, self._last_s = done, at_s
        ends = done - self._done
        if ends <= 0:
            return
        decay = 0.5 ** (1 / _HALF_LIFE_ENDS)
        for _ in range(ends):
            self._sum_s = self._sum_s * decay + (at_s - self._last_s) / ends
            self._weight = self._weight * decay + 1
        self._done, self._last_s = done, at_s

    @property
    def each_s(self) -> float | None:
        """The time between two ends, None before the first one."""
        return self._sum_s / self._weight if self._weight else None


def still_running_s(mean_s: float, workers: int) -> float:
    """Returns about how long the last of the trials that run takes, begun at any time before.

    What is left of each is evenly spread over a trial's time; of so many the largest is the last.

    >>> still_running_s(30.0, workers=1), still_running_s(30.0, workers=2)
    (15.0, 20.0)
    """
    return mean_s * workers / (workers + 1)
