"""The views say of a store what the leaderboard's own code says, and what was told to the journal."""

import json
import re
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from atoll.evaluators.ranking.constraints import parse_constraints
from atoll.evaluators.ranking.leaderboard import leaderboard
from atoll.evaluators.ranking.ranking import OUR_METRICS
from atoll.search.sql import relations
from atoll.search.sql.meanings import meaning
from atoll.search.store.store import Store
from atoll.search.store.stored_study import StoredStudy
from atoll.spaces.recipes.recipe import Recipe

#: what a recipe has in both, to the last digit
EXACT = (
    *("rank", "score", "trial", "n", "quality", "quality_drop", "compression_ratio", "model_bytes"),
    *("macs", "latency_ms", "latency_ms_low", "peak_memory_bytes", "payload_bytes", "minimum_runtime"),
)
NEARLY = ("quality_std", "quality_drop_error")


def asked(store: Store, statement: str, *values: Any) -> list[dict[str, Any]]:
    """Returns the rows that any DuckDB client gets from the file."""
    with closing(duckdb.connect(str(store.path), read_only=True)) as connection:
        return (
            connection.sql(statement, params=list(values))
            .to_arrow_table()
            .to_pylist(maps_as_pydicts="strict")
        )


def same(shown: list[dict[str, Any]], rows: list[Mapping[str, Any]]) -> None:
    assert [row["recipe"] for row in shown] == [row["recipe"] for row in rows]
    for one, other in zip(shown, rows, strict=True):
        for name in EXACT:
            if name in one:
                assert one[name] == other[name], (one["recipe"], name)
        for name in NEARLY:
            if name in one:
                assert one[name] == (None if other[name] is None else pytest.approx(other[name]))


def study_of(store: Store, name: str) -> StoredStudy:
    row = store.study(name)
    assert row is not None
    return StoredStudy.from_row(row)


@pytest.mark.parametrize("name", ["shares", "errors"])
def test_ranked_trials_are_the_leaderboard_of_the_study_s_own_goal(made_up: Store, name: str) -> None:
    study, trials = study_of(made_up, name), made_up.trials(name)
    shown = asked(
        made_up,
        "FROM ranked_trials WHERE study = ? AND score IS NOT NULL ORDER BY rank, length(trial), trial",
        name,
    )
    ranked = study.ranked(trials)
    assert len(ranked) > 5
    same(shown, list(ranked))
    everything = asked(made_up, "SELECT recipe, feasible, score FROM ranked_trials WHERE study = ?", name)
    meets = {row["recipe"]: row["meets"] for row in study.ranked(trials, all=True)}
    assert {row["recipe"]: row["feasible"] for row in everything} == meets
    assert sorted(set(meets.values())) == [False, True]
    assert {row["recipe"] for row in everything if row["score"] is None} == {
        recipe for recipe, is_met in meets.items() if not is_met and recipe != "baseline"
    }


def test_a_recipe_without_a_figure_is_feasible_as_its_comment_says(made_up: Store, tmp_path: Path) -> None:
    said = re.search(r"not without (.*) or (\w+)$", meaning("recipes", "feasible").text)
    assert said is not None
    needed = {*said[1].split(", "), said[2]}
    place = tmp_path / "atoll.duckdb"
    place.write_bytes(made_up.path.read_bytes())
    for name in OUR_METRICS.values():
        with duckdb.connect(str(place)) as connection:
            connection.execute("BEGIN")
            connection.execute(
                f"UPDATE trial_rows SET {name} = NULL WHERE study = 'errors' AND trial = 't0002'"
            )
            [(feasible,)] = connection.execute(
                "SELECT feasible FROM recipes WHERE study = 'errors' AND trial = 't0002'"
            ).fetchall()
            connection.execute("ROLLBACK")
        assert feasible is (name not in needed), name


def test_steps_of_ranked_trials_are_those_of_the_recipe(made_up: Store) -> None:
    for row in asked(made_up, "SELECT recipe, steps, step_count FROM ranked_trials"):
        recipe = Recipe.parse(row["recipe"])
        assert len(row["steps"]) == row["step_count"] == len(recipe)
        for step, found in zip(recipe, row["steps"], strict=True):
            assert found["technique"] == step.name
            told = step.to_json()["settings"]
            assert found["settings"] == {name: str(told[name]) for name in found["settings"]}
    [row] = asked(
        made_up,
        "SELECT count(*) AS n FROM ranked_trials "
        "WHERE steps[1].technique = 'tensor_train' AND steps[-1].settings['bits'] = '8'",
    )
    assert row == {"n": 2}


def test_a_recipe_that_is_no_recipe_breaks_no_view(made_up: Store, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "odd.duckdb")) as connection:
        connection.execute(relations.tables())
        for statement in relations.views().values():
            connection.execute(statement)
        odd = ['a"b(x="c")', "(", "x(y=1, y=2)", ""]
        for number, recipe in enumerate(odd):
            connection.execute(
                "INSERT INTO trial_rows (study, recipe_digest, seed, epochs_per_step, trial, "
                "status, recipe, origin) "
                "VALUES ('s', ?, 0, 1, ?, 'finished', ?, 'search')",
                [str(number), f"t{number}", recipe],
            )
            connection.execute(
                "INSERT INTO step_rows VALUES ('s', ?, 0, 1, 1, ?" + ", NULL" * 15 + ")",
                [str(number), recipe],
            )
        connection.execute("INSERT INTO study_rows (study, baseline) VALUES ('s', '{\"quality\": \"x\"}')")
        for definition in (
            None,
            "5",
            "[1]",
            '{"constraints": 5, "goal": 5, "profile": [1]}',
            '{"constraints": ["x"]}',
        ):
            connection.execute("UPDATE study_rows SET definition = ?", [definition])
            for view in relations.views():
                connection.execute(f"FROM {view}").fetchall()
        found = connection.execute("SELECT recipe FROM ranked_trials").fetchall()
        assert {recipe for (recipe,) in found} == {*odd, "baseline"}


def test_every_trial_begins_at_the_baseline_of_its_seed(made_up: Store) -> None:
    rows = asked(made_up, "FROM steps WHERE study = 'shares' ORDER BY trial, position")
    trials = {row["trial"]: row for row in made_up.trials("shares")}
    first = {row["trial"]: row for row in rows if row["position"] == 0}
    assert first.keys() == {name for name, trial in trials.items() if trial["status"] == "finished"}
    baselines = {trial["seed"]: trial for trial in trials.values() if trial["recipe"] == "baseline"}
    for name, row in first.items():
        assert (row["step"], row["cached"]) == ("baseline", trials[name]["recipe"] != "baseline")
        assert row["quality"] == baselines[trials[name]["seed"]]["quality"]
    [row] = asked(
        made_up,
        "SELECT count(*) AS n, count(before) AS known FROM (SELECT *, lag(quality) OVER "
        "(PARTITION BY study, trial ORDER BY position) AS before FROM steps) WHERE position > 0",
    )
    assert row["n"] == row["known"] > 30
    assert [step["position"] for step in made_up.steps("shares", "t0009")] == [1, 2]
    assert {row["settings"]["bits"] for row in rows if row["technique"] == "quantize"} == {"4", "8"}


def test_cache_savings_add_up_to_the_steps(made_up: Store) -> None:
    rows = asked(made_up, "FROM cache_savings WHERE study = 'shares'")
    steps = asked(
        made_up, "SELECT technique, cached, seconds FROM steps WHERE study = 'shares' AND position > 0"
    )
    assert {row["technique"] for row in rows} == {step["technique"] for step in steps}
    for row in rows:
        of_it = [step for step in steps if step["technique"] == row["technique"]]
        saved = sum(step["seconds"] for step in of_it if step["cached"])
        assert (row["times"], row["reused"]) == (len(of_it), sum(step["cached"] for step in of_it))
        assert row["seconds_saved"] == pytest.approx(saved)
        assert row["saved_share"] == pytest.approx(saved / sum(step["seconds"] for step in of_it))


def test_what_was_predicted_stands_beside_what_was_measured(made_up: Store) -> None:
    rows = asked(made_up, "FROM predicted_against_measured ORDER BY figure, trial")
    found = [(row["figure"], row["inside"], round(row["error_share"], 4)) for row in rows]
    assert found == [
        ("latency_host_ms", False, -0.2857),  # 2 ms, 1.8 to 2.5, beside 2.8
        ("latency_host_ms", True, -0.0909),
        ("model_bytes", True, 0.0),
        ("model_bytes", True, 0.0),
    ]


def test_events_are_what_happened_when(made_up: Store) -> None:
    rows = asked(made_up, "FROM events WHERE study = 'shares' ORDER BY moment")
    kinds = [row["event"] for row in rows]
    assert kinds[:3] == ["study", "started", "finished"]
    assert kinds[-4:] == ["rejected", "rejected", "failed", "test_look"]
    assert kinds.count("started") == kinds.count("finished") == 21
    assert rows[-2]["detail"] == "out of memory" and rows[-1]["detail"] == "export"


def test_a_rejection_has_a_row_for_every_constraint_that_it_broke(made_up: Store) -> None:
    rows = asked(made_up, "SELECT broken, violation, reason FROM rejections ORDER BY ALL")
    assert rows == [
        {"broken": "compression_ratio >= 1.5", "violation": 0.25, "reason": "too large"},
        {"broken": "quality_drop <= 0.04", "violation": 1.5, "reason": "too large"},
    ]


def test_the_committed_study_is_ranked_as_it_was(committed: Path) -> None:
    """Real figures: the rows that the leaderboard's code ranks, and what the view says of them."""
    constraints = ["quality_drop <= 0.01", "compression_ratio >= 100"]
    definition = json.dumps({"constraints": constraints, "seed": 0, "epochs_per_step": 2.0})
    with duckdb.connect(":memory:") as connection:
        connection.execute(relations.tables())
        for statement in relations.views().values():
            connection.execute(statement)
        place = committed / "trials.parquet"
        names = {name for (name, *_) in connection.execute(f"DESCRIBE FROM '{place}'").fetchall()}
        shared = [
            name for (name, *_) in connection.execute("DESCRIBE trial_rows").fetchall() if name in names
        ]
        connection.execute(f"INSERT INTO trial_rows BY NAME SELECT {', '.join(shared)} FROM '{place}'")
        connection.execute(
            "INSERT INTO study_rows (study, definition) SELECT DISTINCT study, ? FROM trial_rows",
            [definition],
        )
        board = connection.sql("FROM ranked_trials WHERE rank IS NOT NULL ORDER BY rank, trial")
        shown = board.to_arrow_table().to_pylist(maps_as_pydicts="strict")
        trials = connection.sql(
            "SELECT * EXCLUDE (started_at, ended_at, test_quality_at) FROM trials ORDER BY trial"
        )
        rows = trials.to_arrow_table().to_pylist()
    ranked = leaderboard(rows, rows[0], constraints=parse_constraints(constraints))
    assert len(ranked) > 3
    same(shown, ranked)
