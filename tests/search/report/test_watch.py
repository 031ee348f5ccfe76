"""The report that is served: on this machine alone, and anew when the store has more."""

import http.client
import threading
from collections.abc import Iterator

import pytest
from atoll.search.report import watch
from atoll.search.report.watch import LOOPBACK, Watched, server_of
from atoll.search.store.selection import choose_study
from atoll.search.store.store import Store
from atoll.spaces.errors import AtollError

Answer = tuple[int, str, http.client.HTTPMessage]


class Asked:
    """A server with a report, and whoever asks it.

    Args:
        store: with the study.
    """

    def __init__(self, store: Store) -> None:
        self.watched = Watched(store, choose_study(store, None).name)
        self.server = server_of(self.watched)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def get(self, path: str, host: str | None = None) -> Answer:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=60)
        connection.request("GET", path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers


@pytest.fixture
def asked(made_up: Store) -> Iterator[Asked]:
    found = Asked(made_up)
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_the_page_may_ask_its_server_and_knows_its_version(asked: Asked) -> None:
    assert asked.server.server_address[0] == "127.0.0.1"
    status, text, headers = asked.get("/")
    assert status == 200 and headers["Cache-Control"] == "no-store"
    assert "connect-src 'self'" in text
    assert f'"version":"{asked.get("/version")[1]}"' in text


def test_the_page_is_made_anew_when_the_store_has_more(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def written(*arguments: object) -> str:
        made.append(arguments[-1])
        return "page"

    monkeypatch.setattr(watch, "html_report", written)
    versions = iter("1123")
    monkeypatch.setattr(Watched, "version", property(lambda _: next(versions)))
    assert [asked.get("/")[1] for _ in range(4)] == ["page"] * 4
    assert made == ["1", "2", "3"]


def test_another_name_of_this_machine_is_refused(asked: Asked) -> None:
    """A page of another site whose name leads here (DNS rebinding) reads nothing."""
    for path in ("/", "/version"):
        status, text, _ = asked.get(path, host=f"evil.example:{asked.port}")
        assert status == 403 and "script" not in text


@pytest.mark.parametrize("path", ["/../atoll.duckdb", "/report.html", "/?x"])
def test_there_is_nothing_else(asked: Asked, path: str) -> None:
    assert asked.get(path)[0] == 404


def test_a_busy_store_is_said_and_asked_again(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> str:
        raise AtollError("the store is busy")

    monkeypatch.setattr(watch, "html_report", busy)
    status, text, headers = asked.get("/")
    assert (status, text, headers["Refresh"]) == (503, "the store is busy\n", "2")
