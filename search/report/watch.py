"""Serves a study's report on this machine alone, and has the page follow the search."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ...spaces.errors import AtollError
from ...spaces.outside.shown import shown
from ..store.selection import choose_study
from ..store.store import Store
from .html_report import html_report

#: nobody but this machine can ask
LOOPBACK = "127.0.0.1"
_AGAIN_S = 2  # own choice: how soon a store that was busy is asked again


class Watched:
    """A report that is written anew when its store has more.

    Args:
        store: where the study lives.
        study: its name.
        commit: as for `html_report`.
    """

    def __init__(self, store: Store, study: str, commit: str | None = None) -> None:
        self._store, self._study, self._commit = store, study, commit
        self._lock = threading.Lock()
        self._page, self._of = "", ""

    @property
    def version(self) -> str:
        """What differs when the store has more."""
        file = self._store.path
        written = file.stat().st_mtime_ns if file.exists() else 0
        return f"{self._store.journal.size_bytes()}-{written}"

    def page(self) -> str:
        """Returns the page as the store is now.

        Raises:
            AtollError: as `html_report`.
        """
        with self._lock:
            version = self.version
            if version != self._of:
                study = choose_study(self._store, self._study)
                self._page = html_report(self._store, study, self._commit, version)
                self._of = version
            return self._page


def server_of(watched: Watched) -> ThreadingHTTPServer:
    """Returns a server on a free port of this machine, which gives the page and its version."""
    answers: dict[str, tuple[str, Callable[[], str]]] = {
        "/": ("text/html", watched.page),
        "/version": ("text/plain", lambda: watched.version),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # another name for this machine is another site's: its pages could read what we answer
            if self.headers.get("Host") != f"{LOOPBACK}:{self.connection.getsockname()[1]}":
                self._answer(403, "text/plain", "asked by another name than that of this machine\n")
            elif self.path not in answers:
                self._answer(404, "text/plain", "there is the report alone, at /\n")
            else:
                kind, text = answers[self.path]
                try:
                    self._answer(200, kind, text())
                except AtollError as error:
                    self._answer(503, "text/plain", f"{shown(error)}\n")

        def _answer(self, status: int, kind: str, text: str) -> None:
            body = text.encode("utf-8")
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            if status == 503:
                self.send_header("Refresh", str(_AGAIN_S))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing of requests."""

    return ThreadingHTTPServer((LOOPBACK, 0), Handler)
