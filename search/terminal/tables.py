"""Tables on stdout in the three formats that every command speaks: table, json, csv."""

import csv
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, get_args

import typer

from ...evaluators.ranking.figure import KINDS, Figure, Kind
from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from ...spaces.outside.shown import shown, shown_lines
from .plain_text import says_everything
from .said import tell
from .table_layout import TextColumn, fits_beside, laid_out, wrapped

Format = Literal["table", "json", "csv"]
FORMATS: tuple[str, ...] = get_args(Format)
# The annotation of a command's `format` argument, so that all commands say the same.
FormatOption = Annotated[Format, typer.Option("--format", help="How to print the rows.")]

# A pipe or file has no width of its own: what a wide terminal has; long recipes are folded.
_WIDTH_OF_PIPES = 160
# Of what COLUMNS may say: more digits are no screen.
_COLUMNS = re.compile(r"[0-9]{1,6}")
# Characters that a line always has: on a narrower screen lines are longer than it.
_LEAST_WIDTH = 20
# What a value beside its label must have; else it gets lines of its own.
_LEAST_VALUE = 20


@dataclass(frozen=True)
class Column:
    """One column: the key in the rows and what the header says about it.

    Args:
        name: key in the rows, in JSON and in CSV.
        unit: shown in the header, "" for none (names, ratios may say "x").
        kind: whether the figures are measured, counted or predicted; "" for what is none of it (names).
        spec: format specification of a number in the table, such as ".2f"; JSON and CSV keep all digits.
        title: header in the table, the name unless given.
        shown_unit, per_unit: unit in which the table shows the figure, and how many of `unit` make one of it
            (`kB`, 1000); JSON and CSV keep `unit`.
    """

    name: str
    unit: str = ""
    kind: Kind | Literal[""] = ""
    spec: str = ""
    title: str = ""
    shown_unit: str = ""
    per_unit: float = 1.0

    @classmethod
    def exact(cls, figure: Figure, name: str = "", unit: str = "") -> Self:
        """Returns the column of a record: all digits that mean something, under the key that JSON has.

        Args:
            figure: what is shown.
            name: key in the rows, the figure's own if none.
            unit: what the task calls it, where the figure leaves that open.
        """
        return cls(name or figure.name, unit or figure.exact.unit, figure.kind, figure.exact.spec)

    @classmethod
    def brief(cls, figure: Figure, unit: str = "") -> Self:
        """Returns the column of a table of many: a short title, in a unit that reads well."""
        own, form = unit or figure.exact.unit, figure.brief
        other = form.unit if figure.short else ""
        return cls(figure.name, own, figure.kind, form.spec, figure.title, other, form.per_unit)

    @property
    def header(self) -> str:
        """Title and unit, a line each; which figures are predicted stands below the table."""
        return "\n".join(
            shown(part) for part in (self.title or self.name, self.shown_unit or self.unit) if part
        )

    @property
    def label(self) -> str:
        """Title, with unit and kind behind it."""
        about = ", ".join(part for part in (self.shown_unit or self.unit, self.kind) if part)
        return shown((self.title or self.name) + (f" [{about}]" if about else ""))

    def cell(self, row: Mapping[str, Any]) -> str:
        """Returns the figure of a row as the table shows it."""
        value = _plain(row.get(self.name))
        text = _cell(value / self.per_unit if self.per_unit != 1 and is_number(value) else value, self.spec)
        return shown_lines(text)


def print_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    format: str = "table",
    title: str | None = None,
) -> None:
    """Prints rows to stdout.

    Args:
        rows: one mapping a row; a missing key is an empty cell. Keys without a column are not printed.
        columns: what to print, in this order.
        format: "table" for people, "json" one list of objects with the column names as keys, "csv".
        title: line above the table; json and csv print rows alone.

    Raises:
        AtollError: unknown format.
    """
    if format == "json":
        print_json([{column.name: row.get(column.name) for column in columns} for row in rows])
    elif format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([shown(column.name) for column in columns])
        for row in rows:
            writer.writerow([_csv_cell(row.get(column.name)) for column in columns])
    elif format == "table":
        tell(table_text(rows, columns, title))
    else:
        raise AtollError(f"unknown format {format!r}: {known_names(format, FORMATS)}")


def print_record(
    row: Mapping[str, Any], columns: Sequence[Column], format: str = "table", title: str | None = None
) -> None:
    """Prints one row, in a table as one line a figure; JSON and CSV as `print_table` does.

    Raises:
        AtollError: unknown format.
    """
    if format != "table":
        print_table([row], columns, format)
        return
    screen = screen_width()
    known = [column for column in columns if _plain(row.get(column.name)) is not None]
    lines = wrapped(title, screen) if title else []
    tell("\n".join([*lines, *labelled([(column.label, column.cell(row)) for column in known], screen)]))


def labelled(texts: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Returns the lines of texts, each behind its label, folded between words.

    Args:
        texts: label and text, one at least.
        width: of the screen.
    """
    longest = max(len(label) for label, _ in texts)
    lines = []
    for label, text in texts:
        first, *others = wrapped(text, max(_LEAST_VALUE, width - longest - 4))
        lines.append(f"  {label:<{longest}}  {first}".rstrip())
        lines += [f"{'':<{longest}}    {other}" for other in others]
    return lines


def print_json(value: Any) -> None:
    """Prints one JSON value to stdout; NaN and infinities become null, since JSON has none."""
    text = json.dumps(
        _plain(value),
        indent=1,
        ensure_ascii=not says_everything(sys.stdout),
        allow_nan=False,
        default=_json_number,
    )
    tell("\n".join(line if line.isprintable() else _escaped(line) for line in text.split("\n")))


def table_text(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], title: str | None = None) -> str:
    """Returns rows as a table for people, as wide as the screen; see `print_table`."""
    width = screen_width()
    texts = _texts(rows, columns)
    lines = wrapped(title, width) if title else []
    unicode = (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
    lines += laid_out(texts, width, "─" if unicode else "-") if texts else []
    for kind in KINDS:
        titles = [column.title or column.name for column in columns if column.kind == kind]
        lines += wrapped(f"{kind}: {', '.join(titles)}", width) if titles else []
    return "\n".join(lines)


def fit(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> bool:
    """Returns whether the columns of a table have room beside each other on the screen."""
    return fits_beside(_texts(rows, columns), screen_width())


def _texts(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> list[TextColumn]:
    return [
        TextColumn(
            tuple(column.header.split("\n")),
            tuple(column.cell(row) for row in rows),
            numeric=any(is_number(row.get(column.name)) for row in rows),
        )
        for column in columns
    ]


def screen_width() -> int:
    """Returns how many characters a line may have: as the terminal, else COLUMNS, else as a wide one."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    else:
        columns = os.environ.get("COLUMNS", "")
        width = int(columns) if _COLUMNS.fullmatch(columns) and int(columns) > 0 else _WIDTH_OF_PIPES
    return max(_LEAST_WIDTH, width)


def _cell(value: Any, spec: str) -> str:
    value = _plain(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return format(value, spec or "f")
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=_json_number)
    if is_number(value):
        return format(value, spec) if spec else (_short(value) if isinstance(value, float) else str(value))
    return str(value)


def _short(value: float) -> str:
    """Returns four digits of a number, or all before the point: means of bytes are no powers of ten."""
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"


def _csv_cell(value: Any) -> Any:
    value = _plain(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False, default=_json_number)
    return shown_lines(value) if isinstance(value, str) else value


def _json_number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _escaped(line: str) -> str:
    """Returns a line of JSON in which what does not print stands as JSON escapes it: a reader has it back."""
    return "".join(
        one
        if one.isprintable()
        else re.sub("....", r"\\u\g<0>", one.encode("utf-16-be", "surrogatepass").hex())
        for one in line
    )


def is_number(value: Any) -> bool:
    return isinstance(_plain(value), (int, float, Decimal)) and not isinstance(_plain(value), bool)


def _plain(value: Any) -> Any:
    """Returns the value in JSON's own types, or a decimal: NaN and infinities None, dates ISO 8601."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if value is None or isinstance(value, (bool, int, str, Decimal)):
        return value
    if isinstance(value, (date, time)):  # a moment is a date too
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value)
