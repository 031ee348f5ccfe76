"""What proposes recipes: the contract, and the proposers by name; none is imported before it is asked for."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, Self

from ...evaluators.ranking.against_baseline import Figures, cost_of, figure_of
from ...evaluators.ranking.figures import FIGURE
from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from ...spaces.recipes.recipe import Recipe
from .lesson import PLAN_COSTS
from .outlook import Outlook
from .space import Space

#: name -> the module beside this whose `PROPOSER` it is
PROPOSERS: tuple[tuple[str, str], ...] = (
    ("atoll", "grown"),
    ("guided", "guided"),
    ("tpe", "tpe"),
    ("random", "random"),
)
#: what a study that names none is searched by
DEFAULT_SAMPLER = "atoll"


@dataclass(frozen=True)
class AfterStep:
    """What was found after one step of a recipe.

    Args:
        quality: as its user knows it.
        seconds: that the step took.
        costs: figures by name, those of `PLAN_COSTS`.
    """

    quality: float
    seconds: float
    costs: Mapping[str, float]

    @classmethod
    def of(cls, figures: Figures) -> Self:
        """Takes them out of a record of the step.

        Raises:
            AtollError: one is missing or not finite.
        """
        quality, seconds = figure_of(figures, "quality"), figure_of(figures, "seconds")
        costs = {name: cost_of(figures, name) for name in PLAN_COSTS}
        # a store keeps whole bytes: a study that goes on has to learn from the same figures
        whole = {name: float(round(cost)) for name, cost in costs.items() if FIGURE[name].resolution == 1}
        return cls(quality, seconds, costs | whole)


@dataclass(frozen=True)
class Told:
    """What a proposer knows of one recipe.

    Args:
        recipe: as it was carried out, after any repair.
        objective: higher is better; for rejected and failed recipes the lowest of the reference set.
        violation: by how much constraints are broken in all, relative to their bounds; <= 0 is none.
        after: what was found after each of its steps; empty where it was not carried out, or nobody kept it.
        failed: whether it was carried out and came to nothing.
    """

    recipe: Recipe
    objective: float
    violation: float = 0.0
    after: tuple[AfterStep, ...] = ()
    failed: bool = False


class Proposer(Protocol):
    """Says what a study tries next.

    The n-th proposal is a function of space and seed, and of n, history, pending, known and outlook: of no
    earlier call, of no clock. So a search that was killed goes on as if it had not been, and nothing of a
    proposer is stored; what it keeps between calls only makes it faster. A proposal is legal, within the
    lengths, of the given techniques and values, and neither in the history nor pending nor known. The
    history may hold other recipes than proposals (the reference set), longer and shorter ones, with
    settings off the grid. It is made by `PROPOSER(space, seed)`.
    """

    #: what it means that nothing was proposed, as the end of a search is told
    exhausted: str

    def propose(
        self,
        n: int,
        history: Sequence[Told],
        pending: Iterable[Recipe] = (),
        known: Container[Recipe] | None = None,
        outlook: Outlook | None = None,
    ) -> Recipe | None:
        """Returns the n-th proposal, None where nothing new was found.

        Args:
            n: number of the proposal in its study, from 0.
            history: what is known, in an order of its own (not that of wall time).
            pending: recipes that are being evaluated.
            known: recipes that must not be proposed, those of history and pending among them; None for these
                alone. It is only asked of what might be proposed, so it may be large.
            outlook: what can be said of a recipe before it is trained; None where nobody prices any.
        """

    def parameters(self, recipe: Recipe) -> dict[str, Any]:
        """Returns a recipe as it is known here, as plain JSON; for the store, nothing reads it back."""


def check_sampler(name: str) -> None:
    """Raises AtollError where there is no proposer of that name; the message lists the known ones."""
    names = [known for known, _ in PROPOSERS]
    if name not in names:
        raise AtollError(f"unknown sampler {name!r}. {known_names(name, names)}")


def new_proposer(name: str, space: Space, seed: int) -> Proposer:
    """Makes a proposer.

    Args:
        name: one of `PROPOSERS`.
        space: what may be proposed.
        seed: of the study.

    Raises:
        AtollError: there is none of that name.
    """
    check_sampler(name)
    made: Proposer = import_module(f".{dict(PROPOSERS)[name]}", __package__).PROPOSER(space, seed)
    return made
