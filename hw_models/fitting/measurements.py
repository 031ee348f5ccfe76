"""Measurements of networks on a board: one CSV row each."""

import re
from dataclasses import dataclass
from pathlib import Path

from ...spaces.errors import AtollError
from ...spaces.layers.shape import InputShape
from ...spaces.nearest import known_names
from ...spaces.outside.csv_table import CsvRow, read_csv

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
#: columns that need not be there, and what they say then
_OPTIONAL = {
    "family": "",
    "notes": "",
    "surrogate": "no",
    "model_size": "",
    "model_size_unit": "",
    "artifact": "",
    "artifact_sha256": "",
}
QUANTITIES = ("latency_ms", "peak_memory_mib")
#: what a unit of `model_size` is in bytes
SIZE_UNITS = {"B": 1, "kB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2}
_LENGTH = re.compile(r"0*[1-9][0-9]{0,8}")
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
    input_shape: InputShape
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
        AtollError: as `read_csv`; for missing columns, no rows, ids that are missing, no name of a file or
            there twice, or values that cannot be read.
    """
    table = read_csv(path)
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise AtollError(
            f"{path}: the columns {', '.join(missing)} are missing; needed are {', '.join(COLUMNS)}"
        )
    rows = tuple(
        _measurement(CsvRow(row.place, {**_OPTIONAL, **row.cells}), path.parent) for row in table.rows
    )
    if not rows:
        raise AtollError(f"{path}: got no measurements, allowed is one row at least")
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise AtollError(f"{path}: the id {row.id!r} comes twice; each row needs its own")
        seen.add(row.id)
    return rows


def check_ids(rows: tuple[Measurement, ...], ids: tuple[str, ...]) -> None:
    """Raises an AtollError for an id that no row has."""
    known = [row.id for row in rows]
    for name in ids:
        if name not in known:
            raise AtollError(f"unknown measurement {name!r}; {known_names(name, known)}")


def parse_size(text: str, place: str, of_images: bool = True) -> InputShape:
    """Returns (channels, height, width) of a text HEIGHTxWIDTHxCHANNELS.

    Args:
        text: channels last.
        place: for the message.
        of_images: whether it has to be an image's; else LENGTHxCHANNELS and FEATURES are allowed too.

    Raises:
        AtollError: the text has another form.
    """
    parts = text.strip().lower().split("x")
    ranks = (3,) if of_images else (1, 2, 3)
    if len(parts) not in ranks or not all(_LENGTH.fullmatch(part) for part in parts):
        others = "" if of_images else ", LENGTHxCHANNELS or FEATURES"
        raise AtollError(f"{place}: got {text!r}, allowed is HEIGHTxWIDTHxCHANNELS such as 64x64x3{others}")
    *places, channels = (int(part) for part in parts)
    return channels, *places


def _measurement(row: CsvRow, folder: Path) -> Measurement:
    text = row.cells
    if not text["id"] or "/" in text["id"]:  # a device keeps the file of a row under its id
        raise row.refused("id", "a name without /")
    if not text["setup"]:
        raise row.refused("setup", "a name")
    notes, recipe = text["notes"], text["recipe"]
    doubts = {}
    for quantity, flag in zip(QUANTITIES, ("latency_credible", "memory_credible"), strict=True):
        if not row.flag(flag):
            doubts[quantity] = f"marked as not credible: {notes}" if notes else "marked as not credible"
    return Measurement(
        id=text["id"],
        setup=text["setup"],
        family=text["family"] or f"{text['network']} {_RANK.sub('', recipe)}".strip() or text["id"],
        network=text["network"],
        recipe=recipe,
        input_shape=parse_size(text["input_shape"], f"{row.place}, input_shape"),
        num_classes=row.whole("num_classes") if text["num_classes"] else 2,
        measured={quantity: _figure(row, quantity, quantity in doubts) for quantity in QUANTITIES},
        doubts=doubts,
        file_bytes=_file_bytes(row),
        surrogate=row.flag("surrogate") if text["surrogate"] else False,
        artifact=folder / text["artifact"] if text["artifact"] else None,
        artifact_sha256=text["artifact_sha256"],
    )


def _file_bytes(row: CsvRow) -> int | None:
    size, unit = _figure(row, "model_size"), row.cells["model_size_unit"]
    if size is None:
        return None
    if unit not in SIZE_UNITS:
        raise row.refused("model_size_unit", f"one of {', '.join(SIZE_UNITS)}")
    return round(size * SIZE_UNITS[unit])


def _figure(row: CsvRow, column: str, doubted: bool = False) -> float | None:
    """Returns a figure above 0, None for none; what is no figure may stand only where the row doubts it."""
    if not row.cells[column]:
        return None
    try:
        return row.number(column, above=0)
    except AtollError:
        if doubted:
            return None
        raise
