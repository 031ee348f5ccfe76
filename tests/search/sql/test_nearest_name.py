"""Errors of a statement name what it may have meant, and never a table of DuckDB's own."""

import duckdb
import pytest
from atoll.search.sql.nearest_name import with_nearest
from atoll.search.store.events import event_from_json
from atoll.search.store.store import Store
from atoll.spaces.errors import AtollError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("named") / "atoll.duckdb")
    store.journal.append(event_from_json({"type": "study", "study": "s"}))
    return store


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SELECT qualty FROM trials", "did you mean 'quality'?"),
        ("SELECT t.qualty FROM trials t", "did you mean 'quality'?"),
        ("SELECT QUALTY FROM trials", "did you mean 'quality'?"),
        ("SELECT * FROM trials ORDER BY modelbytes", "did you mean 'model_bytes'?"),
        ("WITH a AS (SELECT quality AS mine FROM trials) SELECT min FROM a", "did you mean 'mine'?"),
        ("SELECT * FROM pareto(modelbytes, quality)", "did you mean 'model_bytes'?"),
        ("SELECT tirals.quality FROM trials", "did you mean 'trials'?"),
        ("FROM trals", "did you mean 'trials'?"),
        ("FROM Trals", "did you mean 'trials'?"),
        ("FROM leaderbord()", "did you mean 'leaderboard'?"),
        ("FROM leaderboard", "leaderboard is a macro, called as leaderboard(profile := 'balanced', scoring"),
        ("FROM trials()", "trials is a view, written without brackets"),
        ("FROM leaderboard(profle := 'memory')", "has no argument profle: did you mean 'profile'?"),
        ("FROM pareto(quality)", "it is called as pareto(x, y, study := NULL, everything := FALSE)"),
        ("FROM leaderboard(profile := 'memry')", "did you mean 'memory'?"),
        ("SELECT medan(quality) FROM trials", 'Did you mean "median"?'),
    ],
)
def test_the_nearest_name_is_said(store, statement, message):
    with pytest.raises(AtollError) as caught:
        store.user_query(statement)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("statement", ["FROM xqzw", "FROM xqzw()", "SELECT xqzw FROM trials"])
def test_nothing_is_said_where_nothing_is_near(store, statement):
    with pytest.raises(AtollError) as caught:
        store.user_query(statement)
    assert "id you mean" not in str(caught.value)
    assert "pg_" not in str(caught.value)


def test_a_rule_of_scoring_is_said_too():
    said = "Invalid Input Error: unknown scoring lin: known are linear, rank and dense"
    with duckdb.connect(":memory:") as connection:
        assert "lin: did you mean 'linear'? known are" in with_nearest(connection, "", said)
