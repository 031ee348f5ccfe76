"""The report's pictures as files: what a browser draws is written, and what it does not is one sentence."""

import base64
import html
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from atoll.search.report import pictures
from atoll.search.report.pictures import write_pictures
from atoll.search.store.selection import choose_study
from atoll.search.store.store import Store
from atoll.spaces.errors import AtollError

SVG = '<svg width="4" xmlns="http://www.w3.org/2000/svg"><text>a &amp; b</text></svg>'
PNG = b"\x89PNG\r\n\x1a\n"

FakeBrowser = Callable[[str], None]


@pytest.fixture
def fake_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBrowser:
    """Puts a shell script in the place of Chromium, which looks at no data."""
    monkeypatch.setattr(pictures, "contents", lambda *_: {})

    def put(script: str) -> None:
        place = tmp_path / "bin" / "chromium"
        place.parent.mkdir()
        place.write_text(f"#!/bin/sh\n{script}\n")
        place.chmod(0o755)
        monkeypatch.setenv("PATH", f"{place.parent}{os.pathsep}{os.environ['PATH']}")

    return put


def dumped(drawn: dict[str, dict[str, str]]) -> str:
    """Returns a script that prints a page as Chromium dumps it."""
    text = html.escape(json.dumps(drawn), quote=False)
    return f"cat <<'END'\n<html><body><pre>{text}</pre></body></html>\nEND"


def test_an_svg_says_what_it_shows(made_up: Store, fake_browser: FakeBrowser, tmp_path: Path) -> None:
    fake_browser(dumped({"pareto": {"words": "5 < 6 & more", "picture": SVG}}))
    [path] = write_pictures(made_up, choose_study(made_up, None), tmp_path / "out", "svg")
    root = ElementTree.fromstring(path.read_text())
    assert path.name == "pareto.svg" and root.attrib["role"] == "img"
    assert [one.text for one in root] == ["5 < 6 & more", "a & b"]


def test_a_png_is_unpacked(made_up: Store, fake_browser: FakeBrowser, tmp_path: Path) -> None:
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    fake_browser(dumped({"history": {"words": "", "picture": url}}))
    [path] = write_pictures(made_up, choose_study(made_up, None), tmp_path / "out", "png")
    assert (path.name, path.read_bytes()) == ("history.png", PNG)


def test_a_machine_without_a_browser_is_told_which(
    made_up: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        AtollError, match=r"none of chromium, .* is on the PATH: install one, or take --format"
    ):
        write_pictures(made_up, choose_study(made_up, None), tmp_path, "svg")


@pytest.mark.parametrize(
    ("script", "message"),
    [("exit 3", "did not draw the pictures$"), ("sleep 60 & sleep 60", "within 0.5 s$")],
)
def test_a_browser_that_fails_is_one_sentence(
    made_up: Store,
    fake_browser: FakeBrowser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    message: str,
) -> None:
    monkeypatch.setattr(pictures, "_LONGEST_S", 0.5)
    fake_browser(script)
    with pytest.raises(AtollError, match=message):
        write_pictures(made_up, choose_study(made_up, None), tmp_path / "out", "svg")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is missing")
def test_chromium_draws_every_view(made_up: Store, tmp_path: Path) -> None:
    written = write_pictures(made_up, choose_study(made_up, None), tmp_path, "svg")
    views = {"pareto", "history", "trial", "predictions", "failures", "tree", "orders", "parallel"}
    assert {path.stem for path in written} == views
    for path in written:
        root = ElementTree.fromstring(path.read_text())
        assert len(root.findall(".//{*}path")) > 3
        assert len(re.sub(r"\s", "", "".join(root.itertext()))) > 50
        assert path.stat().st_size < 100_000
