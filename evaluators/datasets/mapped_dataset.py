"""A data set whose images lie in Arrow files, mapped into memory by every process that asks."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...spaces.errors import AtollError
from ...spaces.outside.foreign_file import damage_told, read_json
from ..prepared_quota import hold
from .arrow_file import map_split
from .data_report import DataReport
from .dataset import ImagesInMemory

#: of what `data.json` holds; another one is decoded again
FORMAT = 1
SPLITS = ("train", "validation", "test")
_DESCRIPTION = "data.json"


@dataclass(frozen=True)
class MappedDataset(ImagesInMemory):
    """Decoded data: checked as images in memory are, but the system reads and drops their pages.

    Sent to another process of the machine it goes as the name of its folder, and is mapped there anew.

    Args:
        folder: where its files lie.
        report: what decoding found.
    """

    folder: Path
    report: DataReport

    def __reduce__(self) -> tuple[Any, ...]:
        return open_decoded, (self.folder,)


def describe_decoded(
    folder: Path, name: str, classes: tuple[str, ...], version: str, report: DataReport
) -> None:
    """Writes what a folder of decoded splits holds, and holds it; `open_decoded` reads it."""
    sizes = {split: (folder / f"{split}.arrow").stat().st_size for split in SPLITS}
    description = {
        "format": FORMAT,
        "name": name,
        "classes": list(classes),
        "version": version,
        "bytes": sizes,
        "report": report.to_json(),
    }
    (folder / _DESCRIPTION).write_text(json.dumps(description, indent=1))
    hold(folder)  # before it gets its name: nobody finds it unheld


def open_decoded(folder: Path) -> MappedDataset:
    """Maps decoded data by their folder, without the files that they were made from; they stay until we end.

    Raises:
        AtollError: it is not there, or holds something else.
    """
    hold(folder)
    again = f"delete {folder}, and the data are decoded again"
    try:
        with damage_told(f"the decoded data in {folder} are damaged", f"what was decoded; {again}"):
            found = read_json(folder / _DESCRIPTION)
            if found["format"] != FORMAT:
                raise AtollError(f"{folder} has format {found['format']}, allowed is {FORMAT}; {again}")
            for split, size in found["bytes"].items():
                if split in SPLITS and (folder / f"{split}.arrow").stat().st_size != size:
                    raise AtollError(f"{folder / split}.arrow has not the {size:,} bytes it had; {again}")
            splits = {split: map_split(folder / f"{split}.arrow") for split in SPLITS}
            return MappedDataset(
                name=str(found["name"]),
                **splits,
                class_names=tuple(str(name) for name in found["classes"]),
                version=str(found["version"]),
                folder=folder,
                report=DataReport.from_json(found["report"]),
            )
    except OSError as error:
        raise AtollError(
            f"the decoded data in {folder} cannot be opened ({error.strerror}); {again}"
        ) from error
