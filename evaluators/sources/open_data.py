"""Opens a user's data: found, decoded where that was not done yet, and mapped."""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...spaces.errors import AtollError, MachineError
from ...spaces.layers.parts import Parts, runs_of
from ...spaces.layers.scaling import Scaling
from ...spaces.outside.file_names import file_name
from ...spaces.outside.shown import shown
from ..datasets.arrow_file import Column, map_split, pieces_of, write_split
from ..datasets.data_report import EXAMPLES, DataReport
from ..datasets.mapped_dataset import (
    FORMAT,
    SPLITS,
    MappedDataset,
    decoded_version,
    describe_decoded,
    open_decoded,
)
from ..datasets.split_making import make_splits
from .class_names import Classes, name_classes
from .data_source import DataSource
from .decode import Decoded, Progress, decode
from .find_reader import find_reader
from .reader import Reader

#: Images whose mean and deviation are measured: between images the mean differs by some 30 of 255, so that
#: its error is half a level.
MEASURED_IMAGES = 4_000
#: of a class, so that each split gets an image: three, and one more where the choice falls unevenly
OF_A_CLASS = 4
#: numbers that are made float64 at once
_MEASURED_AT_ONCE = 2**22


def open_data(
    source: DataSource, cache: Path, on_progress: Callable[[Progress], None] | None = None
) -> MappedDataset:
    """Opens a user's data; the first time they are decoded into the cache folder, by one process.

    What tells data from others is the name, size and time of each of their files (of a function: how many
    items, a sample of them, its `version`), with the settings of the source. Another process that wants the
    same meanwhile waits for the one that decodes.

    Args:
        source: where they are.
        cache: folder that may be emptied at any time.
        on_progress: told now and then how far decoding is.

    Returns:
        The data, mapped; `version` is the SHA-256 of the decoded columns.

    Raises:
        AtollError: they are not there, cannot be read, or are not what is allowed.
        MachineError: the cache folder cannot be written.
    """
    return _open(source, find_reader(source), cache, on_progress)


def _open(
    source: DataSource, reader: Reader, cache: Path, on_progress: Callable[[Progress], None] | None = None
) -> MappedDataset:
    folder = cache / "data" / _key(source, reader)
    if (folder / "data.json").is_file():
        return _open_or_drop(folder) or _open(source, reader, cache, on_progress)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(f"{folder.name}.lock")):
            if not (folder / "data.json").is_file():  # nobody else has decoded it meanwhile
                shutil.rmtree(folder, ignore_errors=True)
                _decode_to(folder, source, reader, on_progress)
    except OSError as error:
        raise _machine_error(error, folder) from error
    return open_decoded(folder)


def open_sample(source: DataSource, cache: Path, images: int) -> MappedDataset:
    """Opens a user's data where they were decoded already, or are few; else so many, evenly chosen.

    Args:
        source: where they are.
        cache: as for `open_data`.
        images: how many are decoded at most, or `OF_A_CLASS` of every class where these are more.

    Raises:
        AtollError: as `open_data`.
        MachineError: as `open_data`.
    """
    reader = find_reader(source)
    images = max(images, OF_A_CLASS * len(reader.class_names or ()))
    is_small = min(reader.total, source.at_most or reader.total) <= images
    if is_small or (cache / "data" / _key(source, reader) / "data.json").is_file():
        return _open(source, reader, cache)
    return _open(replace(source, at_most=images), reader, cache)


def _open_or_drop(folder: Path) -> MappedDataset | None:
    """Opens decoded data; what is damaged is moved away, to be decoded again."""
    try:
        return open_decoded(folder)
    except AtollError:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            raise
        return None


def _decode_to(
    folder: Path, source: DataSource, reader: Reader, on_progress: Callable[[Progress], None] | None
) -> None:
    """Decodes beside the folder and renames at the end, so that nobody ever opens half of it."""
    for left in folder.parent.glob(
        f"{folder.name}.*.partial"
    ):  # of a process that was killed: we have the lock
        shutil.rmtree(left, ignore_errors=True)
    started = time.perf_counter()
    draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        found = decode(reader, source, draft, on_progress)
        classes = name_classes(found, reader, source)
        version, report = _cut(draft, found, classes, source, reader, started)
        for raw in draft.glob("*.raw"):
            raw.unlink()
        describe_decoded(draft, shown(source.name), classes.names, version, report)
        draft.chmod(0o755)
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _cut(
    draft: Path, found: Decoded, classes: Classes, source: DataSource, reader: Reader, started: float
) -> tuple[str, DataReport]:
    """Writes a file a split; returns the version of all, and the report."""
    images, labels = found.images.mapped(), found.labels.mapped()
    digests = np.array(found.digests, np.uint64)
    _, firsts, of_row = np.unique(digests, return_index=True, return_inverse=True)
    twins = firsts[of_row]
    stored = classes.numbers(labels)
    groups = np.array(found.groups) if found.groups else None
    given = np.array(found.splits)
    by_class = stored if stored is not None and stored.ndim == 1 else None
    splits = make_splits(given, by_class, groups, twins, source.shares, source.seed)
    order = np.random.default_rng(source.seed).permutation(len(splits))
    per_class, size, written = {}, 0, []
    for number, split in enumerate(SPLITS):
        # in a drawn order: the first hundred of a split are then a sample of it, not one class
        rows = order[splits[order] == number]
        targets = labels if stored is None else stored
        columns = [
            Column(values.dtype, values.shape[1:], pieces_of(values, rows)) for values in (images, targets)
        ]
        path = draft / f"{split}.arrow"
        written.append(write_split(path, len(rows), *columns))
        size += path.stat().st_size
        held = np.empty(0, np.int64) if by_class is None else by_class[rows]
        per_class[split] = (
            tuple(np.bincount(held, minlength=len(classes.names)).tolist()) if len(held) else ()
        )
    copies = np.flatnonzero(twins != np.arange(len(twins)))
    across = copies[splits[copies] != splits[twins[copies]]]
    contradicting = 0
    if by_class is not None:
        contradicting = int(np.count_nonzero(by_class[copies] != by_class[twins[copies]]))
    scaling, remark = _measured(draft / "train.arrow", found.parts)
    return decoded_version(classes.names, found.parts, written), DataReport(
        images={split: int((splits == number).sum()) for number, split in enumerate(SPLITS)},
        per_class=per_class,
        sizes=dict(found.sizes.most_common(EXAMPLES)),
        skipped=found.skipped,
        skipped_names=tuple(found.skipped_names),
        repeated=len(copies),
        across_splits=len(across),
        across_names=tuple(
            (reader.name(found.rows[twins[row]]), reader.name(found.rows[row])) for row in across[:EXAMPLES]
        ),
        contradicting=contradicting,
        empty_classes=tuple(
            name for name, count in zip(classes.names, per_class["train"], strict=False) if not count
        ),
        scaling=scaling,
        decoded_bytes=size,
        seconds=time.perf_counter() - started,
        remarks=(
            *reader.remarks,
            *_conversions(found),
            *_splits_said(given, splits, source, groups, by_class is not None),
            *remark,
        ),
        parts=found.parts,
    )


def _conversions(found: Decoded) -> Iterator[str]:
    for what, count in found.remarks.most_common():
        yield f"{count:,} pictures: {what}"


def _splits_said(
    given: np.ndarray, splits: np.ndarray, source: DataSource, groups: np.ndarray | None, of_classes: bool
) -> Iterator[str]:
    made = [name for number, name in enumerate(SPLITS) if number in splits[given != splits] and number]
    if made:
        how = "each class in the same shares" if of_classes else "at random"
        how = how if groups is None else "no group in two splits"
        shares = "/".join(f"{100 * share:g}" for share in source.shares)
        yield f"{' and '.join(made)} cut out of train ({shares} %, seed {source.seed}, {how})"


def _measured(path: Path, parts: Parts) -> tuple[Scaling, tuple[str, ...]]:
    """Returns mean and deviation of every channel, of every input, over evenly chosen images."""
    images = map_split(path).images.numpy()
    rows = np.linspace(0, len(images) - 1, min(len(images), MEASURED_IMAGES)).astype(np.int64)
    axes = (0, *range(2, images.ndim))
    count, total, squares = 0, np.zeros(images.shape[1]), np.zeros(images.shape[1])
    middle = images[0].astype(np.float64).mean(tuple(range(1, images.ndim - 1)))  # keeps the squares small
    shape = (-1,) + (1,) * (images.ndim - 2)
    at_once = max(1, _MEASURED_AT_ONCE // images[0].size)
    for start in range(0, len(rows), at_once):
        values = images[rows[start : start + at_once]].astype(np.float64) - middle.reshape(shape)
        count += values.size // len(total)
        total += values.sum(axes)
        squares += (values**2).sum(axes)
    mean, variance, runs = middle + total / count, squares / count - (total / count) ** 2, runs_of(parts)
    if parts:
        starts = np.cumsum((0, *runs[:-1]))
        of_each, of_squares = (
            np.add.reduceat(values, starts) / runs for values in (mean, variance + mean**2)
        )
        mean, variance = of_each, of_squares - of_each**2
    deviation = np.sqrt(np.maximum(variance, 0))
    constant = np.flatnonzero(deviation == 0)
    remark = (f"{len(constant):,} channels hold one value only",) if len(constant) else ()
    deviation[constant] = 1.0
    return Scaling(tuple(mean), tuple(deviation), runs), remark


def _key(source: DataSource, reader: Reader) -> str:
    """Returns the name of the folder: the data's own and a digest of all that decides what is decoded."""
    digest = hashlib.sha256(f"{FORMAT} {json.dumps(source.to_json(), sort_keys=True)}".encode())
    for piece in reader.stamp():
        digest.update(piece)
    return f"{file_name(source.name)[:40]}-{digest.hexdigest()[:24]}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a lock that the system frees when the process ends, whatever happens."""
    with open(path, "a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _machine_error(error: OSError, folder: Path) -> MachineError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "the disk is full" if full else error.strerror or str(error)
    return MachineError(
        f"cannot decode the data into {folder.parent} ({why}); nothing half-written is kept: make room "
        "there, or name another folder in ATOLL_CACHE"
    )
