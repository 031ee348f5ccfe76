"""CIFAR's published files: every picture at its place, from the binary files and from those for Python."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from atoll.evaluators.datasets.mapped_dataset import MappedDataset
from atoll.evaluators.sources.cifar import Cifar, is_cifar
from atoll.evaluators.sources.data_source import DataSource
from atoll.evaluators.sources.open_data import open_data
from atoll.spaces.errors import AtollError

NAMES = "airplane automobile bird cat deer dog frog horse ship truck".split()  # noqa: SIM905
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 20, 3072), np.uint8)
LABELS = np.arange(120).reshape(6, 20) % 10
FILES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def binary_10(folder: Path) -> None:
    for name, labels, pixels in zip(FILES, LABELS, PIXELS, strict=True):
        rows = np.concatenate([labels[:, None].astype(np.uint8), pixels], 1)
        rows.tofile(folder / f"{name}.bin")
    (folder / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")


def python_10(folder: Path) -> None:
    for name, labels, pixels in zip(FILES, LABELS, PIXELS, strict=True):
        write(folder / name, {"data": pixels, "labels": labels.tolist(), "batch_label": "b"})
    write(folder / "batches.meta", {"label_names": NAMES, "num_vis": 3072})


def binary_100(folder: Path) -> None:
    for name, part in (("train", slice(0, 5)), ("test", slice(5, 6))):
        labels, pixels = LABELS[part].reshape(-1, 1).astype(np.uint8), PIXELS[part].reshape(-1, 3072)
        np.concatenate([labels // 5, labels, pixels], 1).tofile(folder / f"{name}.bin")
    (folder / "fine_label_names.txt").write_text("\n".join(NAMES))


def python_100(folder: Path) -> None:
    for name, part in (("train", slice(0, 5)), ("test", slice(5, 6))):
        fine = LABELS[part].reshape(-1)
        content = {"data": PIXELS[part].reshape(-1, 3072), "fine_labels": fine.tolist()}
        write(folder / name, {**content, "coarse_labels": (fine // 5).tolist()})
    write(folder / "meta", {"fine_label_names": NAMES, "coarse_label_names": ["a", "b"]})


def write(path: Path, value: Any) -> None:
    path.write_bytes(pickle.dumps(value, 2))


@pytest.fixture(params=[binary_10, python_10, binary_100, python_100])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "cifar").mkdir()
    request.param(tmp_path / "cifar")
    return tmp_path / "cifar"


def opened(folder: Path) -> MappedDataset:
    return open_data(DataSource(folder), folder.parent / "cache")


def test_every_picture_keeps_label_and_split(folder: Path) -> None:
    assert is_cifar(folder)
    data = opened(folder)
    assert data.class_names == tuple(NAMES) and data.input_shape == (3, 32, 32)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [82, 18, 20]
    known = {
        bytes(pixels): label
        for pixels, label in zip(PIXELS.reshape(-1, 3072), LABELS.reshape(-1), strict=True)
    }
    for split in (data.train, data.validation, data.test):
        for image, label in zip(split.images.numpy(), split.labels.tolist(), strict=True):
            assert known.pop(image.tobytes()) == label
    assert not known
    assert {bytes(image.numpy()) for image in data.test.images} == {bytes(pixels) for pixels in PIXELS[5]}


def test_without_their_names_classes_are_numbers(tmp_path: Path) -> None:
    binary_10(tmp_path)
    (tmp_path / "batches.meta.txt").unlink()
    assert Cifar(tmp_path).class_names == tuple("0123456789")


def test_a_cut_binary_file_is_named(tmp_path: Path) -> None:
    binary_10(tmp_path)
    path = tmp_path / "data_batch_3.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        AtollError, match=r"data_batch_3.bin has 61,459 bytes, allowed is a multiple of 3,073"
    ):
        opened(tmp_path)


def test_a_missing_batch_is_named(tmp_path: Path) -> None:
    python_10(tmp_path)
    (tmp_path / "data_batch_2").unlink()
    with pytest.raises(AtollError, match=r"data_batch_2 cannot be read \(No such file"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"data": PIXELS[0], "labels": [1]}, "holds no `data`"),
        ({"data": PIXELS[0][:, :99], "labels": LABELS[0].tolist()}, "holds no `data`"),
        ({"data": PIXELS[0], "labels": ["a"] * 20}, "holds no `data`"),
        ([1, 2], "holds no `data`"),
        (Path("x"), r"data_batch_1 calls pathlib\.PosixPath, allowed are dictionaries"),
    ],
)
def test_another_pickle_is_refused(value: Any, said: str, tmp_path: Path) -> None:
    python_10(tmp_path)
    write(tmp_path / "data_batch_1", value)
    with pytest.raises(AtollError, match=said):
        opened(tmp_path)
