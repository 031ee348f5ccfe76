"""What steps do to the figures of a network, learned from recipes that were evaluated.

Every figure is written so that effects add up (halvings of a cost, the logarithm of a drop), and a recipe is
a sum: of its techniques, its steps, and what each does after an earlier one. The weights have a normal prior,
narrower the more particular they are, so that few results teach something of all recipes and many teach the
particulars. The posterior is a closed form (Bishop, Pattern Recognition and Machine Learning, eqs. 3.53-59).
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...spaces.recipes.recipe import Recipe

Array = NDArray[np.floating[Any]]
Columns = NDArray[np.intp]

# In halvings, and in the unit of a drop's logarithm. Tried on made-up worlds and on trained digits
# (results/search_table): twice as wide, and what is unknown looks too good; half as wide changes little.
_TECHNIQUE, _STEP, _AFTER, _STEP_AFTER = 0.4, 0.3, 0.2, 0.15


@lru_cache(maxsize=65536)
def features(recipe: Recipe) -> dict[Hashable, float]:
    """Returns what a recipe consists of, each with the standard deviation of its prior."""
    found: dict[Hashable, float] = {}
    for place, step in enumerate(recipe.steps):
        text = str(step)
        found[step.name] = _TECHNIQUE
        found[text] = _STEP
        for earlier in recipe.steps[:place]:
            found[earlier.name, step.name] = _AFTER
            found[earlier.name, text] = _STEP_AFTER
            found[str(earlier), step.name] = _STEP_AFTER
    return found


#: a column for a feature that is no word: how much smaller the file is
SIZE = 0
#: column of a feature that nothing was learned of
_UNKNOWN = -1
#: sums are kept in whole numbers of this: they are the same in any order, and what was added can be taken
#: away again to the last bit; 64 bits hold a million of the largest terms (some hundreds), to ten digits
_GRAIN = 2.0**-32

#: columns of a recipe's features, and the standard deviations of their priors
Row = tuple[Columns, Array]


class Words:
    """Gives every feature that something was learned of a column; column `SIZE` is no feature.

    What was only asked about has none: the same results give the same columns, whatever was asked meanwhile.
    """

    def __init__(self) -> None:
        self._columns: dict[Hashable, int] = {SIZE: SIZE}

    def __len__(self) -> int:
        return len(self._columns)

    def learn(self, recipe: Recipe) -> Row:
        """Returns the row of a recipe; features that are new get columns."""
        present = features(recipe)
        columns = [self._columns.setdefault(one, len(self._columns)) for one in present]
        return np.array(columns, dtype=np.intp), np.array(list(present.values()))

    def row(self, recipe: Recipe) -> Row:
        """Returns the row of a recipe over the columns so far."""
        present = features(recipe)
        columns = [self._columns.get(one, _UNKNOWN) for one in present]
        return np.array(columns, dtype=np.intp), np.array(list(present.values()))

    def forget(self, kept: int) -> None:
        """Leaves the first columns alone."""
        while len(self._columns) > kept:
            self._columns.popitem()


def with_size(row: Row, weight: float) -> Row:
    """Returns a row with the column `SIZE` as one more."""
    columns, weights = row
    return np.append(columns, SIZE), np.append(weights, weight)


@dataclass(frozen=True)
class Effects:
    """The posterior of what features do to some figures.

    Args:
        precision: of the weights, in standard deviations of the prior, shape (columns, columns).
        sums: precision times means, shape (columns, figures).
    """

    precision: Array
    sums: Array

    @cached_property
    def _means(self) -> Array:
        return np.linalg.solve(self.precision, self.sums)

    @cached_property
    def _covariance(self) -> Array:
        return np.linalg.inv(self.precision)

    def means(self, rows: Sequence[Row]) -> Array:
        """Returns what is expected of recipes, shape (recipes, figures)."""
        found = np.zeros((len(rows), self.sums.shape[1]))
        for places, columns, weights in self._alike(rows):
            found[places] = (weights[:, None, :] * self._means.T[:, columns].swapaxes(0, 1)).sum(axis=-1)
        return found

    def spreads(self, rows: Sequence[Row]) -> Array:
        """Returns how well that is known, without the noise of a result, shape (recipes,)."""
        found = np.zeros(len(rows))
        for places, columns, weights in self._alike(rows):
            among = self._covariance[columns[:, :, None], columns[:, None, :]]
            products = (among * weights[:, None, :]).sum(axis=-1)
            found[places] = (products * weights).sum(axis=-1)
        for place, (columns, weights) in enumerate(rows):
            found[place] += (weights[~self._knows(columns)] ** 2).sum()
        return np.sqrt(found)

    def _knows(self, columns: Columns) -> NDArray[np.bool_]:
        return (columns >= 0) & (columns < len(self.precision))

    def _alike(self, rows: Sequence[Row]) -> Iterator[tuple[list[int], Columns, Array]]:
        """Yields rows of one length together: their places, columns, and weights, 0 where it is unknown.

        So what is said of a recipe does not depend, not in the last bit, on what else was asked.
        """
        lengths: dict[int, list[int]] = {}
        for place, (columns, _) in enumerate(rows):
            lengths.setdefault(len(columns), []).append(place)
        for places in lengths.values():
            columns = np.array([rows[place][0] for place in places])
            known = self._knows(columns)
            weights = np.array([rows[place][1] for place in places])
            yield places, np.where(known, columns, 0), np.where(known, weights, 0.0)


class Lessons:
    """Results so far as the sums that the posterior needs of them: the same in whatever order they came.

    Args:
        figures: how many each result has.
        noise: standard deviation of one result, > 0.
    """

    def __init__(self, figures: int, noise: float) -> None:
        self._noise = noise
        self._precision = np.zeros((0, 0), dtype=np.int64)
        self._sums = np.zeros((0, figures), dtype=np.int64)

    def add(self, row: Row, figures: Sequence[float], noises: float = 1.0, times: int = 1) -> None:
        """Takes in a result.

        Args:
            row: as `Words.learn` gives it.
            figures: of the result.
            noises: so many times the noise of one.
            times: how often; -1 takes it away again.
        """
        columns, weights = row
        self._grow(int(columns.max(initial=-1)) + 1)
        variance = (noises * self._noise) ** 2
        self._precision[columns[:, None], columns] += times * _grains(np.outer(weights, weights) / variance)
        self._sums[columns] += times * _grains(np.outer(weights, figures) / variance)

    def learned(self, columns: int) -> Effects:
        """Returns the posterior over the first columns, those of all results."""
        self._grow(columns)
        precision = self._precision[:columns, :columns] * _GRAIN
        return Effects(precision + np.eye(columns), self._sums[:columns] * _GRAIN)

    def _grow(self, columns: int) -> None:
        if columns > len(self._precision):
            more = max(columns, 2 * len(self._precision)) - len(self._precision)
            self._precision = np.pad(self._precision, (0, more))
            self._sums = np.pad(self._sums, ((0, more), (0, 0)))


def _grains(values: Array) -> NDArray[np.int64]:
    return np.rint(values / _GRAIN).astype(np.int64)
