"""What a running search says of itself: where it stands, what it waits for, how long it will take."""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Self, TextIO

from ...evaluators.ranking.against_baseline import compression_ratio, figure_of
from ...evaluators.ranking.figures import FIGURE
from ...evaluators.ranking.goal import Goal
from ...evaluators.ranking.metrics import Metrics
from ...evaluators.ranking.quality_terms import QualityTerms
from ...evaluators.steps.baseline import RUNS
from ...evaluators.steps.work import Position
from ...evaluators.tasks import load_task
from ...spaces.recipes.recipe import Recipe
from ..live.front import front_size
from ..live.output import JsonLines, Output, PlainLines
from ..live.screen import Screen, is_screen
from ..live.snapshot import Running, Snapshot, clock
from ..live.time_left import Course, still_running_s
from ..store.selection import FINALIST
from ..study.budgets import finals_s
from ..study.reference import fixed_recipes, reference_recipes
from ..terminal.amounts import duration
from .campaign import Campaign
from .trial import Trial

#: costs of a goal that weighs several, in which a front is counted
_COSTS_OF_A_SCORE = ("model_bytes", "latency_ms")
#: what happens after the first Ctrl-C
_ENDING = "what runs is finished and kept, nothing new begins; a second Ctrl-C stops at once"
#: tells where the trials of these names are
WhereTheyAre = Callable[[Collection[str]], Mapping[str, Position]]


def snapshot(campaign: Campaign, workers: int, course: Course = Course()) -> Snapshot:  # noqa: B008
    """Returns where a campaign stands.

    Args:
        campaign: what is looked at.
        workers: trials at a time.
        course: what was seen of it before, from which the time left is learned.
    """
    best, goal, study = campaign.best, campaign.study.parsed_goal, campaign.study
    ratio = None
    if best is not None and best.metrics and campaign.judge is not None:
        ratio = compression_ratio(figure_of(campaign.judge.baseline, "model_bytes"), best.metrics.model_bytes)
    reference = reference_recipes(load_task(study.task), goal)
    feasible = [trial for trial in campaign.trials.own if trial.is_feasible and trial.recipe.steps]
    front, front_of = _front(feasible, goal)
    outcomes = [trial.outcome for trial in campaign.trials.values() if trial.outcome is not None]
    steps = [step for outcome in outcomes for step in outcome.steps if step.position > 0]
    return Snapshot(
        study=study.study_name,
        elapsed_s=campaign.elapsed_s,
        seconds_left=seconds_left(campaign, workers, course),
        doing=doing(campaign),
        done=campaign.trials.count("finished"),
        running=len(campaign.trials.running),
        failed=campaign.trials.count("failed"),
        rejected=campaign.trials.count("rejected"),
        ensembles=campaign.trials.ensembles("finished"),
        ensembles_wanted=study.limits.ensembles,
        feasible=len(feasible),
        reference_left=sum(not (t and t.is_over) for t in map(campaign.trials.of, reference)),
        best=None if best is None else str(best.recipe),
        best_trial=None if best is None else best.name,
        best_objective=_objective(best, goal),
        best_ratio=ratio,
        best_quality=None if best is None or best.metrics is None else _quality(best.metrics),
        front=front,
        front_of=front_of,
        steps_cached=sum(step.cached for step in steps),
        steps_run=len(steps),
        workers=tuple(
            Running(trial.name, str(trial.recipe), len(trial.recipe), trial.seed)
            for trial in campaign.trials.running
        ),
    )


def _front(feasible: list[Trial], goal: Goal) -> tuple[int, tuple[str, ...]]:
    """Returns how many of some trials no other beats, and in what."""
    metrics = [trial.metrics for trial in feasible if trial.metrics is not None]
    if not metrics:
        return 0, ()
    terms, costs = QualityTerms.of(metrics[0]), goal.minimized or _COSTS_OF_A_SCORE
    sign = -1 if terms.higher_is_better else 1
    known = [cost for cost in costs if all(getattr(one, cost) is not None for one in metrics)]
    points = ((sign * one.quality, *(getattr(one, cost) for cost in known)) for one in metrics)
    return front_size(points), (terms.name, *(FIGURE[cost].title for cost in known))


def doing(campaign: Campaign) -> str | None:
    """Returns what everything else waits for, None where trials run as they come."""
    if campaign.end_reason is not None:
        finals = "training the finalists with further seeds, each beside a baseline of its seed"
        return finals if campaign.seeds.finals_left else None
    if campaign.started == 0:
        return "starting Ray and its workers"
    baseline = campaign.trials.of(Recipe())
    if baseline is not None and baseline.status == "running":
        return "training the baseline, or loading it from the step cache: all others are compared with it"
    if any(not trial.recipe.steps and trial.status == "running" for trial in campaign.trials.further):
        return "training the baselines of the finalists' seeds: all others are compared with the mean of all"
    return None


def seconds_left(campaign: Campaign, workers: int, course: Course) -> float | None:
    """Estimates the time to the first limit, and that of the finalists after it; None if it is not known."""
    search_s = _search_left_s(campaign, workers, course) if campaign.end_reason is None else 0.0
    after_s = _finals_left_s(campaign, workers, course, search_s or 0.0)
    return None if search_s is None or after_s is None else search_s + after_s


def _search_left_s(campaign: Campaign, workers: int, course: Course) -> float | None:
    """Estimates the time until nothing of the search runs any more: from how fast trials ended so far."""
    limits, trials, found = campaign.study.limits, campaign.trials, list[float]()
    seconds = [t.seconds for t in trials.own if t.status == "finished" and t.seconds and t.recipe.steps]
    each_s = sum(seconds) / len(seconds) if seconds else None
    if limits.time_minutes is not None:
        left_s = max(0.0, limits.time_minutes * 60 - campaign.counted_s)
        found.append(left_s + still_running_s(each_s or 0.0, workers))
    fixed = fixed_recipes(load_task(campaign.study.task), campaign.study.parsed_goal)
    fixed_left = sum(trials.of(recipe) is None for recipe in fixed)
    for kind, done in _counted(campaign).items():
        limit = getattr(limits, kind)
        if limit is None or each_s is None:
            continue
        running = [trial for trial in trials.running if trial.seed is None and trial.recipe.steps]
        still_s = course.left_of(_named(running), campaign.elapsed_s) or [each_s / 2] * len(running)
        further = max(0, limit - done - len(running))
        pace_s = course.each_s(kind)
        left_s = further * (each_s / workers if pace_s is None else pace_s) + sum(still_s) / workers
        if kind == "ensembles":
            left_s += fixed_left * each_s / workers
        found.append(max([left_s, *still_s]))
    return min(found) if found else None


def _finals_left_s(campaign: Campaign, workers: int, course: Course, search_s: float) -> float | None:
    """Estimates how long the finalists train, by what training from nothing took with the study's seed.

    None before a recipe told it: what lies in the step cache for one seed has to be made for another.
    """
    study, trials, seeds = campaign.study, campaign.trials, campaign.seeds
    known = seeds.finals_left if campaign.end_reason is not None else None
    if known == [] or not study.further_seeds:
        return 0.0
    took = {t.recipe: t.metrics.train_seconds for t in trials.own if t.metrics is not None}
    baseline_s = took.pop(Recipe(), None)
    if baseline_s is None or not took:
        return None
    # that of the study's seed may have trained its runs side by side, since nothing ran beside it
    baseline_s = max(baseline_s, RUNS * study.baseline_epochs * campaign.epoch_s)
    mean_s, unknown = sum(took.values()) / len(took), 0.0
    if known is None:
        found, known = (0, []) if campaign.judge is None else seeds.likely_finals(campaign.judge)
        # as many more as were found so far in such a time, and one: who found none yet may still
        more = (found + 1) * search_s / max(campaign.elapsed_s, 1e-9)
        unknown = len(study.further_seeds) * min(study.finalists - found, more)
        known = [*known, *((Recipe(), seed) for seed in seeds.baselines_left)]
    recipes = [(recipe, seed) for recipe, seed in known if recipe.steps]
    begun = [trials.of(*final) or Trial("", final[0], FINALIST, seed=final[1]) for final in recipes]
    recipes_s = course.left_of(_named(begun), campaign.elapsed_s)
    if recipes_s is None:
        recipes_s = [took.get(recipe, mean_s) for recipe, _ in recipes]
    left_s = finals_s(len(known) - len(recipes), baseline_s, sum(recipes_s) + unknown * mean_s, workers)
    return max([left_s, *recipes_s])


def _named(trials: Iterable[Trial]) -> list[tuple[str, Recipe, int | None]]:
    return [(trial.name, trial.recipe, trial.seed) for trial in trials]


def _counted(campaign: Campaign) -> dict[str, int]:
    """Returns how many there are of what limits count."""
    trials = campaign.trials
    return {"ensembles": trials.ensembles("finished"), "trials": trials.count("finished", "failed")}


def forecast(campaign: Campaign) -> str | None:
    """Returns in words what an epoch and the baseline take, None before that is known."""
    baseline_s = campaign.baseline_s
    if not baseline_s:
        return None
    said = f"one epoch takes about {duration(campaign.epoch_s)}: the baseline about {duration(baseline_s)}"
    minutes = campaign.study.limits.time_minutes
    if minutes is not None and campaign.counted_s + baseline_s > minutes * 60:
        said += (
            f", which is longer than the time limit of {minutes:g} minutes: it is finished, and nothing else "
            "will be started"
        )
    return said


def overrun(campaign: Campaign) -> str | None:
    """Returns in words that what runs will take longer than the time that is left, None where it will not."""
    minutes = campaign.study.limits.time_minutes
    seconds = [
        t.seconds for t in campaign.trials.values() if t.status == "finished" and t.seconds and t.recipe
    ]
    if minutes is None or not seconds or not campaign.trials.running:
        return None
    left_s, each_s = minutes * 60 - campaign.counted_s, sum(seconds) / len(seconds)
    if campaign.end_reason is not None or left_s > each_s:
        return None
    return (
        f"a trial takes about {duration(each_s)}, of the time limit {duration(max(0.0, left_s))} are left: "
        "what runs then is finished"
    )


class Progress:
    """Context manager that shows a campaign while it runs: in place on a terminal, in lines elsewhere.

    Args:
        campaign: what is shown.
        workers: trials at a time.
        stream: stderr when None.
        json: whether it is told in JSON lines on stdout instead.
        positions: asks where workers are.
    """

    def __init__(
        self,
        campaign: Campaign,
        workers: int,
        stream: TextIO | None = None,
        json: bool = False,
        positions: WhereTheyAre = lambda names: {},
    ) -> None:
        self._campaign = campaign
        self._workers = workers
        self._positions = positions
        self._output = JsonLines() if json else _for_people(stream or sys.stderr)
        #: whether workers are to tell where they are
        self.follows = not isinstance(self._output, PlainLines)
        self._course = Course()
        self._ended: set[str] = {t.name for t in campaign.trials.values() if t.is_over}
        self._interruptions = {t.name: t.interruptions for t in campaign.trials.values()}
        self._running: set[str] = set()
        self._doing: str | None = None
        self._foretold = self._overrun_told = False
        self._remark: str | None = None
        #: whether nothing new begins, since somebody pressed Ctrl-C; may be set by a signal's handler
        self.is_asked_to_end = False
        self._asked_told = False

    def __enter__(self) -> Self:
        for trial in self._campaign.trials.values():
            self._course.learn(trial.recipe, trial.seed, [after.seconds for after in trial.after])
        self._observe()
        self._output.open(self._now())
        self._tell_doing()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        try:
            self.tick()
        finally:
            self._output.close(self._now())

    def tick(self) -> None:
        """Shows what changed; cheap, to be called often."""
        changed = self._observe()
        for trial in self._campaign.trials.values():
            if trial.interruptions > self._interruptions.get(trial.name, 0) and not trial.is_over:
                self._output.say(
                    f"{trial.name} {trial.recipe}: interrupted, its worker is gone (killed, out of memory, "
                    f"or its machine is lost); it runs again"
                )
            self._interruptions[trial.name] = trial.interruptions
            if trial.is_over and trial.name not in self._ended:
                self._ended.add(trial.name)
                self._course.learn(trial.recipe, trial.seed, [after.seconds for after in trial.after])
                if trial.status != "rejected":
                    self._output.ended(trial.told, trial.facts)
        if self.is_asked_to_end and not self._asked_told:
            self._asked_told = changed = True
            self._say(f"Ctrl-C: {_ENDING}")
        self._tell_doing()
        if self._output.due(changed):
            self._output.show(self._now())

    def note(self, remark: str | None) -> None:
        """Says a remark, once as long as it is the same."""
        if remark is not None and remark != self._remark:
            self._say(remark)
        self._remark = remark

    def _say(self, text: str) -> None:
        self._output.say(f"{clock(self._campaign.elapsed_s)} {text}")

    def _observe(self) -> bool:
        """Takes notice of what runs and of what is done; returns whether other trials run."""
        running, before = {trial.name for trial in self._campaign.trials.running}, self._running
        searches = any(self._campaign.trials[name].origin == "search" for name in running)
        self._course.observe(_counted(self._campaign), running, searches, self._campaign.elapsed_s)
        self._running = running
        return running != before

    def _now(self) -> Snapshot:
        now = snapshot(self._campaign, self._workers, self._course)
        if self.follows:
            now = now.at(self._positions([one.trial for one in now.workers]))
        if not self.is_asked_to_end:
            return now
        running = _named(self._campaign.trials.running)
        left_s = max(self._course.left_of(running, self._campaign.elapsed_s) or [0.0])
        still = f"about {duration(left_s)} still; " if left_s >= 1 else ""
        return replace(now, doing=still + _ENDING if now.workers else None, seconds_left=None)

    def _tell_doing(self) -> None:
        """Says at once what takes long before the first trial can end."""
        now = doing(self._campaign)
        if now is not None and now != self._doing:
            self._say(now)
        self._doing = now
        said = None if self._foretold else forecast(self._campaign)
        if said is not None:
            self._foretold = True
            self._say(said)
        said = None if self._overrun_told else overrun(self._campaign)
        if said is not None:
            self._overrun_told = True
            self._say(said)


def _for_people(stream: TextIO) -> Output:
    return Screen(stream) if is_screen(stream) else PlainLines(stream)


def _objective(best: Trial | None, goal: Goal) -> str | None:
    """Returns what makes a trial the best, None where it is its size, which is said anyway."""
    if best is None or best.metrics is None or goal.minimized == ("model_bytes",):
        return None
    if goal.is_score:
        return f"objective {best.objective:.3f}"
    figures = [FIGURE[name].of(best.metrics.to_json()) for name in goal.minimized]
    said = [figure.said(figure_of(best.metrics, figure.name)) for figure in figures]
    return ", ".join(f"{figure.title} {cost}" for figure, cost in zip(figures, said, strict=True))


def _quality(metrics: Metrics) -> str:
    return QualityTerms.of(metrics).figure(FIGURE["quality"]).said(metrics.quality)
