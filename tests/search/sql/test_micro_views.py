"""A study of a microcontroller: no latency, and what LiteRT Micro does not run is not feasible."""

import hashlib
from contextlib import closing
from pathlib import Path

import duckdb
from atoll.search.store.events import event_from_json
from atoll.search.store.store import Store
from atoll.search.store.stored_study import StoredStudy
from atoll.testing import made_up_metrics

UNTIMED = dict.fromkeys(("latency_ms", "latency_ms_low", "latency_ms_high"))
RECIPES = {
    "baseline": (400_000, "runs"),
    "quantize(bits=8)": (100_000, "runs"),
    "quantize(bits=2)": (30_000, "it does not run FULLY_CONNECTED with int2 weights"),
    "cluster -> quantize(bits=8)": (90_000, "runs"),
    "prune_channels(ratio=0.5)": (200_000, "runs"),
}


def test_it_is_ranked_as_the_leaderboard_ranks_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "atoll.duckdb")

    def figures(recipe: str) -> dict[str, object]:
        size, status = RECIPES[recipe]
        found = made_up_metrics(
            model_bytes=size,
            macs=size * 3,
            micro_status=status,
            arena_bytes=50_000,
            latency_status="unknown: litert-micro was never timed",
            **UNTIMED,
        )
        return found.to_json()

    def tell(**event: object) -> None:
        store.journal.append(event_from_json({"study": "m"} | event))

    limits = ["quality_drop <= 0.02", "flash_bytes <= 150000"]
    definition = {"task": "digits", "device": "litert-micro", "seed": 0, "epochs_per_step": 1.0}
    moment = "2026-11-27T10:00:00+00:00"
    tell(
        type="study",
        created_at=moment,
        digest="d",
        definition=definition | {"constraints": limits},
        baseline=figures("baseline"),
    )
    for number, recipe in enumerate(RECIPES, start=1):
        told = {
            "trial": f"t{number:04d}",
            "seed": 0,
            "epochs_per_step": 1.0,
            "recipe": recipe,
            "origin": "baseline" if number == 1 else "search",
            "recipe_digest": hashlib.sha256(recipe.encode()).hexdigest(),
        }
        tell(type="proposed", **told)
        tell(type="started", started_at=moment, worker_pid=7, node="here", threads=1, **told)
        violation = {"quality_drop <= 0.02": -0.5, "micro_status = runs": 0.0}
        tell(
            type="ended",
            status="finished",
            metrics=figures(recipe),
            objective=1.0,
            violation=violation,
            steps=[],
            seconds=1.0,
            ended_at=moment,
            **told,
        )
    assert store.fold()
    row = store.study("m")
    assert row is not None
    ranked = StoredStudy.from_row(row).ranked(store.trials("m"))
    with closing(duckdb.connect(str(store.path), read_only=True)) as connection:
        shown = connection.sql(
            "SELECT recipe, score FROM ranked_trials "
            "WHERE score IS NOT NULL ORDER BY rank, length(trial), trial"
        ).fetchall()
        feasible = dict(connection.sql("SELECT recipe, feasible FROM recipes").fetchall())
    assert feasible["quantize(bits=8)"] and not feasible["quantize(bits=2)"]
    assert not feasible["prune_channels(ratio=0.5)"]  # more than the flash
    assert [recipe for recipe, *_ in shown] == [one["recipe"] for one in ranked]
    assert [score for _, score, *_ in shown] == [one["score"] for one in ranked]
