"""The files of a report take their places together, each whole."""

from pathlib import Path

import pytest
from atoll.search.commands.cli import main
from atoll.search.report.written import write_files
from atoll.search.store.store import Store
from atoll.spaces.errors import AtollError


def test_no_file_takes_its_place_before_all_are_whole(tmp_path: Path) -> None:
    assert write_files(tmp_path / "a", {"one": b"1", "two": b"2"}) == [tmp_path / "a/one", tmp_path / "a/two"]
    with pytest.raises(AtollError, match=r"cannot write the report to .*: File name too long"):
        write_files(tmp_path / "a", {"one": b"other", "x" * 300: b"", "two": b"other"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == {"one": b"1", "two": b"2"}


def test_markdown_never_stands_half_written_in_its_place(made_up: Store, tmp_path: Path) -> None:
    names = ("README.md", "leaderboard.csv", "trials.parquet", "steps.parquet")
    for name in names:
        (tmp_path / name).write_text("old")
        (tmp_path / f"kept {name}").hardlink_to(tmp_path / name)  # written over, it would change too
    words = ["report", "--store", str(made_up.path), "--format", "md", "--study", "errors"]
    assert main([*words, "--output", str(tmp_path)]) == 0
    for name in names:
        assert (tmp_path / name).read_bytes() != b"old" and (tmp_path / f"kept {name}").read_text() == "old"
