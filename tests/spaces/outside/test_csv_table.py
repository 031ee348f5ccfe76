"""The habits of spreadsheets, in the one reader and in what reads through it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.ranking.model_table import read_model_table
from atoll.hw_models.fitting.measurements import COLUMNS, read_measurements
from atoll.spaces.errors import AtollError
from atoll.spaces.outside import csv_table
from atoll.spaces.outside.csv_table import read_csv

MEASURED = (",".join(COLUMNS), "a,pub1,baseline_cnn,,64x64x3,11,22.9,8.9,yes,yes")
MODELS = ("name,latency_ms,quality", "a,22.9,0.9")
#: both readers with a table that they take
READERS = pytest.mark.parametrize(
    ("read", "table"), [(read_measurements, MEASURED), (read_model_table, MODELS)], ids=["calibrate", "rank"]
)
Read = Callable[[Path], Any]


def write(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@READERS
@pytest.mark.parametrize(
    "change",
    [
        lambda header, row: f"\ufeff{header}\n{row}\n",
        lambda header, row: f"\n{header}\n\n{row}\n\n",
        lambda header, row: f"{header}\n{row}\n{',' * header.count(',')}\n",
        lambda header, row: f"{header},,\n{row},,\n",
        lambda header, row: f"{header}\n{row},,,\n",
        lambda header, row: f"{header}\r\n{row}\r\n",
        lambda header, row: f"{header}\n{row}",
        lambda header, row: f"{header.replace(',', ' , ')}\n{row.replace(',', ' , ')}\n",
        lambda header, row: f'{header}\n"{row.replace(",", chr(34) + "," + chr(34))}"\n',
    ],
)
def test_what_one_skips_the_other_skips(
    tmp_path: Path, read: Read, table: tuple[str, str], change: Callable[[str, str], str]
) -> None:
    expected = read(write(tmp_path, "\n".join(table)))
    found = read(write(tmp_path, change(*table)))
    if read is read_measurements:
        assert found == expected
    else:
        assert (found.names, found.numbers("latency_ms")) == (("a",), [22.9])


@READERS
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, r: f"{h}\n{r},,surplus\n", "line 2: .* cells, the header has"),
        (lambda h, r: f"{h}\n\n{r.rpartition(',')[0]}\n", "line 3: .* cells, the header has"),
        (lambda h, r: f"{h}\n{r.replace('22.9', '22,9')}\n", "decimal sign is a point"),
        (lambda h, r: f"{h},latency_ms\n{r},5\n", "column 'latency_ms' is there twice"),
        (lambda h, r: f"{h},,x\n{r},1,2\n", "column [0-9]+ has no name"),
        (lambda h, r: f"{h}\n{r}\n{r}\n", "'a'.*twice"),
        (lambda h, r: f"{h}\n{r[1:]}\n", "line 2.*name"),
        (lambda h, r: f"{h}\n{r}".replace(",", ";"), r"semicolons \(;\), allowed are commas"),
        (lambda h, r: f"{h}\n{r}".replace(",", "\t"), "tabs, allowed are commas"),
        (lambda h, r: f"{h}\n{r}\0\n", r"line 2 has a NUL"),
        (lambda h, r: f"{h}\n{r}\n".encode("utf-16"), "not a CSV file in UTF-8"),
        (lambda h, r: f"{h}\n{r}é\n".encode("latin-1"), r"not a CSV file in UTF-8 \(line 2"),
        (lambda h, r: f'{h}\n"{r}\n', "line 2: not a CSV file"),
        (
            lambda h, r: f"{h}\n{r.replace('a,', 200_000 * 'a' + ',')}\n",
            "line 2: not a CSV file .field larger",
        ),
        (lambda h, r: "", "is empty"),
        (lambda h, r: "\n ,\n", "is empty"),
        *(
            (lambda h, r, n=n: f"{h}\n{r.replace('22.9', n)}\n", "latency_ms: got .*a number above 0")
            for n in ("0", "-20.5", "nan", "inf", "1e999", "2²", "٣", "1_0", "0x10", "1e", "1" * 5000)
        ),
    ],
)
def test_what_one_refuses_the_other_refuses(
    tmp_path: Path,
    read: Read,
    table: tuple[str, str],
    change: Callable[[str, str], str | bytes],
    message: str,
) -> None:
    path = write(tmp_path, change(*table))
    with pytest.raises(AtollError, match=message) as error:
        found = read(path)
        if read is read_model_table:
            found.numbers("latency_ms")
    assert str(path) in str(error.value)
    assert len(str(error.value)) - len(str(path)) < 300


@pytest.mark.parametrize("word", ["yes", "Yes", "TRUE", "true"])
def test_yes_is_yes_in_any_letters(tmp_path: Path, word: str) -> None:
    row = MEASURED[1].replace("yes,yes", f"{word},NO")
    (found,) = read_measurements(write(tmp_path, f"{MEASURED[0]}\n{row}\n"))
    assert list(found.doubts) == ["peak_memory_mib"]


@pytest.mark.parametrize("text", ["²", "٣", "3.0", "-1", "1" * 16])
def test_a_whole_number_is_made_of_digits(tmp_path: Path, text: str) -> None:
    (row,) = read_csv(write(tmp_path, f"a,b\nx,{text}\n")).rows
    with pytest.raises(AtollError, match=r"b: got .*, allowed is a whole number"):
        row.whole("b")


def test_a_line_is_where_its_row_begins(tmp_path: Path) -> None:
    table = read_csv(write(tmp_path, 'a,b\n\n1,"2\n3"\n4,5\n'))
    assert [row.place.rpartition(" ")[2] for row in table.rows] == ["3", "5"]
    assert table.rows[0].cells == {"a": "1", "b": "2\n3"}


def test_a_file_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_table, "MAX_BYTES", 1024**2)
    with pytest.raises(AtollError, match="/dev/zero: got more than 1 MiB"):
        read_csv(Path("/dev/zero"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AtollError, match=r"none\.csv: No such file"):
        read_csv(tmp_path / "none.csv")
