"""A data set whose images lie in Arrow files, mapped into memory by every process that asks."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...spaces.errors import AtollError
from ...spaces.outside.foreign_file import damage_told, read_json
from ..digests import digest_json
from ..prepared_quota import hold
from .arrow_file import map_split, split_digest
from .data_report import DataReport
from .dataset import ImagesInMemory

#: of what `data.json` holds; another one is decoded again
FORMAT = 1
SPLITS = ("train", "validation", "test")
_DESCRIPTION = "data.json"
#: its key for the digest of all others; what was decoded before has none
_SEAL = "sha256"


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


def decoded_version(classes: tuple[str, ...], parts: Any, digests: Iterable[str]) -> str:
    """Returns the SHA-256 that names decoded data, hexadecimal.

    Args:
        classes: their names.
        parts: of a sample, as the report has them; empty where it is one array.
        digests: of the splits, in the order of `SPLITS`.
    """
    total = hashlib.sha256(json.dumps([classes, parts] if parts else classes).encode())
    for digest in digests:
        total.update(digest.encode())
    return total.hexdigest()


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
    sealed = description | {_SEAL: digest_json(description)}
    (folder / _DESCRIPTION).write_text(json.dumps(sealed, indent=1))
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
            if found.pop(_SEAL, None) not in (None, digest_json(found)):
                raise AtollError(
                    f"{folder / _DESCRIPTION} says something else than what was decoded; {again}"
                )
            if found["format"] != FORMAT:
                raise AtollError(f"{folder} has format {found['format']}, allowed is {FORMAT}; {again}")
            for split, size in found["bytes"].items():
                if split in SPLITS and (folder / f"{split}.arrow").stat().st_size != size:
                    raise AtollError(f"{folder / split}.arrow has not the {size:,} bytes it had; {again}")
            splits = {split: map_split(folder / f"{split}.arrow") for split in SPLITS}
            try:
                return MappedDataset(
                    name=str(found["name"]),
                    **splits,
                    class_names=tuple(str(name) for name in found["classes"]),
                    version=str(found["version"]),
                    folder=folder,
                    report=DataReport.from_json(found["report"]),
                )
            except AtollError as error:  # what was decoded was right once
                raise AtollError(f"the decoded data in {folder} are damaged ({error}); {again}") from error
    except OSError as error:
        raise AtollError(
            f"the decoded data in {folder} cannot be opened ({error.strerror}); {again}"
        ) from error


def check_decoded(data: MappedDataset) -> None:
    """Reads decoded data once from the first to the last byte: are they what was decoded?

    Raises:
        AtollError: they are not.
    """
    digests = (split_digest(split) for split in (data.train, data.validation, data.test))
    if decoded_version(data.class_names, data.report.parts, digests) != data.version:
        raise AtollError(
            f"the decoded data in {data.folder} are not what was decoded; delete {data.folder}, and the data "
            "are decoded again"
        )
