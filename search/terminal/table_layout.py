"""Lays a table out for a width: what does not fit beside goes below, and nothing breaks inside a word.

A row whose columns are wider than the screen takes several lines, and so does the header, in the same places;
a long text has a line of its own.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unicodedata import combining, east_asian_width

_GAP = 2  # blanks between two columns
_INDENT = 2  # of the lines that go on with a row
_LEAST_TEXT = 28  # a text is folded beside other columns, but not below this
_ARROWS = (" ->", " > ")  # between the steps of a recipe, and of its short form
_COMMAND = re.compile("`[^`]+`")
#: a blank at which no line ends; it is printed as any other
HARD_BLANK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class TextColumn:
    """A column as text.

    Args:
        header: lines.
        cells: one a row.
        numeric: to the right, and never folded.
    """

    header: tuple[str, ...]
    cells: tuple[str, ...]
    numeric: bool = False

    @property
    def widest(self) -> int:
        """Cells of a screen that the longest line takes."""
        return max(map(cell_len, (*self.header, *(line for cell in self.cells for line in _lines(cell)))))

    def least(self, width: int) -> int:
        """Returns how wide it must be on a screen of some width for no word or number to break."""
        if self.numeric:
            return self.widest
        words = [word for text in (*self.header, *self.cells) for word in text.split()]
        longest = max([*map(cell_len, (*self.header, *words)), min(self.widest, _LEAST_TEXT)])
        return min(longest, width - _INDENT)


def laid_out(columns: Sequence[TextColumn], width: int, rule: str = "─") -> list[str]:
    """Returns the lines of a table, without blanks at their ends.

    Args:
        columns: one at least, with equally many cells.
        width: of the screen; lines are longer only where a number is.
        rule: of which the line below the header is made.
    """
    bands = _bands(columns, width)
    lines = [line for number, band in enumerate(bands) for line in _header(band, _indent(number))]
    taken = [
        _indent(number) + sum(size for _, size in band) + _GAP * (len(band) - 1)
        for number, band in enumerate(bands)
    ]
    lines.append(rule * min(width, max(taken)))
    for row in range(len(columns[0].cells)):
        for number, band in enumerate(bands):
            if number == 0 or any(column.cells[row] for column, _ in band):
                cells = [_folded(column, column.cells[row], size) for column, size in band]
                lines += _beside(band, cells, _indent(number))
    return lines


def fits_beside(columns: Sequence[TextColumn], width: int) -> bool:
    """Returns whether columns have room beside each other, so that a row is one line but for long texts."""
    return len(_bands(columns, width)) <= 1


def wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    """Returns a text in lines that break between words; a word longer than a whole line is cut."""
    room = max(1, width - indent)
    return [" " * indent + line for part in _lines(text) for line in _wrap(part, room)]


def _wrap(text: str, width: int) -> list[str]:
    """A word is cut only where no line could hold it; the arrow of a recipe stays with the step before it.

    What stands as a command, to be pasted, is one word where a line can hold it.
    """
    if cell_len(text) <= width:
        return [text.replace(HARD_BLANK, " ")]
    glued = _COMMAND.sub(
        lambda one: one[0].replace(" ", HARD_BLANK) if cell_len(one[0]) <= width else one[0], text
    )
    for arrow in _ARROWS:
        glued = glued.replace(arrow, f"{HARD_BLANK}{arrow[1:]}")
    found = textwrap.wrap(glued, width, replace_whitespace=False, break_on_hyphens=False)
    return [line.replace(HARD_BLANK, " ") for line in found] or [""]


def _lines(text: str) -> list[str]:
    return text.splitlines() or [""]


def _indent(number: int) -> int:
    return _INDENT if number else 0


def cell_len(text: str) -> int:
    """Returns how many places of a screen a text takes: two for a wide character, none for an accent."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(one) else 2 if east_asian_width(one) in "WF" else 1 for one in text)


_Band = list[tuple[TextColumn, int]]


def _bands(columns: Iterable[TextColumn], width: int) -> list[_Band]:
    """Returns the columns by line of a row, in order, each with its width."""
    bands: list[_Band] = []
    used = 0
    for column in columns:
        least = column.least(width)
        if not bands or used + _GAP + least > width:
            bands.append([(column, least)])
            used = _indent(len(bands) - 1) + least
        else:
            bands[-1].append((column, least))
            used += _GAP + least
    return [_grown(band, width - _indent(number)) for number, band in enumerate(bands)]


def _grown(band: _Band, width: int) -> _Band:
    """Gives the room that is left to the texts that need it, the first one first."""
    room = width - sum(size for _, size in band) - _GAP * (len(band) - 1)
    grown = []
    for column, size in band:
        more = max(0, min(room, column.widest - size))
        room -= more
        grown.append((column, size + more))
    return grown


def _folded(column: TextColumn, cell: str, size: int) -> list[str]:
    return [cell] if column.numeric else wrapped(cell, size)


def _header(band: _Band, indent: int) -> list[str]:
    """Returns the lines of a header, titles and units at the height of each other."""
    headers = [
        [line for part in column.header for line in ([part] if column.numeric else _wrap(part, size))]
        for column, size in band
    ]
    return _beside(band, headers, indent)


def _beside(band: _Band, cells: Sequence[Sequence[str]], indent: int) -> list[str]:
    """Returns the lines of cells that stand beside each other."""
    lines = []
    for number in range(max(map(len, cells))):
        parts = []
        for (column, size), cell in zip(band, cells, strict=True):
            text = cell[number] if number < len(cell) else ""
            blanks = " " * max(0, size - cell_len(text))
            parts.append(blanks + text if column.numeric else text + blanks)
        lines.append((" " * indent + (" " * _GAP).join(parts)).rstrip())
    return lines
