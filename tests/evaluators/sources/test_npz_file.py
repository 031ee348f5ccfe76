"""NumPy files: arrays by their names, read row by row; objects are never unpickled."""

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from atoll.evaluators.datasets.mapped_dataset import MappedDataset
from atoll.evaluators.sources.data_source import DataSource
from atoll.evaluators.sources.npz_file import read_npz
from atoll.evaluators.sources.open_data import open_data
from atoll.spaces.errors import AtollError

X = np.random.default_rng(0).normal(size=(60, 2, 9)).astype(np.float32)
Y = np.arange(60) % 3


def opened(folder: Path, save: Any = np.savez, /, settings: Any = None, **arrays: Any) -> MappedDataset:
    save(folder / "d.npz", **arrays)
    return open_data(DataSource(folder / "d.npz", **(settings or {})), folder / "cache")


def rows_of(data: MappedDataset) -> dict[bytes, Any]:
    return {
        image.tobytes(): label
        for split in (data.train, data.validation, data.test)
        for image, label in zip(split.images.numpy(), split.labels.tolist(), strict=True)
    }


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_all_rows_arrive(save: Any, dtype: Any, tmp_path: Path) -> None:
    x = (X * 1000).astype(dtype)
    data = opened(tmp_path, save, x=x, y=Y)
    assert data.input_shape == (2, 9) and data.train.images.numpy().dtype == dtype
    assert rows_of(data) == {row.tobytes(): label for row, label in zip(x, Y.tolist(), strict=True)}
    assert [len(split) for split in (data.train, data.validation, data.test)] == [42, 9, 9]
    assert data.class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test"),
        ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
        ("train_x", "train_y", "valid_x", "valid_y", "test_x", "test_y"),
    ],
)
def test_usual_names_of_splits(names: tuple[str, ...], tmp_path: Path) -> None:
    arrays = [X[:30], Y[:30, None], X[30:50], Y[30:50, None], X[50:], Y[50:, None]]
    data = opened(tmp_path, **dict(zip(names, arrays, strict=True)))
    assert [len(split) for split in (data.train, data.validation, data.test)] == [30, 20, 10]
    assert {row.tobytes() for row in data.test.images.numpy()} == {row.tobytes() for row in X[50:]}


def test_groups_stay_in_one_split(tmp_path: Path) -> None:
    groups = np.arange(60) // 5
    data = opened(tmp_path, x=X, y=Y, groups=groups)
    group_of = {row.tobytes(): group for row, group in zip(X, groups, strict=True)}
    held = [
        {group_of[row.tobytes()] for row in split.images.numpy()}
        for split in (data.train, data.validation, data.test)
    ]
    assert sum(map(len, held)) == len(set.union(*held)) == 12
    assert any("no group in two splits" in remark for remark in data.report.remarks)


def test_names_of_classes_and_text_as_labels(tmp_path: Path) -> None:
    assert opened(tmp_path, x=X, y=Y, class_names=np.array(["u", "v", "w"])).class_names == ("u", "v", "w")
    data = opened(tmp_path, x=X, y=np.array(["zoo", "arm", "bee"])[Y])
    assert data.class_names == ("arm", "bee", "zoo")
    known = {row.tobytes(): ["zoo", "arm", "bee"][label] for row, label in zip(X, Y, strict=True)}
    assert {row: data.class_names[label] for row, label in rows_of(data).items()} == known


def test_targets_of_a_regression(tmp_path: Path) -> None:
    targets = np.random.default_rng(1).normal(size=(60, 4))
    data = opened(tmp_path, x=X, y=targets)
    assert data.class_names == () and data.train.labels.shape == (42, 4)
    found: dict[bytes, Any] = {row: tuple(np.float32(target)) for row, target in rows_of(data).items()}
    assert found == {row.tobytes(): tuple(np.float32(target)) for row, target in zip(X, targets, strict=True)}
    with pytest.raises(AtollError, match="has targets of a regression"):
        opened(tmp_path, x=X, y=targets, settings={"classes": 4})


def test_whole_numbers_may_be_targets_too(tmp_path: Path) -> None:
    data = opened(tmp_path, x=X, y=Y * 10, settings={"regression": True})
    assert data.class_names == () and set(data.train.labels.tolist()) == {0.0, 10.0, 20.0}
    with pytest.raises(AtollError, match="has a label of <U1, allowed are numbers"):
        opened(tmp_path, x=X, y=Y.astype("U1"), settings={"regression": True})
    with pytest.raises(AtollError, match="allowed is one of the two"):
        opened(tmp_path, x=X, y=Y, settings={"regression": True, "classes": 3})


def test_a_class_a_pixel(tmp_path: Path) -> None:
    masks = np.random.default_rng(1).integers(0, 5, (60, 9))
    data = opened(tmp_path, x=X, y=masks)
    assert data.train.labels.shape == (42, 9) and data.class_names == tuple("01234")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": X}, "has not both inputs and targets for train"),
        ({"x": X, "y": Y[:9]}, r"has 60 inputs and targets of the shape \(9,\)"),
        ({"a": X, "b": Y}, "has an array a, allowed are x and y"),
        ({"x": X, "images": X, "y": Y}, "has images.npy besides x.npy"),
        ({"x": np.asfortranarray(X), "y": Y}, "x.npy is stored by columns"),
        ({"x": X, "y": np.array([{}] * 60)}, "y.npy holds Python objects"),
        ({"x": np.array(3), "y": Y}, "x.npy is a single number"),
        ({"x": X, "y": Y - 1}, r"d\.npz, row 0 of train has the label -1, allowed are classes from 0"),
        ({"x": X, "y": Y * 1j}, "has a label of complex128"),
        ({"x": X[:0], "y": Y[:0]}, "has no items that can be read"),
        ({"x": X, "y": Y * 0}, "has one class"),
    ],
)
def test_other_content_is_refused(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(AtollError, match=said):
        opened(tmp_path, **arrays)


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'called'}",)

    np.savez(tmp_path / "d.npz", x=X, y=np.array([Evil()] * 60))
    with pytest.raises(AtollError, match="holds Python objects"):
        read_npz(tmp_path / "d.npz")
    assert not (tmp_path / "called").exists()


def test_labels_beyond_the_told_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AtollError, match=r"has the label 2, allowed are 0 to 1, one a class"):
        opened(tmp_path, x=X, y=Y, settings={"classes": 2})


def test_a_damaged_archive_is_said(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "d.npz", x=X, y=Y)
    content = (tmp_path / "d.npz").read_bytes()
    (tmp_path / "d.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(AtollError, match=r"d\.npz is no \.npz file that can be read"):
        read_npz(tmp_path / "d.npz")
    (tmp_path / "d.npz").write_bytes(content.replace(content[2000:2010], b"0123456789"))
    with pytest.raises(AtollError, match=r"d\.npz is damaged in x\.npy \(Bad CRC"):
        open_data(DataSource(tmp_path / "d.npz"), tmp_path / "cache")
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x.npy", b"no array")
    with pytest.raises(AtollError, match=r"is no \.npz file"):
        read_npz(tmp_path / "d.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"classes": np.array(["a", "b"])}, "has no inputs"),
        ({"x_1": X, "x_3": X, "y": Y}, "has inputs for train that are numbered otherwise"),
        ({"x_2": X, "x_3": X, "y": Y}, "has inputs for train that are numbered otherwise"),
    ],
)
def test_inputs_that_are_missing_or_numbered_oddly_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(AtollError, match=message):
        read_npz(tmp_path / "d.npz")


def test_labels_that_no_memory_holds_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atoll.evaluators.sources.npz_file._LARGEST_WHOLE", Y.nbytes - 1)
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    with pytest.raises(AtollError, match=rf"y\.npy is larger than {Y.nbytes - 1:,} bytes"):
        read_npz(tmp_path / "d.npz")


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((6, 2**32, 2**32), r"y\.npy has 18,446,744,073,709,551,616 bytes a row, allowed are"),
        ((6, 2**63 - 1, 4), r"y\.npy has 36,893,488,147,419,103,228 bytes a row, allowed are"),
        ((-6,), r"y\.npy has the shape \(-6,\), allowed are axes of 0 or more"),
        ((6, -3, -8), r"y\.npy has the shape \(6, -3, -8\), allowed are axes of 0 or more"),
    ],
)
def test_a_shape_that_no_number_holds_is_refused(tmp_path: Path, shape: tuple[int, ...], said: str) -> None:
    """Multiplied in 64 bits the first two are 0 and below 0 bytes: all that lies there would be read."""
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    np.savez(tmp_path / "d.npz", x=X)
    with zipfile.ZipFile(tmp_path / "d.npz", "a") as archive:
        archive.writestr("y.npy", b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(60))
    with pytest.raises(AtollError, match=said):
        read_npz(tmp_path / "d.npz")
