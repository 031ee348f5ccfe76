"""Where a search stands at one moment, as data, and in one line."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from ...evaluators.ranking.figures import FIGURE
from ...evaluators.steps.work import Position


@dataclass(frozen=True)
class Running:
    """A trial that a worker has.

    Args:
        trial, recipe: its name, and what is carried out.
        steps: how many the recipe has; 0 of the baseline.
        seed: a further one, None for the study's.
        position: where it is; None before its process has said so.
    """

    trial: str
    recipe: str
    steps: int
    seed: int | None = None
    position: Position | None = None

    def __str__(self) -> str:
        """Where it is: `step 2 of 3, epoch 0.5 of 2`."""
        at = self.position
        if at is None:
            return "begins"
        said = [f"step {at.step} of {self.steps}"] if self.steps else []
        if at.epochs > 0:
            said.append(f"epoch {at.epochs_done:.1f} of {at.epochs:g}")
        return ", ".join(said) or "begins"


@dataclass(frozen=True)
class Snapshot:
    """Where a search stands.

    Args:
        done, failed, rejected: trials with the study's own seed, as its limits count them.
        running: trials, with whatever seed.
        ensembles, ensembles_wanted: finished proposals of the searcher, and the limit on them.
        doing: what everything else waits for now; None where trials run as they come.
        feasible: finished compressed trials that meet the constraints.
        reference_left: recipes of the reference set that are not over; without them nothing is ranked.
        best: recipe of the best feasible trial, with its objective, ratio, and quality in words.
        seconds_left: until the first limit and for the finalists after it, as far as it can be told; their
            files are not counted, which are measured when all is trained.
        study: its name.
        best_trial: name of the best trial.
        front: feasible recipes that no other beats in quality and in every cost of the goal; `front_of` says
            in which.
        steps_cached, steps_run: steps of what this command finished that came out of the step cache, and all.
        workers: what runs.
    """

    done: int
    running: int
    failed: int
    rejected: int
    ensembles: int
    ensembles_wanted: int | None
    doing: str | None
    feasible: int
    reference_left: int
    best: str | None
    best_objective: str | None
    best_ratio: float | None
    best_quality: str | None
    elapsed_s: float
    seconds_left: float | None
    study: str = ""
    best_trial: str | None = None
    front: int = 0
    front_of: tuple[str, ...] = ()
    steps_cached: int = 0
    steps_run: int = 0
    workers: tuple[Running, ...] = field(default=())

    def __str__(self) -> str:
        doing = f"{self.doing}; " if self.doing else ""
        left = f", {self.left}" if self.left else ""
        return f"{clock(self.elapsed_s)} {doing}{self.counts}{left}; best: {self.told_best}"

    @property
    def counts(self) -> str:
        """How many trials there are of each kind."""
        wanted = "" if self.ensembles_wanted is None else f" of {self.ensembles_wanted}"
        return (
            f"{self.done} done ({self.ensembles}{wanted} ensembles), {self.running} running, "
            f"{self.failed} failed, {self.rejected} rejected"
        )

    @property
    def left(self) -> str:
        """How long it will train; empty where that is not known.

        The finalists' files, which are measured and timed after it, are not counted.
        """
        if self.seconds_left is None:
            return ""
        if self.seconds_left < 1:
            return "next to no training left"
        return f"about {clock(self.seconds_left)} of training left"

    @property
    def told_best(self) -> str:
        """The best so far, or why there is none."""
        if self.best is not None:
            return f"{self.best} ({self.about_best})"
        if self.feasible:
            return (
                f"not ranked yet, {self.feasible} meet{'s' * (self.feasible == 1)} the constraints "
                f"({self.reference_left} of the reference set to come)"
            )
        return "none meets the constraints yet"

    @property
    def about_best(self) -> str:
        """The figures of the best so far."""
        ratio = "" if self.best_ratio is None else _smaller(self.best_ratio)
        quality = f"validation quality {self.best_quality}"
        return ", ".join(filter(None, (self.best_objective, ratio, quality)))

    def at(self, positions: Mapping[str, Position]) -> Self:
        """Returns the same with the positions of trials, by their names."""
        return replace(
            self, workers=tuple(replace(one, position=positions.get(one.trial)) for one in self.workers)
        )

    def to_json(self) -> dict[str, Any]:
        """Returns every part in JSON's own types."""
        return asdict(self)


def _smaller(ratio: float) -> str:
    figure = FIGURE["compression_ratio"]
    return f"{figure.brief.text(ratio)}{figure.brief.unit} {figure.title} ({figure.kind})"


def clock(seconds: float) -> str:
    """Returns a time as a clock shows it.

    >>> clock(59.6), clock(3725)
    ('1:00', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
