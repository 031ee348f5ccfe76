"""The contract of every data set; splits check their tensors; scaling hits its ends."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from atoll.evaluators.datasets.characters import CLASSES, load_characters, render_table
from atoll.evaluators.datasets.dataset import Dataset, ImagesInMemory, Split
from atoll.evaluators.datasets.digits import load_digits
from atoll.evaluators.datasets.parquet_file import read_parquet, write_parquet
from atoll.evaluators.datasets.small_characters import load_small_characters
from atoll.evaluators.sources.data_source import DataSource
from atoll.evaluators.sources.open_data import open_data
from atoll.evaluators.tasks.digits import DIGITS
from atoll.spaces.errors import AtollError
from PIL import Image


def split_of(count: int, seed: int, shape: tuple[int, ...] = (1, 4, 6)) -> Split:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, *shape), generator=generator).to(torch.uint8)
    return Split(images, torch.arange(count) % 3)


def in_memory(**other: Any) -> ImagesInMemory:
    chosen = {"train": split_of(9, 0), "validation": split_of(6, 1), "test": split_of(3, 2), **other}
    return ImagesInMemory(name="made up", class_names=("a", "b", "c"), version="1", **chosen)


def parquet() -> Dataset:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.parquet"
        write_parquet(path, render_table((("train", 1), ("validation", 1), ("test", 1))))
        return read_parquet(path, "characters", tuple(CLASSES), "v")


def made_up_pixels() -> tuple[np.ndarray, np.ndarray]:
    """Sixty pictures (6, 5, 3) in three classes."""
    return np.random.default_rng(0).integers(0, 256, (60, 6, 5, 3), np.uint8), np.arange(60) % 3


def opened(write: Callable[[Path], Any]) -> Dataset:
    """Opens what was written to a folder, which is gone afterwards: what is mapped stays."""
    with tempfile.TemporaryDirectory() as folder:
        where = write(Path(folder))
        return open_data(DataSource(Path(folder) if where is None else where), Path(folder) / "cache")


def folder_of_pictures(folder: Path) -> None:
    for number, (pixels, label) in enumerate(zip(*made_up_pixels(), strict=True)):
        place = folder / ("train", "val", "test")[number % 7 % 3] / f"class {label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number}.png")


def npz(folder: Path) -> Path:
    np.savez_compressed(folder / "made.npz", x=made_up_pixels()[0], y=made_up_pixels()[1])
    return folder / "made.npz"


def signals_in_parquet(folder: Path) -> Path:
    values = np.random.default_rng(0).normal(size=(60, 4, 9)).astype(np.float32)
    labels = ["ab"[row % 2] for row in range(60)]
    pq.write_table(pa.table({"x": values.tolist(), "label": labels}), folder / "train.parquet")
    return folder / "train.parquet"


def cifar(folder: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (6, 20, 3073), np.uint8)
    rows[:, :, 0] = np.arange(20) % 10
    for name, batch in zip([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"], rows, strict=True):
        batch.tofile(folder / f"{name}.bin")


def map_style(_: Path) -> Callable[[], Any]:
    pixels, labels = made_up_pixels()
    return lambda: [(torch.from_numpy(one), int(label)) for one, label in zip(pixels, labels, strict=True)]


# Whatever gives a data set stands here; characters render for minutes where they are not in the cache.
DATASETS: dict[str, Callable[[], Dataset]] = {
    "in memory": in_memory,
    "digits": load_digits,
    "parquet": parquet,
    "folder of pictures": lambda: opened(folder_of_pictures),
    "npz": lambda: opened(npz),
    "signals in parquet": lambda: opened(signals_in_parquet),
    "CIFAR": lambda: opened(cifar),
    "function": lambda: opened(map_style),
    "characters": load_characters,
    "small characters": load_small_characters,
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[pytest.mark.slow] * ("characters" in name)) for name in DATASETS],
)
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return DATASETS[request.param]()


def splits(dataset: Dataset) -> tuple[Split, Split, Split]:
    return dataset.train, dataset.validation, dataset.test


def test_all_images_have_the_stated_shape_and_no_split_is_empty(dataset: Dataset) -> None:
    assert {tuple(split.images.shape[1:]) for split in splits(dataset)} == {dataset.input_shape}
    assert all(len(split) >= 1 for split in splits(dataset))


def test_every_label_is_a_class_and_every_class_is_learnt(dataset: Dataset) -> None:
    known = set(range(len(dataset.class_names)))
    assert all(set(split.labels.tolist()) <= known for split in splits(dataset))
    assert set(dataset.train.labels.tolist()) == known
    assert len(set(dataset.class_names)) == len(known)


def test_no_image_is_in_two_splits(dataset: Dataset) -> None:
    found = [{bytes(image.numpy()) for image in split.images} for split in splits(dataset)]
    assert not (found[0] & found[1] or found[0] & found[2] or found[1] & found[2])


def test_asked_again_it_gives_the_same(dataset: Dataset) -> None:
    for first, second in zip(splits(dataset), splits(dataset), strict=True):
        assert torch.equal(first.images, second.images)
        assert torch.equal(first.labels, second.labels)
    assert dataset.name and dataset.version and dataset.version == dataset.version


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_a_split_without_images_is_refused(name: str) -> None:
    with pytest.raises(AtollError, match=f"data 'made up', {name} split: got no images, allowed is one"):
        in_memory(**{name: split_of(0, 0)})


@pytest.mark.parametrize("name", ["validation", "test"])
def test_a_split_of_another_shape_is_refused(name: str) -> None:
    said = rf"{name} split: got images of \(1, 6, 4\), allowed are those of train, \(1, 4, 6\)"
    with pytest.raises(AtollError, match=said):
        in_memory(**{name: split_of(3, 0, (1, 6, 4))})


@pytest.mark.parametrize(("label", "said"), [(3, "0 to 3"), (-1, "-1 to 2")])
def test_a_label_of_no_class_is_refused(label: int, said: str) -> None:
    wrong = split_of(6, 1)
    wrong.labels[0] = label
    wrong.labels[1:3] = torch.tensor([0, 2])
    with pytest.raises(
        AtollError, match=f"validation split: got labels {said}, allowed are 0 to 2, one a class"
    ):
        in_memory(validation=wrong)


def test_data_that_do_not_fit_the_network_are_refused_before_training() -> None:
    said = r"data 'made up' have images of \(1, 4, 6\) in 3 classes, allowed .* \(1, 32, 32\) and 10"
    with pytest.raises(AtollError, match=said):
        replace(DIGITS, load_dataset=in_memory).dataset()


def test_images_must_be_of_a_stored_type() -> None:
    with pytest.raises(AtollError, match=r"images are torch.float64 \(2, 1, 4, 4\); needed: uint8, int16 or"):
        Split(torch.zeros(2, 1, 4, 4, dtype=torch.float64), torch.zeros(2, dtype=torch.int64))


def test_labels_must_match_the_images() -> None:
    with pytest.raises(
        AtollError,
        match=r"labels are torch.int64 \(3,\); needed: int64 classes or float32 targets, 2 of them",
    ):
        Split(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))
