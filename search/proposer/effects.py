"""What steps do to the figures of a network, learned from recipes that were evaluated.

Every figure is written so that effects add up (halvings of a cost, the logarithm of a drop), and a recipe is
a sum: of its techniques, its steps, and what each does after an earlier one. The weights have a normal prior,
narrower the more particular they are, so that few results teach something of all recipes and many teach the
particulars. The posterior is a closed form (Bishop, Pattern Recognition and Machine Learning, eqs. 3.53-59).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
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


class Words:
    """Gives every feature that something was learned of a column; column `SIZE` is no feature.

    What was only asked about has none: the same results give the same columns, whatever was asked meanwhile.
    """

    def __init__(self) -> None:
        self._columns: dict[Hashable, int] = {SIZE: SIZE}

    def learn(self, recipe: Recipe) -> tuple[Columns, Array]:
        """Returns the columns of a recipe's features and the standard deviations of their priors."""
        present = features(recipe)
        columns = [self._columns.setdefault(one, len(self._columns)) for one in present]
        return np.array(columns, dtype=np.intp), np.array(list(present.values()))

    def rows(self, recipes: Sequence[Recipe]) -> tuple[Array, Array]:
        """Returns their rows over the columns so far, and the variance of what has none.

        Returns:
            shapes (recipes, columns) and (recipes,).
        """
        rows, unknown = np.zeros((len(recipes), len(self._columns))), np.zeros(len(recipes))
        for place, recipe in enumerate(recipes):
            for feature, weight in features(recipe).items():
                column = self._columns.get(feature)
                if column is None:
                    unknown[place] += weight**2
                else:
                    rows[place, column] = weight
        return rows, unknown


@dataclass(frozen=True)
class Effects:
    """The posterior of what features do to some figures.

    Args:
        means: of the weights, shape (columns, figures), in standard deviations of the prior.
        root: inverse of the lower Cholesky factor of their precision, shape (columns, columns).
    """

    means: Array
    root: Array

    def predict(self, rows: Array, unknown: Array) -> tuple[Array, Array]:
        """Returns what is expected of recipes, and how well that is known, without the noise of a result.

        Args:
            rows, unknown: as `Words.rows` gives them, where columns were added since.

        Returns:
            means, shape (recipes, figures), and the standard deviation, shape (recipes,).
        """
        known, later = np.split(rows, [len(self.means)], axis=1)
        variance = ((known @ self.root.T) ** 2).sum(axis=1) + (later**2).sum(axis=1) + unknown
        return known @ self.means, np.sqrt(variance)


class Lessons:
    """Results so far, one after the other, as the sums that the posterior needs of them.

    Args:
        figures: how many each result has.
        noise: standard deviation of one result, > 0.
    """

    def __init__(self, figures: int, noise: float) -> None:
        self._noise = noise
        self._precision = np.zeros((0, 0))
        self._sums = np.zeros((0, figures))

    def add(self, row: tuple[Columns, Array], figures: Sequence[float], noises: float = 1.0) -> None:
        """Takes in a result; `row` as `Words.learn` gives it, with so many times the noise of one."""
        columns, weights = row
        self._grow(int(columns.max(initial=-1)) + 1)
        variance = (noises * self._noise) ** 2
        self._precision[columns[:, None], columns] += np.outer(weights, weights) / variance
        self._sums[columns] += np.outer(weights, figures) / variance

    def learned(self) -> Effects:
        """Returns the posterior."""
        lower = np.linalg.cholesky(self._precision + np.eye(len(self._precision)))
        root = np.linalg.inv(lower)
        return Effects(root.T @ (root @ self._sums), root)

    def _grow(self, columns: int) -> None:
        more = columns - len(self._precision)
        if more > 0:
            self._precision = np.pad(self._precision, (0, more))
            self._sums = np.pad(self._sums, ((0, more), (0, 0)))
