"""Which trial a command means: a study by name or the newest, a trial by name or the best."""

from shlex import quote

from ...evaluators.ranking.leaderboard import BASELINE
from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from .store import Store
from .stored_rows import LeaderboardRow, TrialRow
from .stored_study import StoredStudy

BEST = "best"


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

    The best is the leaderboard's first among the finalists, which were measured from their files; where
    there are none yet, the leaderboard's first.

    Raises:
        AtollError: no such trial, it is not finished, or nothing meets the constraints (the nearest is
            named).
    """
    trials = store.trials(study.name)
    if name != BEST:
        return _named(trials, study, name)
    ranked = ranked_trials(store, study, profile)
    if ranked:
        finalists = [row for row in ranked if row["model_bytes_measured"] is not None]
        best = (finalists or ranked)[0]["trial"]
        # the trial itself: the leaderboard's row holds the means over a recipe's seeds
        return next(row for row in trials if row["trial"] == best)
    nearest = study.nearest_miss(trials)
    hint = (
        f"the nearest is trial {nearest['trial']}, {nearest['recipe']}, which misses: {nearest['misses']}; "
        f"`atoll export {quote(nearest['trial'])}` exports it all the same"
        if nearest
        else "no recipe is finished yet"
    )
    raise AtollError(f"no trial of study {study.name!r} meets its constraints; {hint}")


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
