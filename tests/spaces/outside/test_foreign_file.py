"""What somebody else wrote is read within bounds: regular files of the folder, numbers of a sane size."""

import hashlib
import json
import os
import tracemalloc
from pathlib import Path

import pytest
from atoll.spaces.errors import AtollError
from atoll.spaces.outside.foreign_file import damage_told, inside, read_bytes, read_json, sha256_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("outside")
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    (tmp_path / "in" / "file").write_bytes(b"content")
    (tmp_path / "in" / "deeper" / "file").write_bytes(b"deep")
    return tmp_path / "in"


@pytest.mark.parametrize("name", ["file", "deeper/file", "./file", "link"])
def test_a_file_of_the_folder_is_found(folder: Path, name: str) -> None:
    (folder / "link").symlink_to("deeper/file")
    assert inside(folder, name).read_bytes() in (b"content", b"deep")


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "deeper/../../secret", "link", "linked/secret", "", None, 3, ["file"],
     "a\0b", "pipe", "deeper/.."],
)  # fmt: skip
def test_no_name_leads_out_of_the_folder_or_to_a_pipe(folder: Path, name: object) -> None:
    (folder / "link").symlink_to("../secret")
    (folder / "linked").symlink_to("..")
    os.mkfifo(folder / "pipe")
    with pytest.raises(AtollError, match="allowed is "):
        inside(folder, name)


def test_a_folder_and_a_file_that_is_not_there_are_the_system_s_errors(folder: Path) -> None:
    for name, error in (("deeper", IsADirectoryError), ("none", FileNotFoundError)):
        with pytest.raises(error):
            inside(folder, name)


def test_a_file_is_read_up_to_the_bound(folder: Path) -> None:
    assert read_bytes(folder / "file", 7) == b"content"
    assert sha256_of(folder / "file") == hashlib.sha256(b"content").hexdigest()
    with pytest.raises(AtollError, match="has 7 bytes, allowed are 6 at most"):
        read_bytes(folder / "file", 6)


@pytest.mark.parametrize("read", [read_bytes, sha256_of, read_json])
def test_a_file_of_holes_a_device_and_a_pipe_take_no_memory_and_end(folder: Path, read) -> None:  # type: ignore[no-untyped-def]
    os.truncate(folder / "file", 2**42)
    os.mkfifo(folder / "pipe")
    tracemalloc.start()
    for path in (folder / "file", Path("/dev/zero"), folder / "pipe"):
        with pytest.raises(AtollError, match=r"bytes, allowed are|no regular file"):
            read(path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_a_digest_takes_the_memory_of_one_piece(folder: Path) -> None:
    os.truncate(folder / "file", 2**26)
    wanted = hashlib.sha256(b"content" + bytes(2**26 - 7)).hexdigest()
    tracemalloc.start()
    assert sha256_of(folder / "file") == wanted
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_json_comes_back(folder: Path) -> None:
    value = {"a": [1, -2.5, 1e17, 10**17, True, None, "NaN"], "b": {"c": 1e-300}}
    (folder / "file").write_text(json.dumps(value))
    assert read_json(folder / "file") == value


@pytest.mark.parametrize(
    "text",
    ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e18", "1" * 19, "-" + "1" * 19, "1" * 10_000,
     "[" * 100_000, '{"a":' * 100_000, "[1", "\xff", ""],
)  # fmt: skip
def test_what_is_no_json_of_sane_numbers_is_a_value_error(folder: Path, text: str) -> None:
    (folder / "file").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r".") as caught:
        read_json(folder / "file")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "error", [KeyError("x"), OverflowError("y"), RecursionError("z"), MemoryError(), TypeError("a\nb")]
)
def test_damage_is_one_sentence(error: Exception) -> None:
    message = f"card is damaged: {type(error).__name__}[:;] .*allowed is"
    with pytest.raises(AtollError, match=message) as caught, damage_told("card is damaged"):
        raise error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [OSError("disk"), AtollError("said")])
def test_what_is_no_damage_passes(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)), damage_told("card is damaged"):
        raise error
