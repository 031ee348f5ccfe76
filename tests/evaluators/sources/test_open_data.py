"""Data are decoded once, by one process, atomically; what is wrong is one sentence and leaves nothing."""

import json
import multiprocessing
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from atoll.evaluators.datasets.mapped_dataset import check_decoded, open_decoded
from atoll.evaluators.sources import decode
from atoll.evaluators.sources import open_data as module
from atoll.evaluators.sources.data_source import DataSource
from atoll.evaluators.sources.decode import Progress
from atoll.evaluators.sources.open_data import open_data, open_sample
from atoll.spaces.errors import AtollError, MachineError
from PIL import Image


def put(path: Path, seed: int, shape: tuple[int, ...] = (6, 8, 3)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty pictures in three classes."""
    for number in range(30):
        put(tmp_path / "d" / "abc"[number % 3] / f"{number:02}.png", number)
    return tmp_path / "d"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def left_over(cache: Path) -> list[str]:
    return [path.name for path in (cache / "data").glob("*") if not path.name.endswith(".lock")]


def test_opened_again_nothing_is_decoded(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Progress] = []
    first = open_data(DataSource(folder), cache, told.append)
    assert told[-1] == Progress(30, 30, 0.0)
    monkeypatch.setattr(module, "decode", None)
    again = open_data(DataSource(folder), cache)
    assert again.version == first.version and again.report == first.report and again.folder == first.folder
    assert len(left_over(cache)) == 1


def test_a_sample_is_decoded_unless_all_are_there(folder: Path, cache: Path) -> None:
    source = DataSource(folder)
    sample = open_sample(source, cache, 6)
    # four of each of three classes: of fewer some split would get none
    assert sum(sample.report.images.values()) == 12 and min(sample.report.images.values()) >= 3
    assert len(list(cache.glob("data/*/data.json"))) == 1
    whole = open_data(source, cache)
    total = sum(whole.report.images.values())
    assert total == 30 and open_sample(source, cache, 6).folder == whole.folder
    assert open_sample(source, cache, total).folder == whole.folder, "few are decoded as a search does"


def test_progress_is_a_line() -> None:
    assert str(Progress(1_234, 200_000, 100.4)) == "decoded 1,234 of 200,000, 100 s left"
    assert str(Progress(1, 2, 3_700)) == "decoded 1 of 2, 62 min left"


def test_a_changed_file_or_setting_is_decoded_and_the_version_is_of_the_content(
    folder: Path, cache: Path
) -> None:
    first = open_data(DataSource(folder), cache)
    os.utime(folder / "a" / "00.png")
    touched = open_data(DataSource(folder), cache)
    assert touched.folder != first.folder and touched.version == first.version
    shutil.copytree(folder, folder.parent / "copy")
    assert open_data(DataSource(folder.parent / "copy"), cache).version == first.version
    versions = {first.version}
    for settings in ({"seed": 1}, {"size": (4, 4)}, {"channels": 1}, {"shares": (0.6, 0.2, 0.2)}):
        versions.add(open_data(DataSource(folder, **settings), cache).version)
    put(folder / "a" / "00.png", 99)
    versions.add(open_data(DataSource(folder), cache).version)
    os.rename(folder / "c", folder / "z")
    versions.add(open_data(DataSource(folder), cache).version)
    assert len(versions) == 7


def test_it_goes_to_another_process_by_its_folder(folder: Path, cache: Path) -> None:
    data = open_data(DataSource(folder), cache)
    shutil.rmtree(folder)  # the source is not asked
    sent = pickle.dumps(data)
    assert len(sent) < 1000
    again = pickle.loads(sent)
    assert again.version == data.version and bool((again.train.images == data.train.images).all())


def test_the_first_of_a_split_are_of_all_classes(folder: Path, cache: Path) -> None:
    assert set(open_data(DataSource(folder), cache).train.first(10).labels.tolist()) == {0, 1, 2}


def test_measured_scaling_is_that_of_train(folder: Path, cache: Path) -> None:
    data = open_data(DataSource(folder), cache)
    pixels = data.train.images.double()
    assert data.report.scaling.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist())
    assert data.report.scaling.std == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist())


def test_a_constant_channel_has_a_deviation(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(1e6, 1, (60, 2, 5)).astype(np.float32)
    x[:, 1] = 7
    data = open_data(DataSource(lambda: (x, np.arange(60) % 2)), tmp_path)
    held = data.train.images.double()[:, 0]
    assert data.report.scaling.mean == pytest.approx([held.mean().item(), 7])
    assert data.report.scaling.std == pytest.approx([held.std(correction=0).item(), 1.0])
    assert "1 channels hold one value only" in data.report.remarks


def test_what_cannot_be_read_ends_it_or_is_left_out_and_counted(folder: Path, cache: Path) -> None:
    (folder / "a" / "cut.png").write_bytes((folder / "a" / "00.png").read_bytes()[:-40])
    (folder / "b" / "link.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "c" / "pipe.png")
    with pytest.raises(
        AtollError, match=r"a/cut\.png cannot be decoded .*; mend it, or leave such ones out with `skip"
    ):
        open_data(DataSource(folder), cache)
    assert left_over(cache) == []
    data = open_data(DataSource(folder, skip_bad=True), cache)
    assert sum(data.report.images.values()) == 30 and data.report.skipped == 3
    reasons = {Path(name).name: why for name, why in data.report.skipped_names}
    assert reasons["link.png"] == "is a link to nowhere" and reasons["pipe.png"] == "is no regular file"
    assert any(line.startswith("3 could not be read and were left out: ") for line in data.report.lines())


def test_a_file_that_vanishes_is_named(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = module.find_reader

    def found(source: DataSource) -> Any:
        reader = find(source)
        (folder / "b" / "01.png").unlink()
        return reader

    monkeypatch.setattr(module, "find_reader", found)
    with pytest.raises(AtollError, match=r"b/01\.png is not there any more"):
        open_data(DataSource(folder), cache)


def test_uneven_sizes_are_refused_without_one_to_bring_them_to(folder: Path, cache: Path) -> None:
    put(folder / "c" / "wide.png", 50, (6, 20, 3))
    with pytest.raises(
        AtollError, match=r"wide\.png has uint8 \(3, 6, 20\), the first one uint8 \(3, 6, 8\): all must"
    ):
        open_data(DataSource(folder), cache)
    data = open_data(DataSource(folder, size=(5, 5)), cache)
    assert data.input_shape == (3, 5, 5) and data.report.sizes == {"6x8": 30, "6x20": 1}
    assert "sizes before resizing: 30 of 6x8, 1 of 6x20" in data.report.lines()


def test_grey_among_colour_is_said_and_colour_among_grey_refused(folder: Path, cache: Path) -> None:
    put(folder / "b" / "grey.png", 50, (6, 8))
    assert "1 pictures: grey ones made colour" in open_data(DataSource(folder), cache).report.remarks
    put(folder / "a" / "00.png", 51, (6, 8))
    with pytest.raises(
        AtollError, match=r"03\.png has uint8 \(3, 6, 8\), the first one uint8 \(1, 6, 8\).*channels"
    ):
        open_data(DataSource(folder), cache)


def test_twins_are_counted_and_stay_in_one_split(folder: Path, cache: Path) -> None:
    for number in range(0, 30, 2):
        shutil.copy(
            folder / "abc"[number % 3] / f"{number:02}.png", folder / "abc"[number % 3] / f"{number:02}x.png"
        )
    shutil.copy(folder / "a" / "03.png", folder / "b" / "wrong.png")
    data = open_data(DataSource(folder), cache)
    held = [
        {bytes(image.numpy()) for image in split.images} for split in (data.train, data.validation, data.test)
    ]
    assert not (held[0] & held[1] or held[0] & held[2] or held[1] & held[2])
    report = data.report
    assert (report.repeated, report.across_splits, report.contradicting) == (16, 0, 1)
    assert "1 images come again under another label" in report.lines()


def test_twins_across_given_splits_are_named(tmp_path: Path, cache: Path) -> None:
    for number in range(12):
        put(
            tmp_path / "d" / ("train", "val", "test")[number % 3] / "ab"[number // 3 % 2] / f"{number}.png",
            number,
        )
    shutil.copy(tmp_path / "d" / "train" / "a" / "0.png", tmp_path / "d" / "test" / "a" / "again.png")
    report = open_data(DataSource(tmp_path / "d"), cache).report
    first, again = (
        str(tmp_path / "d" / "train" / "a" / "0.png"),
        str(tmp_path / "d" / "test" / "a" / "again.png"),
    )
    assert report.across_splits == 1 and report.across_names in (((first, again),), ((again, first),))
    assert any(line.startswith("1 images are in two splits at once: ") for line in report.lines())


def test_a_full_disk_is_said_before_and_while_it_fills(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(decode.shutil, "disk_usage", lambda _: usage(10**9, 10**9, 8_000))
    with pytest.raises(
        MachineError, match=r"no room to decode 30 items: 0\.0 GB are needed in .*, 0\.0 are free"
    ):
        open_data(DataSource(folder), cache)
    assert left_over(cache) == []
    monkeypatch.undo()

    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))
    try:
        with pytest.raises(MachineError, match=r"cannot decode the data into .* \(File too large\)"):
            open_data(DataSource(folder), cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert left_over(cache) == []
    monkeypatch.setattr(module, "write_split", full)
    with pytest.raises(
        MachineError, match=r"cannot decode the data into .* \(the disk is full\); nothing half-written"
    ):
        open_data(DataSource(folder), cache)
    assert left_over(cache) == []


def test_a_cache_that_cannot_be_written_is_said(folder: Path, cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(MachineError, match="cannot decode the data into"):
        open_data(DataSource(folder), cache)


@pytest.mark.parametrize("damage", ["cut", "gone", "json", "format", "not described"])
def test_damaged_decoded_data_are_decoded_again(damage: str, folder: Path, cache: Path) -> None:
    data = open_data(DataSource(folder), cache)
    described = data.folder / "data.json"
    if damage == "cut":
        os.truncate(data.folder / "train.arrow", 1000)
    elif damage == "gone":
        (data.folder / "test.arrow").unlink()
    elif damage == "not described":
        described.unlink()
    elif damage == "json":
        described.write_text("{}")
    else:
        described.write_text(json.dumps({**json.loads(described.read_text()), "format": 0}))
    with pytest.raises(AtollError, match=r"delete .*, and the data are decoded again"):
        open_decoded(data.folder)
    assert open_data(DataSource(folder), cache).version == data.version


@pytest.mark.parametrize("file", ["train.arrow", "test.arrow", "data.json"])
def test_any_byte_flipped_is_the_same_data_or_one_sentence(file: str, folder: Path, cache: Path) -> None:
    data = open_data(DataSource(folder), cache)
    check_decoded(data)
    path = data.folder / file
    content, found_out = path.read_bytes(), 0
    # every tenth number of the file, and each of its last, where Arrow keeps what it finds columns by
    for place in [*range(0, len(content), 1 + len(content) // 60), *range(len(content) - 40, len(content))]:
        flipped = content[place] ^ 1 << place % 8
        path.unlink()  # the first mapping keeps its bytes
        path.write_bytes(content[:place] + bytes([flipped]) + content[place + 1 :])
        try:
            again = open_decoded(data.folder)
            check_decoded(again)
        except AtollError as error:
            found_out += 1
            assert "\n" not in str(error) and "decoded again" in str(error)
            continue
        assert (again.name, again.class_names, again.version) == (data.name, data.class_names, data.version)
        assert again.report == data.report
        for before, after in ((data.train, again.train), (data.test, again.test)):
            assert torch.equal(before.images, after.images) and torch.equal(before.labels, after.labels)
    assert found_out > 0


def test_what_was_decoded_before_descriptions_were_sealed_opens(folder: Path, cache: Path) -> None:
    data = open_data(DataSource(folder), cache)
    described = json.loads((data.folder / "data.json").read_text())
    assert described.pop("sha256")
    (data.folder / "data.json").write_text(json.dumps(described))
    check_decoded(open_decoded(data.folder))


def test_nothing_there_or_nothing_that_is_read(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(
        AtollError, match=r"none is not there; allowed are a folder of pictures by class, the folder of"
    ):
        open_data(DataSource(tmp_path / "none"), cache)
    (tmp_path / "d.csv").write_text("a,b")
    with pytest.raises(AtollError, match=r"d\.csv is in no format that is read; allowed are"):
        open_data(DataSource(tmp_path / "d.csv"), cache)


def _open(folder: Path, cache: Path, answers: Any) -> None:
    told: list[Progress] = []
    data = open_data(DataSource(folder), cache, told.append)
    answers.put((data.version, bool(told)))


@pytest.mark.slow
def test_of_two_processes_one_decodes_and_a_killed_one_leaves_nothing(folder: Path, cache: Path) -> None:
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    both = [context.Process(target=_open, args=(folder, cache, answers)) for _ in range(3)]
    for process in both:
        process.start()
    found = [answers.get(timeout=60) for _ in both]
    assert len({version for version, _ in found}) == 1 and sum(decoded for _, decoded in found) == 1
    assert len(left_over(cache)) == 1
    shutil.rmtree(cache)

    def hang(*_: Any) -> None:
        time.sleep(600)

    killed = context.Process(target=lambda: open_data(DataSource(folder), cache, hang))
    killed.start()
    deadline = time.monotonic() + 30
    while not list((cache / "data").glob("*.partial/images.raw")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(killed.pid or 0, signal.SIGKILL)
    killed.join()
    assert any(name.endswith(".partial") for name in left_over(cache))
    assert open_data(DataSource(folder), cache).version == found[0][0]
    assert len(left_over(cache)) == 1


def test_a_source_is_plain_json() -> None:
    source = DataSource(Path("data/parts"), (96, 96), 3, ("a", "b"), seed=3, group="owner", skip_bad=True)
    assert DataSource.from_json(json.loads(json.dumps(source.to_json()))) == source
    own = replace(source, where=left_over)
    written = json.loads(json.dumps(own.to_json()))
    assert written["where"].endswith(":left_over")
    assert DataSource.from_json(written, left_over) == own


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": (0, 3)}, r"size is \(0, 3\), allowed: height and width, or a length"),
        ({"size": (1, 2, 3)}, "allowed: height and width"),
        ({"channels": 0}, "channels is 0, allowed: a whole number from 1"),
        ({"classes": ("a", "a")}, "allowed: how many there are, or the name of each, no name twice"),
        ({"classes": 0}, "classes is 0, allowed: 1 to 100,000"),
        ({"shares": (0.5, 0.5, 0.5)}, "allowed: those of train, validation and test, above 0, which make 1"),
        ({"shares": (1.0, 0.0, 0.0)}, "which make 1"),
        ({"shares": 3}, "which make 1"),
        ({"size": 3}, "size is 3, allowed: height and width"),
        ({"classes": "ab"}, "classes is ab, allowed: how many there are, or their names"),
        ({"seed": -1}, r"seed is -1, allowed: a whole number from 0 to 2\^63 - 1"),
        ({"seed": 1.5}, "seed is 1.5, allowed: a whole number"),
        ({"skip_bad": "no"}, "skip_bad is no, allowed: true or false"),
        ({"group": 3}, "group is 3, allowed: the name of a column"),
        ({"at_most": 0}, "at_most is 0, allowed: a whole number"),
    ],
)
def test_settings_out_of_range_are_refused(settings: Any, said: str) -> None:
    with pytest.raises(AtollError, match=said):
        DataSource(Path("d"), **settings)


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(AtollError, match="allowed are the keys at_most, channels, classes"):
        DataSource.from_json({"where": "d", "colour": 3})


def test_arrays_need_no_pillow_and_pictures_say_so(folder: Path, cache: Path) -> None:
    def without_pillow() -> Any:
        x = np.arange(60 * 4, dtype=np.float32).reshape(60, 4)
        return x, np.arange(60) % 2

    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in sys.modules if name.split(".")[0] == "PIL"]:
            patch.delitem(sys.modules, name)
        finder = type("Finder", (), {"find_spec": staticmethod(_no_pillow)})
        patch.setattr(sys, "meta_path", [finder, *sys.meta_path])
        assert len(open_data(DataSource(without_pillow), cache).train) == 42
        with pytest.raises(
            AtollError, match="pictures are decoded by Pillow, which is not installed: pip install"
        ):
            open_data(DataSource(folder), cache)


def _no_pillow(name: str, *_: Any) -> None:
    if name == "PIL":
        raise ModuleNotFoundError("No module named 'PIL'", name="PIL")


# In a process of its own: what other tests' freed memory takes back or gives away is not counted.
READING = """
import sys
from pathlib import Path
import torch
from atoll.evaluators.sources.data_source import DataSource
from atoll.evaluators.sources.open_data import open_data

def anonymous_bytes():
    (line,) = [s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("RssAnon")]
    return int(line.split()[1]) * 1024

before = anonymous_bytes()
data = open_data(DataSource(Path(sys.argv[1])), Path(sys.argv[2]))
decoded = anonymous_bytes()
for rows in torch.randperm(len(data.train)).split(64):
    data.train.images[rows].float().mean()
print(decoded - before, anonymous_bytes() - before, data.train.images.nbytes + data.test.images.nbytes)
"""


@pytest.mark.slow
def test_reading_at_random_takes_no_anonymous_memory(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (4_000, 3, 96, 96), np.uint8)  # 110 MB
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(4_000) % 4)
    ended = subprocess.run(
        [sys.executable, "-c", READING, tmp_path / "d.npz", tmp_path / "cache"],
        capture_output=True,
        text=True,
        check=True,
    )
    decoding, reading, images = map(int, ended.stdout.split())
    assert decoding < 60e6 and reading < 60e6 and images > 90e6
