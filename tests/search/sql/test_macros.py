"""The macros say what the leaderboard's code and a comparison of every pair say, for any DuckDB client."""

import json
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from atoll.evaluators.ranking.constraints import parse_constraints
from atoll.evaluators.ranking.leaderboard import leaderboard
from atoll.evaluators.ranking.ranking import OUR_METRICS, PROFILES, PUB1_WEIGHTS, SCORINGS
from atoll.search.commands import cli
from atoll.search.sql import relations
from atoll.search.sql.meanings import MACROS
from atoll.search.store.store import Store
from atoll.search.store.stored_study import StoredStudy
from atoll.spaces.errors import AtollError

SAME = (
    "rank",
    "score",
    "trial",
    "recipe",
    "n",
    "quality",
    "quality_drop",
    "model_bytes",
    "compression_ratio",
)


@pytest.fixture(scope="module")
def client(made_up: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    """Any DuckDB client that has opened the file."""
    with closing(duckdb.connect(str(made_up.path), read_only=True)) as connection:
        yield connection


@pytest.fixture
def empty() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with tables, views and macros, and nothing in them."""
    with closing(duckdb.connect(":memory:")) as connection:
        connection.execute(relations.tables())
        connection.execute(";".join([*relations.views().values(), *relations.macros().values()]))
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, statement: str) -> list[dict[str, Any]]:
    return connection.sql(statement).to_arrow_table().to_pylist(maps_as_pydicts="strict")


def ranked(store: Store, study: str, *how: Any) -> list[tuple[Any, ...]]:
    row = store.study(study)
    assert row is not None
    found = StoredStudy.from_row(row).ranked(store.trials(study), *how)
    return [tuple(one[name] for name in SAME) for one in found]


def shown(connection: duckdb.DuckDBPyConnection, call: str) -> list[tuple[Any, ...]]:
    return connection.execute(f"SELECT {', '.join(SAME)} FROM {call}").fetchall()


@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize("study", ["shares", "errors"])
def test_leaderboard_is_the_papers_ranking_to_the_last_digit(
    made_up: Store, client: duckdb.DuckDBPyConnection, study: str, scoring: str
) -> None:
    for profile, everything in zip(PROFILES, (False, True, False, True, False), strict=True):
        how = (
            f"profile := '{profile}', scoring := '{scoring}', study := '{study}', everything := {everything}"
        )
        wanted = ranked(made_up, study, profile, everything, scoring)
        assert len(wanted) > 5
        assert shown(client, f"leaderboard({how})") == wanted


def test_leaderboard_is_what_the_command_prints(
    made_up: Store, client: duckdb.DuckDBPyConnection, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["leaderboard", "--profile", "balanced", "--format", "json", "--store", str(made_up.path)]
    assert cli.main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert shown(client, "leaderboard()") == [tuple(row[name] for name in SAME) for row in printed]


def test_the_newest_study_and_the_first_rows_are_chosen(client: duckdb.DuckDBPyConnection) -> None:
    whole = shown(client, "leaderboard(study := 'shares')")
    assert shown(client, "leaderboard()") == whole
    assert shown(client, "leaderboard(first := 3)") == whole[:3]


def test_own_weights_rank_as_the_code_does_and_a_weight_of_nothing_counts_nothing(
    made_up: Store, client: duckdb.DuckDBPyConnection
) -> None:
    weights = {metric: PUB1_WEIGHTS[role] for role, metric in OUR_METRICS.items()}
    said = ", ".join(f"{metric} := {weight}" for metric, weight in weights.items())
    assert shown(client, f"reranked({said})") == ranked(made_up, "shares", PUB1_WEIGHTS)
    assert shown(client, "reranked()") == shown(client, "leaderboard()")
    alone = client.sql("FROM reranked(model_bytes := 0, latency_ms := 0, macs := 0, peak_memory_bytes := 0)")
    best = alone.order("quality_score DESC").project("recipe, score, quality_score").fetchall()
    assert [score for _, score, _ in best] == pytest.approx([score for *_, score in best])
    assert best[0][0] == "baseline"


def test_scores_of_the_metrics_are_those_that_the_average_is_made_of(
    client: duckdb.DuckDBPyConnection,
) -> None:
    for row in rows(client, "FROM leaderboard(profile := 'memory', scoring := 'rank')"):
        weights = {OUR_METRICS[role]: weight for role, weight in PROFILES["memory"].items()}
        total = sum(weights[metric] * row[f"{metric}_score"] for metric in weights)
        assert row["score"] == pytest.approx(total / sum(weights.values()))


@pytest.mark.parametrize("scoring", SCORINGS)
def test_real_figures_with_ties_are_ranked_alike(
    empty: duckdb.DuckDBPyConnection, committed: Path, scoring: str
) -> None:
    place, constraints = committed / "trials.parquet", ["compression_ratio >= 2"]
    names = {name for name, *_ in empty.execute(f"DESCRIBE FROM '{place}'").fetchall()}
    columns = [name for name, *_ in empty.execute("DESCRIBE trial_rows").fetchall() if name in names]
    empty.execute(f"INSERT INTO trial_rows BY NAME SELECT {', '.join(columns)} FROM '{place}'")
    empty.execute(
        "INSERT INTO study_rows (study, definition) SELECT DISTINCT study, ? FROM trial_rows",
        [json.dumps({"constraints": constraints, "seed": 0, "epochs_per_step": 2.0})],
    )
    trials = rows(
        empty, "SELECT * EXCLUDE (started_at, ended_at, test_quality_at) FROM trials ORDER BY trial"
    )
    found = leaderboard(trials, trials[0], constraints=parse_constraints(constraints), scoring=scoring)
    assert len(found) > 15
    assert shown(empty, f"leaderboard(scoring := '{scoring}')") == [
        tuple(row[name] for name in SAME) for row in found
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("leaderboard(profile := 'speed')", "unknown profile speed: FROM profiles lists them"),
        ("leaderboard(scoring := 'none')", "unknown scoring none: known are linear, rank and dense"),
        ("leaderboard(profile := NULL)", "unknown profile NULL: FROM profiles lists them"),
        ("leaderboard(scoring := NULL)", "unknown scoring NULL: known are linear, rank and dense"),
        ("leaderboard(study := 'other')", "no study other"),
        ("reranked(quality := -1)", "weights must be numbers >= 0, and one above 0"),
        ("reranked(quality:=0, macs:=0, latency_ms:=0, model_bytes:=0, peak_memory_bytes:=0)", "one above 0"),
        ("reranked(macs := NULL)", "weights must be numbers >= 0, and one above 0"),
        ("reranked(macs := CAST('inf' AS DOUBLE))", "weights must be numbers >= 0, and one above 0"),
        ("reranked(macs := CAST('nan' AS DOUBLE))", "weights must be numbers >= 0, and one above 0"),
        ("pareto(macs, quality, study := 'other')", "no study other"),
        ("waterfall('t0001', study := 'other')", "no study other"),
    ],
)
def test_what_is_not_there_is_said(made_up: Store, call: str, message: str) -> None:
    with pytest.raises(AtollError, match=message):
        made_up.user_query(f"FROM {call}")


def fill(connection: duckdb.DuckDBPyConnection, points: list[tuple[float, ...]]) -> None:
    """Puts a study of so many recipes with these figures into the tables."""
    connection.execute(
        "INSERT INTO study_rows (study, baseline) VALUES ('s', ?)",
        [json.dumps({"quality": -1.0, "model_bytes": 10**9, "latency_ms": 1e9})],
    )
    numbers = list(range(len(points)))
    figures = [[point[place] for point in points] for place in range(3)]
    connection.execute(
        "INSERT INTO trial_rows (study, recipe_digest, seed, epochs_per_step, status, origin, trial, recipe, "
        "model_bytes, quality, latency_ms, peak_memory_bytes) "
        "SELECT 's', n, 0, 1, 'finished', 'search', 't' || n, 'r' || n, a, b, c, 1 "
        "FROM (SELECT unnest(?::BIGINT[]) AS n, unnest(?::BIGINT[]) AS a, unnest(?::DOUBLE[]) AS b, "
        "unnest(?::DOUBLE[]) AS c)",
        [numbers, *figures],
    )


def undominated(points: list[tuple[float, ...]]) -> set[str]:
    """The recipes that no other beats, by comparing every pair; less is better."""
    return {
        f"r{number}"
        for number, one in enumerate(points)
        if not any(all(a <= b for a, b in zip(other, one, strict=True)) and other != one for other in points)
    }


@pytest.mark.parametrize("values", [4, 30, 10**6], ids=["many ties", "some ties", "none"])
def test_fronts_are_what_no_other_recipe_beats(empty: duckdb.DuckDBPyConnection, values: int) -> None:
    draw = random.Random(values)
    points = [tuple(float(draw.randrange(values)) for _ in range(3)) for _ in range(400)]
    fill(empty, points)
    where = "WHERE recipe <> 'baseline'"
    found = {
        recipe
        for (recipe,) in empty.execute(f"SELECT recipe FROM pareto(model_bytes, quality) {where}").fetchall()
    }
    assert found == undominated([(a, -b) for a, b, _ in points])
    found = {
        recipe
        for (recipe,) in empty.execute(
            f"SELECT recipe FROM pareto(latency_ms, model_bytes) {where}"
        ).fetchall()
    }
    assert found == undominated([(c, a) for a, _, c in points])
    three = f"SELECT recipe FROM pareto3(model_bytes, quality, latency_ms) {where}"
    found = {recipe for (recipe,) in empty.execute(three).fetchall()}
    assert found == undominated([(a, -b, c) for a, b, c in points])


def test_a_front_knows_which_way_is_better_and_what_is_feasible(
    made_up: Store, client: duckdb.DuckDBPyConnection
) -> None:
    front = rows(client, "FROM pareto(model_bytes, quality, study := 'errors', everything := TRUE)")
    qualities = [row["y"] for row in front]
    assert qualities == sorted(qualities, reverse=True) and len(front) > 2  # an error falls as files grow
    whole = rows(client, "FROM pareto(model_bytes, quality, everything := TRUE)")
    assert {row["feasible"] for row in whole} == {True, False}
    assert all(row["feasible"] for row in rows(client, "FROM pareto(model_bytes, quality)"))
    mirrored = rows(client, "FROM pareto(-quality, model_bytes)")  # an expression: less is better
    assert {row["trial"] for row in mirrored} == {
        row["trial"] for row in rows(client, "FROM pareto(quality, model_bytes)")
    }


def test_a_waterfall_leads_from_the_baseline_to_the_trial(
    made_up: Store, client: duckdb.DuckDBPyConnection
) -> None:
    path = rows(client, "FROM waterfall('t0010')")
    [trial] = [row for row in made_up.trials("shares") if row["trial"] == "t0010"]
    assert " -> ".join(row["step"] for row in path[1:]) == trial["recipe"]
    assert [row["position"] for row in path] == [0, 1, 2, 3]
    for name in OUR_METRICS.values():
        total = path[0][name] + sum(row[f"{name}_change"] for row in path[1:])
        assert total == pytest.approx(path[-1][name]) and path[0][f"{name}_change"] is None
        assert path[-1][name] == pytest.approx(trial[name])  # type: ignore[literal-required]
    assert rows(client, "FROM waterfall('t9999')") == []


def test_every_macro_has_its_comment_and_its_call_is_as_it_is_made(client: duckdb.DuckDBPyConnection) -> None:
    found = client.execute(
        "SELECT function_name, comment, parameters FROM duckdb_functions() "
        "WHERE function_type = 'table_macro' AND NOT internal"
    ).fetchall()
    assert {name: comment for name, comment, _ in found} == MACROS
    for name, _, parameters in found:
        call = relations.call(name)
        assert call.startswith(f"{name}(") and all(parameter in call for parameter in parameters)


def test_macros_of_a_store_have_no_say(made_up: Store, tmp_path: Path) -> None:
    place = tmp_path / "atoll.duckdb"
    place.write_bytes(made_up.path.read_bytes())
    with closing(duckdb.connect(str(place))) as connection:
        connection.execute("CREATE OR REPLACE MACRO leaderboard() AS TABLE SELECT 'owned' AS recipe")
        connection.execute("CREATE OR REPLACE MACRO pareto(x, y) AS TABLE SELECT 'owned' AS recipe")
    store = Store(place)
    for call in ("leaderboard()", "PARETO(macs, quality)"):
        found = store.user_query(f"SELECT recipe FROM {call}").to_pylist()
        assert len(found) > 1 and {"recipe": "owned"} not in found
    joined = store.user_query("SELECT l.rank FROM leaderboard() l JOIN trials t USING (study, trial)")
    assert joined.num_rows == 10
    said = store.user_query(
        "SELECT comment FROM duckdb_functions() "
        "WHERE function_name = 'waterfall' AND database_name = current_database()"
    )
    assert said.to_pylist() == [{"comment": MACROS["waterfall"]}]
