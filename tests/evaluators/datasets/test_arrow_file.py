"""A split as an Arrow file: any Arrow reader sees the rows; a mapping takes no memory and harms nothing."""

import errno
import resource
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from atoll.evaluators.datasets.arrow_file import Column, map_split, pieces_of, write_split
from atoll.spaces.errors import AtollError

LABELS = np.arange(50, dtype=np.int64)


def written(path: Path, images: np.ndarray, labels: np.ndarray = LABELS, piece_bytes: int = 100) -> str:
    rows = np.arange(len(images))
    columns = [
        Column(values.dtype, values.shape[1:], pieces_of(values, rows, piece_bytes))
        for values in (images, labels)
    ]
    return write_split(path, len(images), *columns)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("shape", [(7,), (3, 5), (3, 4, 5)])
def test_it_comes_back(dtype: Any, shape: tuple[int, ...], tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(0, 50, (50, *shape)).astype(dtype)
    digest = written(tmp_path / "s.arrow", images)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns of memory that must not be written to
        split = map_split(tmp_path / "s.arrow")
    assert np.array_equal(split.images.numpy(), images) and np.array_equal(split.labels.numpy(), LABELS)
    assert split.images.is_contiguous()
    table = pa.ipc.open_file(tmp_path / "s.arrow").read_all()  # Arrow's own reader
    table.validate(full=True)
    assert np.array_equal(table["image"].combine_chunks().to_numpy_ndarray(), images)
    assert table["label"].to_pylist() == LABELS.tolist()
    assert written(tmp_path / "again.arrow", images, piece_bytes=10**6) == digest
    assert written(tmp_path / "other.arrow", images[::-1]) != digest
    assert written(tmp_path / "labels.arrow", images, LABELS[::-1]) != digest


@pytest.mark.parametrize(
    "labels", [np.ones((50, 2), np.float32), np.ones(50, np.float32), np.ones((50, 3, 4), np.int64)]
)
def test_targets_of_any_shape(labels: np.ndarray, tmp_path: Path) -> None:
    written(tmp_path / "s.arrow", np.ones((50, 3), np.float32), labels)
    found = map_split(tmp_path / "s.arrow").labels.numpy()
    assert found.dtype == labels.dtype and np.array_equal(found, labels)


def test_writing_to_the_tensor_leaves_the_file_alone(tmp_path: Path) -> None:
    written(tmp_path / "s.arrow", np.zeros((50, 3), np.uint8))
    map_split(tmp_path / "s.arrow").images.fill_(7)
    assert not map_split(tmp_path / "s.arrow").images.any()


def test_the_mapping_stays_when_the_file_is_deleted(tmp_path: Path) -> None:
    written(tmp_path / "s.arrow", np.full((50, 3), 9, np.uint8))
    split = map_split(tmp_path / "s.arrow")
    (tmp_path / "s.arrow").unlink()
    assert torch.equal(split.images, torch.full((50, 3), 9, dtype=torch.uint8))


def test_rows_that_are_not_as_many_as_said_are_an_error(tmp_path: Path) -> None:
    values = np.zeros((4, 3), np.uint8)
    short, labels = Column(values.dtype, (3,), [values[:3]]), Column(LABELS.dtype, (), [LABELS[:4]])
    with pytest.raises(ValueError, match="a column of 12 bytes came as 9 and 12"):
        write_split(tmp_path / "s.arrow", 4, short, labels)


def test_a_disk_that_fills_is_the_error_that_the_system_gives(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OSError) as raised:
            written(tmp_path / "s.arrow", np.zeros((50, 100, 100), np.uint8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.errno == errno.EFBIG


@pytest.mark.parametrize("content", [b"no Arrow file", b"ARROW1\0\0" * 99])
def test_another_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "s.arrow").write_bytes(content)
    with pytest.raises(
        AtollError, match=r"s\.arrow is damaged .*; delete its folder, and the data are decoded again"
    ):
        map_split(tmp_path / "s.arrow")


def test_another_table_is_refused(tmp_path: Path) -> None:
    table = pa.table({"image": [1], "kind": [2]})
    with pa.ipc.new_file(tmp_path / "s.arrow", table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(AtollError, match="1 batches of the columns"):
        map_split(tmp_path / "s.arrow")


# In a process of its own: what other tests' freed memory takes back or gives away is not counted.
WRITING = """
import sys
from pathlib import Path
import numpy as np
from atoll.evaluators.datasets.arrow_file import Column, map_split, write_split

def anonymous_bytes():
    (line,) = [s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("RssAnon")]
    return int(line.split()[1]) * 1024

path, rows, row = Path(sys.argv[1]), 2050, np.zeros((1, 1024, 1024), np.uint8)
before = anonymous_bytes()
images = Column(row.dtype, (1024, 1024), (row for _ in range(rows)))
write_split(path, rows, images, Column(np.dtype(np.int64), (), [np.zeros(rows, np.int64)]))
split = map_split(path)
assert split.images.shape == (rows, 1024, 1024) and not split.images[rows - 1].any()
print(anonymous_bytes() - before)
"""


@pytest.mark.slow
def test_two_gigabytes_are_one_column_and_are_written_and_read_in_little_memory(tmp_path: Path) -> None:
    # Arrow's default refuses arrays of 2^31 numbers; two gigabytes are written
    ended = subprocess.run(
        [sys.executable, "-c", WRITING, tmp_path / "s.arrow"], capture_output=True, text=True, check=True
    )
    (tmp_path / "s.arrow").unlink()
    assert int(ended.stdout) < 64e6
