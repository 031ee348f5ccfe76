"""The rendered data set: its Parquet file, its splits, what invalidates it."""

from pathlib import Path

import pytest
import torch
from atoll.evaluators.datasets import characters
from atoll.evaluators.datasets.characters import (
    CLASSES,
    IMAGES_PER_CLASS,
    dataset_version,
    render_image,
    render_table,
)
from atoll.evaluators.datasets.dataset import Dataset
from atoll.evaluators.datasets.parquet_file import read_parquet, write_parquet
from atoll.spaces.errors import AtollError

TINY = (("train", 2), ("validation", 1), ("test", 1))


def read(path: Path) -> Dataset:
    return read_parquet(path, "characters", tuple(CLASSES), "v")


def test_parquet_gives_back_what_was_rendered(tmp_path: Path) -> None:
    path = tmp_path / "new" / "tiny.parquet"
    write_parquet(path, render_table(TINY))
    dataset = read(path)
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [70, 35, 35]
    assert dataset.input_shape == (3, 64, 64) and dataset.version == "v"
    for name, split, row, index in [("train", dataset.train, 35 + 7, 1), ("test", dataset.test, 34, 0)]:
        label = int(split.labels[row])
        expected = torch.from_numpy(render_image(name, label, index)).permute(2, 0, 1)
        assert torch.equal(split.images[row], expected)
    assert [file.name for file in path.parent.iterdir()] == ["tiny.parquet"]  # nothing half-written is left


def test_every_class_has_its_share(tmp_path: Path) -> None:
    write_parquet(tmp_path / "tiny.parquet", render_table(TINY))
    dataset = read(tmp_path / "tiny.parquet")
    for split, (_, count) in zip((dataset.train, dataset.validation, dataset.test), TINY, strict=True):
        assert torch.bincount(split.labels, minlength=len(CLASSES)).tolist() == [count] * 35


def test_sizes_are_the_papers() -> None:
    assert {name: 35 * count for name, count in IMAGES_PER_CLASS} == {
        "train": 5950,
        "validation": 1050,
        "test": 1750,
    }


def test_rendering_happens_once_and_is_announced_on_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(characters, "IMAGES_PER_CLASS", TINY)
    load = characters.load_characters.__wrapped__  # without the memory of the process
    first = load()
    printed = capsys.readouterr()
    assert "rendering 140 characters, once" in printed.err and printed.out == ""
    monkeypatch.setattr(characters, "render_table", None)
    second = load()
    assert torch.equal(first.train.images, second.train.images)
    assert first.version == second.version == dataset_version()


def test_version_follows_fonts_and_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    version = dataset_version()
    assert version == dataset_version() and len(version) == 16
    monkeypatch.setattr(characters, "fonts_digest", lambda: "other fonts")
    other_fonts = dataset_version()
    monkeypatch.setattr(characters, "package_version", lambda _: "0.0")
    assert len({version, other_fonts, dataset_version()}) == 3


def test_a_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(AtollError, match=r"cannot read .*bad\.parquet.*delete it and it is rendered again"):
        read(tmp_path / "bad.parquet")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AtollError, match=r"cannot write the rendered characters to .*ATOLL_CACHE"):
        write_parquet(tmp_path / "file" / "tiny.parquet", iter([]))
