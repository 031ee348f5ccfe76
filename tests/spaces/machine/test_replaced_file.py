"""A replaced file is whole, and what is no file is not replaced."""

import os
from pathlib import Path

import pytest
from atoll.spaces.machine.replaced_file import replaced_file


def test_what_was_there_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.write_bytes(b"old")
    with pytest.raises(RuntimeError), replaced_file(place) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert ([*tmp_path.iterdir()], place.read_bytes()) == ([place], b"old")
    with replaced_file(place) as stream:
        stream.write(b"new")
        assert place.read_bytes() == b"old"
    assert ([*tmp_path.iterdir()], place.read_bytes()) == ([place], b"new")


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a").symlink_to("folder/b")
    with replaced_file(tmp_path / "a") as stream:
        stream.write(b"new")
    assert (tmp_path / "a").is_symlink() and (tmp_path / "folder" / "b").read_bytes() == b"new"


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with replaced_file(pipe) as stream:
            stream.write(b"new")
        assert (os.read(reader, 10), pipe.is_fifo()) == (b"new", True)
    finally:
        os.close(reader)
