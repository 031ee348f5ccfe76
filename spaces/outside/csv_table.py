"""The one reader of tables that people write: CSV with a header, in UTF-8, cells separated by commas.

Blank lines, blanks around a cell, empty cells beyond the header and the mark with which Excel begins a file
are left out; whatever could be read in two ways is refused.
"""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import AtollError

#: Bytes of a file: a hundred thousand rows as long as ours; a device file or a wrong path may never end.
MAX_BYTES = 64 * 1024**2
#: what other programs write between cells, by the name that a person has for it
_SEPARATORS = {";": "semicolons (;)", "\t": "tabs"}
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9.]*,[0-9]+")
_WHOLE = re.compile(r"[0-9]{1,15}")
_TRUTH = {"yes": True, "true": True, "no": False, "false": False}
_SHOWN = 80  # characters of a cell in a message


@dataclass(frozen=True)
class CsvRow:
    """One line of a table.

    Args:
        place: file and line, for messages.
        cells: the stripped text of every column.
    """

    place: str
    cells: dict[str, str]

    def number(self, column: str, above: float | None = None, least: float | None = None) -> float:
        """Returns a cell as a finite number, above or at least as large as a bound.

        Raises:
            AtollError: it is none, or beyond the bound.
        """
        text = self.cells[column]
        value = float(text) if _NUMBER.fullmatch(text) else float("nan")
        low = least if above is None else above
        fits = abs(value) < float("inf") and (low is None or value >= low)
        if fits and (above is None or value > above):
            return value
        allowed = "a number"
        if low is not None:
            allowed += f" above {low:g}" if above is not None else f" of {low:g} or more"
        if _DECIMAL_COMMA.fullmatch(text):
            allowed += " with a point as its decimal sign"
        raise self.refused(column, allowed)

    def whole(self, column: str) -> int:
        """Returns a cell as a whole number of 0 or more.

        Raises:
            AtollError: it is none.
        """
        text = self.cells[column]
        if not _WHOLE.fullmatch(text):
            raise self.refused(column, "a whole number")
        return int(text)

    def flag(self, column: str) -> bool:
        """Returns what a cell says: yes or true, no or false, in letters of any size.

        Raises:
            AtollError: it says something else.
        """
        known = _TRUTH.get(self.cells[column].lower())
        if known is None:
            raise self.refused(column, "yes or no")
        return known

    def refused(self, column: str, allowed: str) -> AtollError:
        """Returns the error for a cell that is something else than what is allowed."""
        text = self.cells[column]
        got = repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…") if text else "nothing"
        return AtollError(f"{self.place}, {column}: got {got}, allowed is {allowed}")


@dataclass(frozen=True)
class CsvTable:
    """What a CSV file says.

    Args:
        source: the file, for messages.
        columns: names in the order of the header, each once; the first may be empty.
        rows: in the order of the file, none empty.
    """

    source: str
    columns: tuple[str, ...]
    rows: tuple[CsvRow, ...]


def read_csv(path: Path) -> CsvTable:
    """Reads a CSV file with a header.

    Raises:
        AtollError: the file cannot be read, is empty, too large, no UTF-8 text or separated by something else
            than commas; a column's name is missing or comes twice; a line has more or fewer cells than the
            header.
    """
    lines = _lines(path)
    if not lines:
        raise AtollError(f"{path} is empty: expected a header line and one row a line")
    _, columns = lines[0]
    for separator, named in _SEPARATORS.items():
        if len(columns) == 1 and separator in columns[0]:
            raise AtollError(f"{path}: got cells separated by {named}, allowed are commas")
    for position, column in enumerate(columns):
        if column in columns[:position]:
            raise AtollError(f"{path}, header: column {column!r} is there twice")
        if not column and position > 0:
            raise AtollError(f"{path}, header: column {position + 1} has no name")
    rows = []
    for line, cells in lines[1:]:
        if len(cells) != len(columns):
            hint = "; a number's decimal sign is a point" if len(cells) > len(columns) else ""
            raise AtollError(f"{path}, line {line}: {len(cells)} cells, the header has {len(columns)}{hint}")
        rows.append(CsvRow(f"{path}, line {line}", dict(zip(columns, cells, strict=True))))
    return CsvTable(str(path), tuple(columns), tuple(rows))


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Returns number and stripped cells of the lines that hold anything, each as wide as it needs to be."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    lines: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                width = len(lines[0][1]) if lines else 0
                while len(cells) > width and not cells[-1]:
                    cells.pop()
                lines.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise AtollError(f"{path}, line {line}: not a CSV file ({error})") from error
    return lines


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise AtollError(f"{path}: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise AtollError(f"{path}: got more than {MAX_BYTES / 1024**2:.0f} MiB, allowed are smaller tables")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise AtollError(f"{path}: not a CSV file in UTF-8 (line {line}: {error.reason})") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise AtollError(f"{path}: not a CSV file in UTF-8 (line {line} has a NUL character)")
    return text
