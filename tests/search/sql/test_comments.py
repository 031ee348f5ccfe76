"""Every table, view and column of a store says what it is, and docs/sql.md says the same."""

from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from atoll.evaluators.ranking.figures import FIGURES
from atoll.search.sql import meanings, reference, relations
from atoll.search.sql.meaning import KINDS, of_figures
from atoll.search.store.events import StudyDescribed
from atoll.search.store.schema import TABLES, VIEWS
from atoll.search.store.store import Store

PAGE = Path(__file__).parents[3] / "docs" / "sql.md"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("comments") / "atoll.duckdb")
    store.journal.append(StudyDescribed(study="s"))
    assert store.fold()
    return store


def test_no_table_view_or_column_is_without_a_comment(store: Store) -> None:
    with closing(duckdb.connect(str(store.path), read_only=True)) as connection:
        found = connection.execute(
            "SELECT table_name, NULL AS name, comment FROM duckdb_tables() WHERE NOT internal "
            "UNION ALL SELECT view_name, NULL, comment FROM duckdb_views() WHERE NOT internal "
            "UNION ALL SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
        ).fetchall()
    assert {name for name, column, _ in found if column is None} == {"schema_version", *TABLES, *VIEWS}
    assert len(found) > 200
    assert [(name, column) for name, column, comment in found if not comment] == []


def test_a_comment_has_the_unit_and_how_the_values_came_about(store: Store) -> None:
    [row] = store.user_query(
        "SELECT comment FROM duckdb_columns() "
        "WHERE database_name = 'memory' AND table_name = 'trials' AND column_name = 'latency_ms_low'"
    ).to_pylist()
    assert row == {"comment": "lower end of the interval of latency_ms [ms, predicted]"}


def test_comments_in_memory_are_those_of_the_file(store: Store) -> None:
    statement = (
        "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal AND table_name IN "
    )
    shown = store.user_query(f"{statement} {VIEWS} AND database_name = 'memory' ORDER BY ALL").to_pylist()
    with closing(duckdb.connect(str(store.path), read_only=True)) as connection:
        of_the_file = connection.execute(f"{statement} {VIEWS} ORDER BY ALL").fetchall()
    assert [tuple(row.values()) for row in shown] == of_the_file


def test_the_page_lists_every_column_as_its_comment_says() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert reference.page(text) == text, "python -m atoll.search.sql.reference docs/sql.md"
    for macro, said in meanings.MACROS.items():
        assert f"| `{relations.call(macro)}` | {said} |" in text
    for view in VIEWS:
        assert f"| `{view}` | {meanings.RELATIONS[view]} |" in text and f"### `{view}`" in text


def test_nothing_is_explained_that_is_not_there() -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute(relations.tables())
        for statement in relations.views().values():
            connection.execute(statement)
        found = connection.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal"
        ).fetchall()
    assert meanings.RELATIONS.keys() == {table for table, _ in found}
    assert meanings.HERE.keys() <= set(found)
    figures = {name for figure in FIGURES for name in figure.columns}
    assert meanings.COLUMNS.keys() - figures <= {column for _, column in found}


def test_every_meaning_is_a_line_that_a_table_can_hold() -> None:
    for said in (*meanings.COLUMNS.values(), *meanings.HERE.values()):
        assert said.kind in KINDS
        assert said.text and "|" not in said.text and not said.text.endswith(".")


def test_a_figure_without_a_sentence_is_noticed() -> None:
    with pytest.raises(KeyError, match="quality"):
        of_figures({})


def test_a_view_comes_with_what_it_looks_at() -> None:
    made = list(relations.views())
    for name in made:
        there = relations.needed([name])
        assert there[-1] == name
        assert there == [other for other in made if other in there]
    assert relations.needed(["nothing of ours"]) == []
