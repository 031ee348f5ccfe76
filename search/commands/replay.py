"""`atoll search --replay`: a search among the trials of a store, told as such."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..terminal.said import say
from ..terminal.tables import Format

if TYPE_CHECKING:
    from ..study.study import Study


def replay(study: "Study", source: Path, format: Format) -> None:
    """Prints the leaderboard that a study comes to by looking up, and how much training that stands for."""
    from ...spaces.machine.scratch import scratch_folder
    from ..api.replays import StoredTrials
    from ..api.replays import replay as search_stored
    from ..store.store import Store
    from ..terminal.amounts import duration
    from .leaderboard import leaderboard

    stored = StoredTrials.of(Store(source), study)
    named = study.model_copy(update={"name": f"replay-of-{study.study_name}"})
    say(
        f"replay: {len(stored.outcomes)} trials of {source}, trained with seed {stored.seed}, answer; "
        "nothing is trained, and no store is written"
    )
    with scratch_folder() as folder:
        place = Store(folder / "replay.duckdb")
        campaign = search_stored(named, stored, place)
        leaderboard(study=[named.study_name], store=place.path, format=format)
    counts = {status: campaign.trials.count(status) for status in ("finished", "failed", "rejected")}
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    say(f"replay ended: {campaign.end_reason}; {said}; their training took about {duration(stored.seconds)}")
    best = campaign.best
    if best is not None:
        when = duration(stored.told_at_s[best.recipe])
        say(
            f"replayed best: {best.recipe}, after about {when} of training; all figures are those of {source}"
        )
