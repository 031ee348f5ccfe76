"""How fast trials become durable, are folded into DuckDB and are queried."""

import hashlib
import random
import tempfile
import time
from pathlib import Path

import duckdb
import many_recipes
from atoll.search.store.events import Ended, Event, Proposed, Started, StudyDescribed
from atoll.search.store.store import Store
from figures import median_seconds, report

TRIALS = 5_000  # far more than a week of searching on two cores
RECIPES = 1_000_000  # what a store may grow to over years, or by those of others
STUDY = "bench"


def events_of(number: int, generator: random.Random) -> list[Event]:
    """Return the three events of a finished trial with made-up figures."""
    recipe = f"prune_channels(ratio=0.5) -> tensor_train(rank={number})"
    name = {"study": STUDY, "trial": f"t{number:04d}"}
    metrics = {
        "quality": generator.uniform(0.5, 0.95),
        "model_bytes": generator.randrange(10_000, 4_000_000),
        "payload_bytes": generator.randrange(10_000, 4_000_000),
        "macs": generator.randrange(1_000_000, 70_000_000),
        "latency_ms": generator.uniform(1, 50),
        "peak_memory_bytes": generator.randrange(200_000, 8_000_000),
    }
    return [
        Proposed(
            **name,
            recipe=recipe,
            recipe_digest=hashlib.sha256(recipe.encode()).hexdigest(),
            seed=0,
            epochs_per_step=1.0,
            origin="search",
        ),
        Started(**name),
        Ended(**name, status="finished", objective=1.0, metrics=metrics),
    ]


def macros(path: Path) -> None:
    """Report how fast macros answer over a filled store."""
    with duckdb.connect(str(path), read_only=True, config={"threads": 2}) as connection:
        for name, call, target_s in (
            ("leaderboard_first_100", "leaderboard(first := 100)", 0.1),
            ("leaderboard", "leaderboard()", 0.4),
            ("leaderboard_by_rank", "leaderboard(scoring := 'rank')", 2.0),
            ("leaderboard_dense", "leaderboard(scoring := 'dense')", 2.0),
            ("pareto", "pareto(model_bytes, quality)", 0.4),
            ("pareto3", "pareto3(model_bytes, quality, latency_ms)", 2.0),
        ):
            seconds = median_seconds(lambda asked=call: connection.sql(f"FROM {asked}").materialize(), 5)
            report(f"store/million/{name}", seconds, "s", target_s, "lower")


def main() -> None:
    generator = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "bench.duckdb")
        events = [event for number in range(TRIALS) for event in events_of(number, generator)]
        started = time.perf_counter()
        for event in [StudyDescribed(study=STUDY), *events]:
            store.journal.append(event)
        # Three of these a trial are nothing beside its training.
        report(
            "store/journal_append", (time.perf_counter() - started) / len(events) * 1e3, "ms", 5.0, "lower"
        )

        started = time.perf_counter()
        store.fold()
        report("store/fold", TRIALS / (time.perf_counter() - started), "trials/s", 500.0, "higher")

        # What a person waits for without noticing.
        ranking = (
            "SELECT recipe, avg(quality), min(model_bytes), rank() OVER (ORDER BY avg(quality) DESC) AS place"
            " FROM trials WHERE status = 'finished' GROUP BY recipe ORDER BY place LIMIT 20"
        )
        report("store/ranking_query", median_seconds(lambda: store.user_query(ranking), 9), "s", 0.2, "lower")
        report("store/all_trials", median_seconds(lambda: store.trials(STUDY), 5), "s", 1.0, "lower")

        many_recipes.describe(store)
        spent_s = 0.0
        for batch in many_recipes.batches(RECIPES):
            started = time.perf_counter()
            store.insert("trial_rows", batch)
            spent_s += time.perf_counter() - started
        report("store/million/insert", RECIPES / spent_s, "rows/s", 50_000.0, "higher")
        macros(store.path)


if __name__ == "__main__":
    main()
