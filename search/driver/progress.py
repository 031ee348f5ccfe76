"""Shows a running search on stderr: live on a terminal, plain lines elsewhere."""

import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ...evaluators.ranking.against_baseline import compression_ratio, figure_of
from ...evaluators.ranking.figures import FIGURE
from ...evaluators.ranking.goal import Goal
from ...evaluators.ranking.metrics import Metrics
from ...evaluators.ranking.quality_terms import QualityTerms
from ...evaluators.steps.baseline import RUNS
from ...evaluators.tasks import load_task
from ...spaces.outside.shown import shown
from ...spaces.recipes.recipe import Recipe
from ..study.budgets import finals_s
from ..study.reference import reference_recipes
from ..terminal.amounts import duration
from ..terminal.said import tell
from .campaign import Campaign
from .trial import Trial

#: A file or pipe gets a line when something ended, and at least so often.
_PLAIN_EVERY_S = 30.0


@dataclass(frozen=True)
class Snapshot:
    """Where a search stands.

    Args:
        done, running, failed, rejected: trials.
        ensembles, ensembles_wanted: finished proposals of the searcher, and the limit on them.
        doing: what everything else waits for now; None where trials run as they come.
        feasible: finished compressed trials that meet the constraints.
        reference_left: recipes of the reference set that are not over; without them nothing is ranked.
        best: recipe of the best feasible trial, with its objective, ratio, and quality in words.
        seconds_left: until the first limit and for the finalists after it, as far as it can be told; their
            files are not counted, which are measured when all is trained.
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

    def __str__(self) -> str:
        wanted = "" if self.ensembles_wanted is None else f" of {self.ensembles_wanted}"
        counts = (
            f"{self.done} done ({self.ensembles}{wanted} ensembles), {self.running} running, "
            f"{self.failed} failed, {self.rejected} rejected"
        )
        left = ""
        if self.seconds_left is not None:
            # the finalists' files, which are measured and timed after it, are not counted
            left = f", about {_clock(self.seconds_left)} of training left"
            left = left if self.seconds_left >= 1 else ", next to no training left"
        best = "none meets the constraints yet"
        if self.best is None and self.feasible:
            best = (
                f"not ranked yet, {self.feasible} meet{'s' * (self.feasible == 1)} the constraints "
                f"({self.reference_left} of the reference set to come)"
            )
        if self.best is not None:
            ratio = "" if self.best_ratio is None else _smaller(self.best_ratio)
            quality = f"validation quality {self.best_quality}"
            best = f"{self.best} ({', '.join(filter(None, (self.best_objective, ratio, quality)))})"
        doing = f"{self.doing}; " if self.doing else ""
        return f"{_clock(self.elapsed_s)} {doing}{counts}{left}; best: {best}"


def snapshot(campaign: Campaign, workers: int) -> Snapshot:
    """Returns where a campaign stands."""
    best, goal = campaign.best, campaign.study.parsed_goal
    ratio = None
    if best is not None and best.metrics and campaign.judge is not None:
        ratio = compression_ratio(figure_of(campaign.judge.baseline, "model_bytes"), best.metrics.model_bytes)
    reference = reference_recipes(load_task(campaign.study.task), goal)
    return Snapshot(
        done=campaign.trials.count("finished"),
        running=campaign.trials.count("running"),
        failed=campaign.trials.count("failed"),
        rejected=campaign.trials.count("rejected"),
        ensembles=campaign.trials.ensembles("finished"),
        ensembles_wanted=campaign.study.limits.ensembles,
        doing=doing(campaign),
        feasible=sum(trial.is_feasible and len(trial.recipe) > 0 for trial in campaign.trials.values()),
        reference_left=sum(not (t and t.is_over) for t in map(campaign.trials.of, reference)),
        best=None if best is None else str(best.recipe),
        best_objective=_objective(best, goal),
        best_ratio=ratio,
        best_quality=None if best is None or best.metrics is None else _quality(best.metrics),
        elapsed_s=campaign.elapsed_s,
        seconds_left=_seconds_left(campaign, workers),
    )


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


def _seconds_left(campaign: Campaign, workers: int) -> float | None:
    """Estimates the time to the first limit, and that of the finalists after it."""
    search_s = _search_left_s(campaign, workers) if campaign.end_reason is None else 0.0
    after_s = _finals_left_s(campaign, workers)
    return None if search_s is None or after_s is None else search_s + after_s


def _finals_left_s(campaign: Campaign, workers: int) -> float | None:
    """Estimates how long the finalists train, by what training from nothing took with the study's seed.

    None before a recipe told it: what lies in the step cache for one seed has to be made for another.
    """
    study, trials = campaign.study, campaign.trials
    known = campaign.seeds.finals_left if campaign.end_reason is not None else None
    if known == [] or not study.further_seeds:
        return 0.0
    took = {t.recipe: t.metrics.train_seconds for t in trials.own if t.metrics is not None}
    baseline_s = took.pop(Recipe(), None)
    if baseline_s is None or not took:
        return None
    # that of the study's seed may have trained its runs side by side, since nothing ran beside it
    baseline_s = max(baseline_s, RUNS * study.baseline_epochs * campaign.epoch_s)
    mean_s = sum(took.values()) / len(took)
    if known is None:  # as many as may come
        recipes_s = len(study.further_seeds) * study.finalists * mean_s
        return finals_s(len(campaign.seeds.baselines_left), baseline_s, recipes_s, workers)
    recipes_s = sum(took.get(recipe, mean_s) for recipe, _ in known if recipe.steps)
    return finals_s(sum(not recipe.steps for recipe, _ in known), baseline_s, recipes_s, workers)


def _search_left_s(campaign: Campaign, workers: int) -> float | None:
    """Estimates the time to the first limit from the mean of the trials so far."""
    limits = campaign.study.limits
    found = []
    if limits.time_minutes is not None:
        found.append(max(0.0, limits.time_minutes * 60 - campaign.counted_s))
    seconds = [t.seconds for t in campaign.trials.values() if t.status == "finished" and t.seconds]
    if seconds:
        each = sum(seconds) / len(seconds) / workers
        done = campaign.trials.count("finished", "failed")
        if limits.ensembles is not None:
            fixed = sum(trial.status == "waiting" for trial in campaign.trials.values())
            found.append((limits.ensembles - campaign.trials.ensembles("finished") + fixed) * each)
        if limits.trials is not None:
            found.append((limits.trials - done) * each)
    return max(0.0, min(found)) if found else None


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
    """Context manager that shows a campaign while it runs.

    Args:
        campaign: what is shown.
        workers: trials at a time.
        stream: stderr when None.
    """

    def __init__(self, campaign: Campaign, workers: int, stream: TextIO | None = None) -> None:
        self._campaign = campaign
        self._workers = workers
        self._stream = stream or sys.stderr
        self._live: Live | None = None
        self._ended: set[str] = {t.name for t in campaign.trials.values() if t.is_over}
        self._interruptions = {t.name: t.interruptions for t in campaign.trials.values()}
        self._said_at_s = time.monotonic()
        self._doing: str | None = None
        self._foretold = self._overrun_told = False
        self._remark: str | None = None

    def __enter__(self) -> Self:
        console = Console(file=self._stream)
        if console.is_terminal:
            self._live = Live(self._picture(), console=console, refresh_per_second=2, transient=True)
            self._live.start()
        self._tell_doing()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self.tick()
        if self._live is not None:
            self._live.stop()
        self._say(str(snapshot(self._campaign, self._workers)))

    def tick(self) -> None:
        """Shows what changed; cheap, to be called often."""
        for trial in self._campaign.trials.values():
            if trial.interruptions > self._interruptions.get(trial.name, 0) and not trial.is_over:
                self._say(
                    f"{trial.name} {trial.recipe}: interrupted, its worker is gone (killed, out of memory, "
                    f"or its machine is lost); it runs again"
                )
            self._interruptions[trial.name] = trial.interruptions
            if trial.is_over and trial.name not in self._ended:
                self._ended.add(trial.name)
                if trial.status != "rejected":
                    self._tell(trial)
        self._tell_doing()
        if self._live is not None:
            self._live.update(self._picture())
        elif time.monotonic() - self._said_at_s >= _PLAIN_EVERY_S:
            self._say(str(snapshot(self._campaign, self._workers)))

    def note(self, remark: str | None) -> None:
        """Says a remark, once as long as it is the same."""
        if remark is not None and remark != self._remark:
            self._say(f"{_clock(self._campaign.elapsed_s)} {remark}")
        self._remark = remark

    def _tell_doing(self) -> None:
        """Says at once what takes long before the first trial can end."""
        now = doing(self._campaign)
        if now is not None and now != self._doing:
            self._say(f"{_clock(self._campaign.elapsed_s)} {now}")
        self._doing = now
        said = None if self._foretold else forecast(self._campaign)
        if said is not None:
            self._foretold = True
            self._say(f"{_clock(self._campaign.elapsed_s)} {said}")
        said = None if self._overrun_told else overrun(self._campaign)
        if said is not None:
            self._overrun_told = True
            self._say(f"{_clock(self._campaign.elapsed_s)} {said}")

    def _tell(self, trial: Trial) -> None:
        if trial.status == "finished" and trial.metrics is not None:
            size = FIGURE["model_bytes"].said(trial.metrics.model_bytes)
            what = (
                f"quality {_quality(trial.metrics)}, {size}, {FIGURE['seconds'].said(trial.seconds or 0.0)}"
            )
        else:
            what = f"{trial.status}: {trial.reason}"
        again = "" if trial.seed is None else f" with seed {trial.seed}"
        self._say(f"{trial.name} {trial.recipe}{again}: {what}")

    def _say(self, line: str) -> None:
        self._said_at_s = time.monotonic()
        if self._live is not None and self._live.is_started:
            self._live.console.print(Text(shown(line)))
        else:
            tell(line, self._stream)

    def _picture(self) -> Any:
        now = snapshot(self._campaign, self._workers)
        running = [f"  running {trial.name} {trial.recipe}" for trial in self._campaign.trials.running]
        return Text("\n".join(shown(line) for line in [str(now), *running]))


def _objective(best: Trial | None, goal: Goal) -> str | None:
    """Returns what makes a trial the best, None where it is its size, which is said anyway."""
    if best is None or best.metrics is None or goal.minimized == ("model_bytes",):
        return None
    if goal.is_score:
        return f"objective {best.objective:.3f}"
    said = [FIGURE[name].said(figure_of(best.metrics, name)) for name in goal.minimized]
    return ", ".join(f"{FIGURE[name].title} {cost}" for name, cost in zip(goal.minimized, said, strict=True))


def _smaller(ratio: float) -> str:
    figure = FIGURE["compression_ratio"]
    return f"{figure.brief.text(ratio)}{figure.brief.unit} {figure.title} ({figure.kind})"


def _quality(metrics: Metrics) -> str:
    return QualityTerms.of(metrics).figure(FIGURE["quality"]).said(metrics.quality)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
