"""A search begins while somebody else has the store's file open, and folds when it is closed there."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.runner import drive_here, run_here
from atoll.search.driver.work import carry_out
from atoll.search.store import store as store_module
from atoll.search.store.folding import Folder
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError
from atoll.testing import STUDY, Replay

_HOLD = """
import duckdb, sys
held = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "True")
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path, read_only: bool) -> Iterator[None]:
    """Has another process keep the file open, as a notebook does."""
    words = [sys.executable, "-c", _HOLD, str(path), str(read_only)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "open\n"
        try:
            yield
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for waits in (Store.recover, Folder.close):
        monkeypatch.setattr(waits, "__defaults__", (0.05,))
    monkeypatch.setattr(store_module, "LIVE_WAIT_S", 0.05)
    monkeypatch.setattr(store_module, "READ_WAIT_S", 0.05)


@pytest.fixture
def study() -> Study:
    """Small and without a reference set: what is proposed means nothing here."""
    return Study.create({**STUDY, "goal": "smallest", "sampler": "random", "limits": {"ensembles": 5}})


def drive(replay: Replay, stop_after: int | None = None) -> Callable[[Campaign], None]:
    def some(campaign: Campaign) -> None:
        for _ in range(stop_after or 0):
            trial = campaign.next()
            assert trial is not None
            campaign.end(trial.name, carry_out(campaign.work(trial).to_json(), replay))
        campaign.next()  # and one is running when the driver dies

    return some if stop_after else lambda campaign: drive_here(campaign, replay)


def recipes(store: Store) -> list[Any]:
    return [(row["trial"], row["recipe"], row["status"], row["objective"]) for row in store.trials()]


@pytest.mark.parametrize("read_only", [True, False])
def test_a_study_goes_on_while_a_notebook_has_the_file(
    study: Study, store: Store, tmp_path: Path, replay: Replay, read_only: bool
) -> None:
    whole = Store(tmp_path / "whole.duckdb")
    for place in (whole, store):
        run_here(study, place, drive(replay, stop_after=3))
    run_here(study, whole, drive(replay))
    before = store.path.read_bytes()
    with held(store.path, read_only):
        campaign = run_here(study, store, drive(replay))
        assert store.path.read_bytes() == before
        assert recipes(store) == recipes(whole), "our own readers see it all"
    assert campaign.end_reason == "5 ensembles are done"
    assert store.recover() and store.path.read_bytes() != before
    assert recipes(store) == recipes(whole), "nothing was repeated, nothing is lost"


def test_another_study_begins_beside_those_in_the_journal(study: Study, store: Store, replay: Replay) -> None:
    run_here(study, store, drive(replay))
    other = study.model_copy(update={"seed": 4})
    with held(store.path, read_only=False):
        run_here(other, store, drive(replay))
    assert {row["study"] for row in store.studies()} == {study.study_name, other.study_name}


@pytest.mark.parametrize("left", ["nothing", "the end"])
def test_what_no_journal_tells_is_not_searched_blindly(
    study: Study, store: Store, replay: Replay, left: str
) -> None:
    run_here(study, store, drive(replay, stop_after=3))
    lines = store.journal_path.read_bytes().splitlines(keepends=True)
    store.journal_path.write_bytes(b"" if left == "nothing" else b"".join(lines[-4:]))
    with (
        held(store.path, read_only=False),
        pytest.raises(
            AtollError,
            match=r"is held by process \d+ \(python.*its journal does not tell what is in it: close",
        ),
    ):
        run_here(study, store, drive(replay))
