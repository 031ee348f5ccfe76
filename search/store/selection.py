"""Which trial a command means: a study by name or the newest, a trial by name or the best."""

from collections import Counter
from collections.abc import Mapping, Sequence
from shlex import quote

from ...evaluators.ranking.finalists import Finalist, finalists, winner
from ...evaluators.ranking.leaderboard import BASELINE
from ...evaluators.ranking.stability import Stability, overtaking_of
from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from .events import INTERRUPTED
from .store import Store
from .stored_rows import LeaderboardRow, TrialRow
from .stored_study import StoredStudy

BEST = "best"
#: origin of trials with further seeds: of the best recipes, and of the baseline that they are held against
FINALIST = "finalist"


def choose_study(store: Store, name: str | None) -> StoredStudy:
    """Returns a study: that of the name, or the newest.

    Raises:
        AtollError: there is none, or the definition of it is lost or cannot be read.
    """
    studies = store.studies()
    if not studies:
        raise AtollError(f"no study in {store.path}: run `atoll search` first")
    for row in reversed(studies):
        if name in (None, row["study"]):
            if row["definition"] is None and row["digest"] is not None:
                raise AtollError(
                    f"the definition of study {row['study']!r} cannot be read (its lines in "
                    f"{store.journal_path} are damaged): the command that began it, given again, writes it "
                    "anew and goes on"
                )
            return StoredStudy.from_row(row)
    known = known_names(str(name), [row["study"] for row in studies])
    raise AtollError(f"no study {name!r} in {store.path}: {known}")


def ranked_trials(store: Store, study: StoredStudy, profile: str | None = None) -> list[LeaderboardRow]:
    """Returns the finished trials that meet the study's constraints, best first, the baseline left out.

    The score is the papers', over the whole table (baseline included), by the study's profile.
    """
    rows = study.ranked(store.trials(study.name), profile)
    return [row for row in rows if row["recipe"] != BASELINE]


def choose_trial(store: Store, study: StoredStudy, name: str, profile: str | None = None) -> TrialRow:
    """Returns the row of a trial: that of the name, that of the recipe, or the best.

    The best is the winner of the finalists, with the seed nearest their mean: see `ranking.finalists`. Where
    no recipe has several seeds it is the leaderboard's first among those measured from their files, and
    where there are none yet, the leaderboard's first.

    Raises:
        AtollError: no such trial, it is not finished, or nothing meets the constraints (the nearest is
            named).
    """
    trials = store.trials(study.name)
    if name != BEST:
        return _named(trials, study, name)
    ranked = ranked_trials(store, study, profile)
    if ranked:
        several = finalists_of(study, trials, ranked, profile)
        measured = [row for row in ranked if row["model_bytes_measured"] is not None]
        best = (winner(several).row if several else (measured or ranked)[0])["trial"]
        # the trial itself: the leaderboard's row holds the means over a recipe's seeds
        return next(row for row in trials if row["trial"] == best)
    nearest = study.nearest_miss(trials)
    if nearest is None:
        raise AtollError(f"no recipe of study {study.name!r} has finished yet")
    raise AtollError(
        f"no trial of study {study.name!r} meets its constraints; the nearest is trial {nearest['trial']}, "
        f"{nearest['recipe']}, which misses: {nearest['misses']}; "
        f"`atoll export {quote(nearest['trial'])}` exports it all the same"
    )


def finalists_of(
    study: StoredStudy,
    trials: Sequence[TrialRow],
    ranked: Sequence[LeaderboardRow],
    profile: str | Mapping[str, float] | None = None,
    scoring: str | None = None,
) -> list[Finalist]:
    """Returns the recipes of a leaderboard that were trained with several seeds, best first.

    Args:
        study, trials: all trials of the study.
        ranked: the leaderboard that `profile` and `scoring` gave.
    """
    return finalists(trials, ranked, lambda rows: study.ranked(rows, profile, True, scoring))


def stability_of(
    study: StoredStudy,
    trials: Sequence[TrialRow],
    ranked: Sequence[LeaderboardRow],
    profile: str | Mapping[str, float] | None = None,
    scoring: str | None = None,
) -> Stability | None:
    """Returns how stable a leaderboard's first place is; None where fewer than two recipes are ranked.

    Args:
        study, trials, ranked, profile, scoring: as for `finalists_of`; `ranked` with the baseline.
    """
    weighed, overtaking = not study.ranks_by_goal(profile, scoring), None
    if weighed:
        baseline = study.baseline_figures(trials)
        overtaking = overtaking_of(ranked, baseline, profile or study.profile, scoring or "linear")
    several = finalists_of(study, trials, ranked, profile, scoring)
    return Stability.of(ranked, several, weighed, overtaking)


def to_measure(store: Store, study: StoredStudy, most: int) -> list[TrialRow]:
    """Returns the trials whose files are measured when a study ends: baselines, then the best, best first.

    The best are the finalists, each with the seed nearest its mean, and where no recipe has several seeds the
    leaderboard's first; each stands beside the baseline of its seed.

    Args:
        store, study: that ended.
        most: how many of the best.
    """
    trials = store.trials(study.name)
    ranked = ranked_trials(store, study)
    several = finalists_of(study, trials, ranked)
    first = [one.row["trial"] for one in several] or [row["trial"] for row in ranked]
    if several:  # what wins is measured, wherever it stands
        first.insert(0, winner(several).row["trial"])
    chosen = list(dict.fromkeys(first))[:most]
    rows = {trial["trial"]: trial for trial in trials}
    best = [rows[name] for name in chosen]
    seeds = {row["seed"] for row in best}
    baselines = [
        row
        for row in trials
        if row["recipe"] == BASELINE
        and row["status"] == "finished"
        and (row["origin"] != FINALIST or row["seed"] in seeds)
    ]
    return [*baselines, *best]


def to_test(trials: Sequence[TrialRow], measured: Sequence[TrialRow]) -> list[TrialRow]:
    """Returns the other seeds of what is measured when a study ends: of these the test split alone is asked.

    Args:
        trials: all of the study.
        measured: what `to_measure` gave.
    """
    names, recipes = {row["trial"] for row in measured}, {row["recipe"] for row in measured}
    return [
        row
        for row in trials
        if row["recipe"] in recipes and row["trial"] not in names and row["status"] == "finished"
    ]


def finalist_recipes(study: StoredStudy, trials: Sequence[TrialRow], most: int, seeds: int) -> list[str]:
    """Returns the recipes that are to have all their seeds, best first by the mean of those that they have.

    They are the best that hold the constraints in that mean. Where none of them holds with all its seeds, and
    until as many have them as are wanted, the next ones follow.

    Args:
        study, trials: all trials of the study; without its baseline nothing is ranked.
        most: how many at a time.
        seeds: how many further ones each gets.
    """
    over: Counter[str] = Counter()
    failed = set()
    for trial in trials:
        # what was interrupted runs again
        if trial["origin"] == FINALIST and trial["recipe"] != BASELINE and trial["reason"] != INTERRUPTED:
            over[trial["recipe"]] += trial["status"] in ("finished", "failed")
            if trial["status"] == "failed":
                failed.add(trial["recipe"])
    ranked = [row["recipe"] for row in study.ranked(trials) if row["recipe"] != BASELINE]
    holding = [recipe for recipe in ranked if recipe not in failed]
    whole = [recipe for recipe, count in over.items() if count >= seeds]
    is_done = len(whole) >= most and any(over[recipe] >= seeds for recipe in holding)
    found = [] if is_done else holding[:most]
    return found if any(over[recipe] < seeds for recipe in found) else []


def _named(trials: list[TrialRow], study: StoredStudy, name: str) -> TrialRow:
    found = [row for row in trials if name in (row["trial"], row["recipe"])]
    for row in found:
        if row["status"] == "finished":
            if row["recipe"] is None:
                raise AtollError(f"trial {row['trial']} of study {study.name!r} has lost its recipe")
            return row
    if found:
        raise AtollError(
            f"trial {found[0]['trial']} of study {study.name!r} is {found[0]['status']} "
            f"({found[0]['reason'] or 'no reason'}): only a finished one can be exported"
        )
    known = [row["trial"] for row in trials if row["status"] == "finished"]
    raise AtollError(f"no trial {name!r} in study {study.name!r}; {known_names(name, [*known, BEST])}")
