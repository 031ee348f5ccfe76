"""Measurements of networks on a board: one CSV row each."""

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

from ..spaces.errors import AtollError
from ..spaces.nearest import known_names

#: columns that must be there; others (`source`, `notes`, …) are for the reader
COLUMNS = (
    "id",
    "setup",
    "network",
    "recipe",
    "input_shape",
    "num_classes",
    "latency_ms",
    "peak_memory_mib",
    "latency_credible",
    "memory_credible",
)
QUANTITIES = ("latency_ms", "peak_memory_mib")
#: what a unit of `model_size` is in bytes
SIZE_UNITS = {"B": 1, "kB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2}
_RANK = re.compile(r"rank=\d+(,\s*)?")


@dataclass(frozen=True)
class Measurement:
    """One network as it was measured.

    Args:
        id: unique.
        setup: runtime, threads and board together; figures of two set-ups differ by a factor of their own.
        family: rows that belong together; network and recipe but for ranks where the file does not say.
        network: name in the zoo or of a stored structure.
        recipe: how it was compressed; empty is the baseline.
        input_shape: (channels, height, width).
        num_classes: 2 where the network has none.
        measured: latency_ms in ms and peak_memory_mib in MiB; None where it was not measured.
        doubts: reasons why a quantity is not used, by its name.
        file_bytes: size of the measured file; None where the table does not say.
        surrogate: whether the network only stands in for the measured one, whose identity is not certain.
        artifact: the measured `.tflite` file, wherever it lies now; None where the table does not say.
        artifact_sha256: of that file, hexadecimal; empty where the table does not say.
    """

    id: str
    setup: str
    family: str
    network: str
    recipe: str
    input_shape: tuple[int, int, int]
    num_classes: int
    measured: dict[str, float | None]
    doubts: dict[str, str]
    file_bytes: int | None = None
    surrogate: bool = False
    artifact: Path | None = None
    artifact_sha256: str = ""


def read_measurements(path: Path) -> tuple[Measurement, ...]:
    """Reads a CSV file of measurements.

    Columns: id, setup, network, recipe, input_shape (HEIGHTxWIDTHxCHANNELS), num_classes, latency_ms,
    peak_memory_mib, latency_credible and memory_credible (yes or no). Optional are family, notes,
    surrogate (yes or no), model_size with model_size_unit (a key of `SIZE_UNITS`), and artifact, the measured
    `.tflite` file relative to this one, with artifact_sha256; a row with an artifact needs no network.

    Raises:
        AtollError: for missing columns, no rows, repeated ids, values that cannot be read, or a file that is
            no UTF-8 text.
        OSError: when the file cannot be opened.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:  # Excel begins with a mark
            rows = _rows(path, csv.DictReader(stream))
    except (UnicodeDecodeError, csv.Error) as error:
        raise AtollError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    if not rows:
        raise AtollError(f"{path}: got no measurements, allowed is one row at least")
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise AtollError(f"{path}: the id {row.id!r} comes twice; each row needs its own")
        seen.add(row.id)
    return rows


def _rows(path: Path, reader: "csv.DictReader[str]") -> tuple[Measurement, ...]:
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise AtollError(
            f"{path}: the columns {', '.join(missing)} are missing; needed are {', '.join(COLUMNS)}"
        )
    return tuple(_measurement(row, path.parent, f"{path}, line {reader.line_num}") for row in reader)


def check_ids(rows: tuple[Measurement, ...], ids: tuple[str, ...]) -> None:
    """Raises an AtollError for an id that no row has."""
    known = [row.id for row in rows]
    for name in ids:
        if name not in known:
            raise AtollError(f"unknown measurement {name!r}; {known_names(name, known)}")


def parse_size(text: str, place: str) -> tuple[int, int, int]:
    """Returns (channels, height, width) of a text HEIGHTxWIDTHxCHANNELS."""
    parts = text.strip().lower().split("x")
    if len(parts) != 3 or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise AtollError(f"{place}: got {text!r}, allowed is HEIGHTxWIDTHxCHANNELS such as 64x64x3")
    height, width, channels = (int(part) for part in parts)
    return channels, height, width


def _measurement(row: dict[str, str], folder: Path, place: str) -> Measurement:
    text = {key: (value or "").strip() for key, value in row.items() if key is not None}
    classes = text["num_classes"] or "2"
    if not classes.isdigit():
        raise AtollError(f"{place}, num_classes: got {classes!r}, allowed is a whole number")
    notes = text.get("notes", "")
    doubts = {}
    for quantity, flag in zip(QUANTITIES, ("latency_credible", "memory_credible"), strict=True):
        if not _yes(text[flag], f"{place}, {flag}"):
            doubts[quantity] = f"marked as not credible: {notes}" if notes else "marked as not credible"
    recipe = text["recipe"]
    return Measurement(
        id=text["id"],
        setup=text["setup"],
        family=text.get("family") or f"{text['network']} {_RANK.sub('', recipe)}".strip() or text["id"],
        network=text["network"],
        recipe=recipe,
        input_shape=parse_size(text["input_shape"], f"{place}, input_shape"),
        num_classes=int(classes),
        measured={
            quantity: _number(text[quantity], f"{place}, {quantity}", doubted=quantity in doubts)
            for quantity in QUANTITIES
        },
        doubts=doubts,
        file_bytes=_file_bytes(text, place),
        surrogate=_yes(text.get("surrogate") or "no", f"{place}, surrogate"),
        artifact=folder / text["artifact"] if text.get("artifact") else None,
        artifact_sha256=text.get("artifact_sha256", ""),
    )


def _yes(text: str, place: str) -> bool:
    if text not in ("yes", "no"):
        raise AtollError(f"{place}: got {text!r}, allowed are yes and no")
    return text == "yes"


def _file_bytes(text: dict[str, str], place: str) -> int | None:
    size = _number(text.get("model_size", ""), f"{place}, model_size")
    if size is None:
        return None
    unit = text.get("model_size_unit", "")
    if unit not in SIZE_UNITS:
        raise AtollError(f"{place}, model_size_unit: got {unit!r}, allowed are {', '.join(SIZE_UNITS)}")
    return round(size * SIZE_UNITS[unit])


def _number(text: str, place: str, doubted: bool = False) -> float | None:
    """Returns a figure above 0, None for none; what is no figure may stand only where the row doubts it."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        if doubted:
            return None
        raise AtollError(f"{place}: got {text!r}, allowed is a number above 0 or nothing")
    return value
