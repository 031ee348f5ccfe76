"""Folders of pictures: classes in the order of torchvision, splits by folders, and whatever lies around."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from atoll.evaluators.datasets.mapped_dataset import MappedDataset
from atoll.evaluators.sources.data_source import DataSource
from atoll.evaluators.sources.image_folder import ImageFolder
from atoll.evaluators.sources.open_data import open_data
from atoll.spaces.errors import AtollError
from PIL import Image

Open = Callable[..., MappedDataset]


def put(path: Path, seed: int = 0, size: tuple[int, int] = (6, 8), mode: str = "RGB") -> np.ndarray:
    """Draws a picture of (height, width) and returns its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = size if mode == "L" else (*size, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of six pictures."""
    for number in range(18):
        put(tmp_path / "parts" / ("b", "a", "10")[number % 3] / f"{number}.png", number)
    return tmp_path / "parts"


@pytest.fixture
def opened(folder: Path, tmp_path: Path) -> Open:
    return lambda **settings: open_data(DataSource(folder, **settings), tmp_path / "cache")


def test_every_pixel_and_label_arrives(folder: Path, opened: Open) -> None:
    data = opened()
    assert data.class_names == ("10", "a", "b") and data.input_shape == (3, 6, 8)
    found = {
        (bytes(image.numpy().transpose(1, 2, 0)), data.class_names[label])
        for split in (data.train, data.validation, data.test)
        for image, label in zip(split.images, split.labels.tolist(), strict=True)
    }
    assert found == {
        (np.asarray(Image.open(path)).tobytes(), path.parent.name) for path in folder.glob("*/*.png")
    }
    assert [len(split) for split in (data.train, data.validation, data.test)] == [12, 3, 3]
    assert data.report.images == {"train": 12, "validation": 3, "test": 3}
    assert data.report.per_class["validation"] == (1, 1, 1)


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val"])
def test_folders_of_splits_are_kept(name: str, tmp_path: Path) -> None:
    count = 0
    for split in ("train", name, "test"):
        for label in "xyz":
            for _ in range({"train": 3, "test": 1}.get(split, 2)):
                put(tmp_path / "d" / split / label / f"{count}.png", count := count + 1)
    put(tmp_path / "d" / "labels" / "x" / "1.png")
    data = open_data(DataSource(tmp_path / "d"), tmp_path / "cache")
    assert [len(split) for split in (data.train, data.validation, data.test)] == [9, 6, 3]
    assert data.class_names == ("x", "y", "z")
    assert any("labels" in remark for remark in data.report.remarks)
    assert not any("cut out of train" in remark for remark in data.report.remarks)


def test_a_missing_split_is_cut_out_of_train_and_said(tmp_path: Path) -> None:
    for number in range(40):
        put(tmp_path / "d" / "train" / "ab"[number % 2] / f"{number}.png", number)
    for number in range(6):
        put(tmp_path / "d" / "test" / "ab"[number % 2] / f"{number}.png", 100 + number)
    data = open_data(DataSource(tmp_path / "d"), tmp_path / "cache")
    # 15 of 85 of 40 validate
    assert [len(split) for split in (data.train, data.validation, data.test)] == [33, 7, 6]
    assert (
        "validation cut out of train (70/15/15 %, seed 0, each class in the same shares)"
        in data.report.remarks
    )


def test_hidden_and_other_files_links_and_folders_below_are_understood(folder: Path, opened: Open) -> None:
    (folder / "a" / ".hidden.png").write_bytes(b"no picture")
    (folder / "a" / "notes.txt").write_text("no picture")
    (folder / ".git").mkdir()
    (folder / "__MACOSX" / "a").mkdir(parents=True)
    put(folder / "a" / "below" / "deeper" / "more.PNG", 50)
    elsewhere = folder.parent / "elsewhere.png"
    put(elsewhere, 51)
    (folder / "b" / "link.png").symlink_to(elsewhere)
    (folder / "b" / "round").symlink_to(folder / "b")  # a link to itself goes nowhere
    data = opened()
    assert data.class_names == ("10", "a", "b")
    assert sum(data.report.images.values()) == 20
    assert [remark for remark in data.report.remarks if "no pictures" in remark] == [
        f"1 files or folders are no pictures: {folder / 'a' / 'notes.txt'}"
    ]


def test_names_in_any_script_and_form(tmp_path: Path) -> None:
    names = ["Schraube ü", "螺丝", "винт", "مسمار", "🔩", "a\nb"]
    for split in ("train", "test"):
        for number, name in enumerate(names):
            # a copy by another system may have decomposed the letters of test
            stored = name.replace("ü", "u\u0308") if split == "test" else name
            for picture in range(4):
                put(
                    tmp_path / "d" / split / stored / f"图 {picture}.png",
                    100 * number + 10 * picture + len(split),
                )
    (tmp_path / "d" / "train" / os.fsdecode(b"caf\xe9")).mkdir()  # Latin-1, no UTF-8
    put(tmp_path / "d" / "train" / os.fsdecode(b"caf\xe9") / os.fsdecode(b"\xe9.png"), 9)
    data = open_data(DataSource(tmp_path / "d"), tmp_path / "cache")
    assert set(data.class_names) == {*(name.replace("\n", "\\n") for name in names), "caf\\udce9"}


def test_told_names_give_the_order(opened: Open, folder: Path) -> None:
    data = opened(classes=("b", "unseen", "10", "a"))
    assert data.class_names == ("b", "unseen", "10", "a")
    assert data.report.empty_classes == ("unseen",)
    labels = {
        bytes(image.numpy()): int(label)
        for split in (data.train, data.validation, data.test)
        for image, label in zip(split.images, split.labels, strict=True)
    }
    for path in folder.glob("*/*.png"):
        pixels = np.asarray(Image.open(path)).transpose(2, 0, 1)
        assert data.class_names[labels[pixels.tobytes()]] == path.parent.name


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (("a", "b"), r"has the classes 10, allowed are those that `classes` names: a, b$"),
        (7, r"has 3 classes \(10, a, b\), allowed are the 7 that `classes` says: give their names"),
    ],
)
def test_classes_that_the_weights_do_not_know_are_refused(classes: Any, said: str, opened: Open) -> None:
    with pytest.raises(AtollError, match=said):
        opened(classes=classes)


def test_classes_are_no_numbers(opened: Open) -> None:
    with pytest.raises(
        AtollError, match=r"has classes \(10, a, b, …\), allowed for a regression are labels that"
    ):
        opened(regression=True)


def test_an_empty_class_counts_and_is_said(folder: Path, opened: Open) -> None:
    (folder / "c").mkdir()
    data = opened()
    assert data.class_names == ("10", "a", "b", "c") and data.report.empty_classes == ("c",)
    assert "classes without an image in train: c" in data.report.lines()


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AtollError, match="has no folders in it, allowed is a folder a class, such as"):
        put(tmp_path / "d" / "1.png")
        ImageFolder(tmp_path / "d")
    (tmp_path / "d" / "one").mkdir()
    with pytest.raises(AtollError, match="hold no pictures"):
        ImageFolder(tmp_path / "d")
    put(tmp_path / "d" / "one" / "1.png")
    with pytest.raises(AtollError, match="holds one class, one, allowed are two or more"):
        ImageFolder(tmp_path / "d")


def test_two_folders_of_one_split_are_refused(tmp_path: Path) -> None:
    for split in ("train", "val", "valid"):
        put(tmp_path / "d" / split / "a" / "1.png")
    with pytest.raises(AtollError, match="has train, val, valid, allowed is one folder a split"):
        ImageFolder(tmp_path / "d")


def test_three_pictures_are_too_few_of_three_classes_and_enough_of_splits(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "val", "test")):
        put(tmp_path / "given" / split / "a" / "1.png", number)
        put(tmp_path / "made" / "abc"[number] / "1.png", number)
        put(tmp_path / "given" / "train" / "b" / "1.png", 9)
    data = open_data(DataSource(tmp_path / "given"), tmp_path / "cache")
    assert [len(split) for split in (data.train, data.validation, data.test)] == [2, 1, 1]
    with pytest.raises(
        AtollError, match="of 3 items none are left for validation and test; allowed are three or"
    ):
        open_data(DataSource(tmp_path / "made"), tmp_path / "cache")
