"""`atoll report`: what it writes, shows and serves."""

import webbrowser
from pathlib import Path
from urllib.request import urlopen

import pytest
from atoll.search.commands.cli import main
from atoll.search.report import html_report, watch
from atoll.search.store.store import Store


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What the browser was asked to show."""
    found: list[str] = []
    monkeypatch.setattr(webbrowser, "open", found.append)
    monkeypatch.chdir(tmp_path)
    return found


def test_it_writes_one_file_and_opens_it(
    made_up: Store, opened: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--store", str(made_up.path), "--open"]) == 0
    assert capsys.readouterr().out == "reports/shares/report.html\n"
    assert opened == [(tmp_path / "reports/shares/report.html").as_uri()]
    assert {path.name for path in tmp_path.rglob("*.*")} == {"report.html"}


def test_markdown_is_a_format(made_up: Store, opened: list[str], tmp_path: Path) -> None:
    words = ["report", "--store", str(made_up.path), "--format", "md", "--study", "errors", "--output", "out"]
    assert main(words) == 0
    names = {"README.md", "leaderboard.csv", "trials.parquet", "steps.parquet"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names and opened == []


def test_it_serves_until_it_is_interrupted(
    made_up: Store, opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def one_request(server: watch.ThreadingHTTPServer) -> None:
        server.handle_request()
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "html_report", lambda *_: "page")
    monkeypatch.setattr(watch.ThreadingHTTPServer, "serve_forever", one_request)
    monkeypatch.setattr(
        watch.ThreadingHTTPServer, "handle_request", lambda server: ports.append(server.server_port)
    )
    ports: list[int] = []
    assert main(["report", "--store", str(made_up.path), "--watch", "--open"]) == 0
    url = f"http://127.0.0.1:{ports[0]}/"
    assert capsys.readouterr().out == f"{url}\n" and opened == [url]
    with pytest.raises(OSError):  # it is closed
        urlopen(url)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_sentence(
    made_up: Store, opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(html_report, "html_report", lambda *_: "page")
    (tmp_path / "file").write_text("")
    assert main(["report", "--store", str(made_up.path), "--output", "file"]) == 2
    assert capsys.readouterr().err.startswith("atoll: cannot write the report to file: ")


def test_the_report_before_stays_until_the_new_one_is_whole(
    made_up: Store, opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html_report, "html_report", lambda *_: "page")
    (tmp_path / "report.html").write_text("old")
    (tmp_path / "kept").hardlink_to(tmp_path / "report.html")  # written over, it would change too
    assert main(["report", "--store", str(made_up.path), "--output", "."]) == 0
    assert [(tmp_path / name).read_text() for name in ("report.html", "kept")] == ["page", "old"]
