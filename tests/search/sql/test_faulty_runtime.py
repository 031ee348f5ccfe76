"""A study whose runtime gets half precision wrong: such files are not feasible, in SQL as in Python."""

import hashlib
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from atoll.evaluators.ranking.demands import Loadable
from atoll.hw_models.runtimes.runtime import Runtime
from atoll.search.store.events import event_from_json
from atoll.search.store.store import Store
from atoll.search.store.stored_study import StoredStudy
from atoll.testing import made_up_metrics

REASONS = {
    "baseline": "ADD of version 1",
    "quantize(bits=8)": "ADD of version 2",
    "quantize(bits=16)": "ADD of version 1, but not in tflite-2.19, litert-1.1, litert-1.2 with XNNPACK",
}


@pytest.mark.parametrize(("runtime", "ranked"), [("litert-1.2", 2), ("litert-1", 3)])
def test_it_is_ranked_as_the_leaderboard_ranks_it(tmp_path: Path, runtime: str, ranked: int) -> None:
    store = Store(tmp_path / "atoll.duckdb")

    def figures(recipe: str) -> dict[str, object]:
        reason, size = REASONS[recipe], 1_000 * len(recipe)
        said = {"minimum_runtime": "2.3.0", "minimum_runtime_reason": reason}
        return made_up_metrics(model_bytes=size, **said).to_json()

    def tell(**event: object) -> None:
        store.journal.append(event_from_json({"study": "m"} | event))

    definition = {"task": "digits", "device": "coral-dev-board", "seed": 0, "epochs_per_step": 1.0}
    definition |= {"runtime": runtime, "constraints": ["quality_drop <= 0.02"]}
    moment = "2026-11-27T10:00:00+00:00"
    tell(type="study", created_at=moment, digest="d", definition=definition, baseline=figures("baseline"))
    for number, recipe in enumerate(REASONS, start=1):
        told = {"trial": f"t{number:04d}", "seed": 0, "epochs_per_step": 1.0, "recipe": recipe}
        told |= {"origin": "baseline" if number == 1 else "search"}
        told |= {"recipe_digest": hashlib.sha256(recipe.encode()).hexdigest()}
        tell(type="proposed", **told)
        tell(type="started", started_at=moment, worker_pid=7, node="here", threads=1, **told)
        ended = {"status": "finished", "metrics": figures(recipe), "objective": 1.0, "ended_at": moment}
        violation = {"quality_drop <= 0.02": -0.5, str(Loadable(Runtime.named(runtime))): 0.0}
        tell(type="ended", violation=violation, steps=[], seconds=1.0, **ended, **told)
    assert store.fold()
    row = store.study("m")
    assert row is not None
    in_python = {one["recipe"] for one in StoredStudy.from_row(row).ranked(store.trials("m"))}
    with closing(duckdb.connect(str(store.path), read_only=True)) as connection:
        feasible = connection.sql("SELECT recipe FROM recipes WHERE feasible").fetchall()
    assert in_python == {recipe for (recipe,) in feasible}
    assert len(in_python) == ranked
