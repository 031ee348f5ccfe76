"""The rendered data set: its Parquet file, its splits, what invalidates it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
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
from atoll.evaluators.datasets.render import SIDE
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


def test_any_byte_of_the_file_flipped_is_the_same_data_or_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "three.parquet"
    splits = ("train", "validation", "test")
    pixels = torch.arange(SIDE * SIDE * 3, dtype=torch.uint8).numpy().tobytes()
    write_parquet(path, iter([{"split": name, "label": n, "image": pixels} for n, name in enumerate(splits)]))
    content, whole = path.read_bytes(), read(path)
    found_out = 0
    for place in range(0, len(content), 11):
        flipped = content[place] ^ 1 << place % 8
        path.write_bytes(content[:place] + bytes([flipped]) + content[place + 1 :])
        try:
            again = read(path)
        except AtollError as error:
            found_out += 1
            assert "\n" not in str(error) and "delete it and it is rendered again" in str(error)
            continue
        for name in splits:
            before, after = getattr(whole, name), getattr(again, name)
            assert torch.equal(before.images, after.images) and torch.equal(before.labels, after.labels)
    assert found_out > 0


def test_another_label_is_found_out_by_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "tiny.parquet"
    write_parquet(path, render_table(TINY))
    table = pq.read_table(path)
    labels = table["label"].to_pylist()
    labels[3] += 1
    pq.write_table(table.set_column(1, "label", pa.array(labels, pa.int64())), path)
    with pytest.raises(AtollError, match=r"tiny\.parquet is damaged .* rendered again"):
        read(path)
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    assert len(read(path).test) == 35, "a file of before has no digest"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AtollError, match=r"cannot write the rendered characters to .*ATOLL_CACHE"):
        write_parquet(tmp_path / "file" / "tiny.parquet", iter([]))
