"""Tables on narrow screens: nothing is lost, and nothing breaks inside a word or a number."""

import io
from collections.abc import Sequence
from typing import Any

import pytest
from atoll.search.commands import calibrate, devices, doctor, predict
from atoll.search.commands.leaderboard_columns import leaderboard_columns
from atoll.search.terminal.table_layout import TextColumn, cell_len, laid_out, wrapped
from atoll.search.terminal.tables import Column, print_record, print_table

RECIPE = (
    "tensor_train(rank=16, in_dims=16x8x16x8, out_dims=4x4x4x4) -> tucker(rank=0.25) -> "
    "prune_weights(ratio=0.95, schedule=agp) -> quantize(bits=4, granularity=per_tensor)"
)
SENTENCE = "needs a step of the stage 'numbers' before it, there is none of them in this order of steps"


def of_leaderboard() -> list[Column]:
    """Returns the columns of a leaderboard with several seeds and every figure measured."""
    every = leaderboard_columns([], {"quality_name": "accuracy"}, "json", "1 to 9", True)
    row = dict.fromkeys((column.name for column in every), 1.0) | {"n": 3}
    return leaderboard_columns([row], {"quality_name": "accuracy"}, "table", "1 to 9", True)


TABLES: dict[str, Sequence[Column]] = {
    "leaderboard": of_leaderboard(),
    "calibrate": calibrate.COLUMNS,
    "devices": devices.COLUMNS,
    "predict": predict.COLUMNS,
    "doctor": doctor.COLUMNS,
    "dry run": (Column("what"), Column("value")),
    "sql": [Column(f"peak_memory_host_bytes_measured_{n}") for n in range(9)],
}
_TEXTS = {"recipe": RECIPE, "value": RECIPE, "title": SENTENCE, "reason": SENTENCE, "misses": SENTENCE}


def cell(column: Column, row: int) -> Any:
    if column.name in _TEXTS:
        return _TEXTS[column.name]
    if column.spec or column.name.startswith(("peak", "rank")):
        return 98_765_432.19 + row
    return "one-thread" if row else "baseline_cnn"


def test_an_ascii_terminal_has_an_ascii_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(content, encoding="ascii", write_through=True))
    print_table([{"a": 1}], [Column("a")])
    assert content.getvalue() == b"a\n-\n1\n"


def words(lines: Sequence[str]) -> list[str]:
    return sorted(word for line in lines for word in line.split() if set(word) - {"-", "─"})


@pytest.mark.parametrize("width", [60, 80, 130])
@pytest.mark.parametrize("name", TABLES)
def test_every_table_fits_its_screen_and_breaks_no_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    columns = TABLES[name]
    rows = [{column.name: cell(column, row) for column in columns} for row in range(3)]
    print_table(rows, columns, title=f"A study with a long name: {SENTENCE}")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    said = words(lines)
    for column in columns:
        for text in (column.header, *(column.cell(row) for row in rows)):
            for word in text.split():
                assert word in said, (column.name, word)
    assert not any(line.lstrip().startswith("->") for line in lines)  # an arrow stays with its step


@pytest.mark.parametrize("width", [60, 80])
def test_a_record_fits_its_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    columns = [*TABLES["leaderboard"]]
    row = {column.name: cell(column, 0) for column in columns}
    print_record(row, columns, title=SENTENCE)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert set(RECIPE.split()) <= set(words(lines)) | {"->"}


NUMBERS = TextColumn(("figure", "ms"), ("1.5", "22.25"), numeric=True)
TEXTS = TextColumn(("recipe",), ("a -> bb -> ccc", ""))


def test_what_fits_beside_stands_beside() -> None:
    assert laid_out([NUMBERS, TEXTS], 40) == [
        "figure  recipe",
        "    ms",
        "─" * 22,
        "   1.5  a -> bb -> ccc",
        " 22.25",
    ]


def test_what_does_not_fit_has_a_line_of_its_own() -> None:
    assert laid_out([NUMBERS, NUMBERS, TEXTS], 20) == [
        "figure  figure",
        "    ms      ms",
        "  recipe",
        "─" * 16,
        "   1.5     1.5",
        "  a -> bb -> ccc",
        " 22.25   22.25",
    ]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("a -> bb -> ccc", 20, ["a -> bb -> ccc"]),
        ("a -> bb -> ccc", 8, ["a ->", "bb ->", "ccc"]),
        ("per-channel half-width", 12, ["per-channel", "half-width"]),
        ("x" * 25, 10, ["x" * 10, "x" * 10, "x" * 5]),
        ("one\ntwo", 10, ["one", "two"]),
        ("", 10, [""]),
    ],
)
def test_texts_break_between_words(text: str, width: int, lines: list[str]) -> None:
    assert wrapped(text, width) == lines


def test_wide_characters_and_accents_take_their_places() -> None:
    assert [cell_len(text) for text in ("abc", "日本", "e\N{COMBINING ACUTE ACCENT}")] == [3, 4, 1]
