"""Tests of the search under Ray: few, since starting Ray takes seconds."""

import copy
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from atoll.evaluators.steps.work import Outcome, Work
from atoll.search.driver.runner import (
    _given_gpu,
    drive_here,
    gpu_share,
    run_here,
    run_study,
    threads_of,
    workers_of,
)
from atoll.search.proposer.guided import GuidedProposer
from atoll.search.proposer.space import Space
from atoll.search.store.events import Ended
from atoll.search.store.store import Store
from atoll.search.study.limits import Limits, Resources
from atoll.search.study.reference import PAPERS, REFERENCE
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError
from atoll.spaces.machine.resources import cores
from atoll.testing import Replay

FIXED = len(REFERENCE) + len(PAPERS)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from ray import cloudpickle

    monkeypatch.chdir(tmp_path)
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)  # workers cannot import tests
    yield
    cloudpickle.unregister_pickle_by_value(module)


class Dangerous:
    """Replays, but one recipe kills its worker and another raises."""

    def __init__(self, replay: Replay, deadly: str, raising: str) -> None:
        self.replay, self.deadly, self.raising = replay, deadly, raising

    def __call__(self, work: Work) -> Outcome:
        if str(work.recipe) == self.deadly:
            os._exit(1)
        if str(work.recipe) == self.raising:
            raise ValueError("layers do not fit")
        return self.replay(work)


class InCompany:
    """Replays, but after the baseline only when a second worker has come up too."""

    def __init__(self, replay: Replay, folder: Path) -> None:
        self.replay, self.folder = replay, folder

    def __call__(self, work: Work) -> Outcome:
        (self.folder / str(os.getpid())).touch()
        while len(work.recipe) and len(list(self.folder.iterdir())) < 2:
            time.sleep(0.05)
        return self.replay(work)


def test_workers_and_threads_never_exceed_the_cores() -> None:
    available = cores()
    for workers in (1, 2, available, 3 * available):
        study = Study(task="digits", limits={"workers": workers})
        threads = threads_of(study, workers)
        assert workers_of(study) == workers
        assert threads == 1 or 1 <= threads * workers <= available


def test_a_trial_is_given_what_the_study_says() -> None:
    study = Study(task="digits", resources={"cpu": 2, "gpu": 0.5})
    assert threads_of(study, 1) == 2 and workers_of(study) == max(1, cores() // 2)
    assert gpu_share(study, 2, 1.0) == 0.5 == gpu_share(study, 2, 0.0)
    again = Study.from_stored(study.study_name, study.definition(), study.given_limits())
    assert again.resources == study.resources and again.digest == Study(task="digits").digest


def test_what_no_machine_of_a_cluster_has_is_told_instead_of_waited_for() -> None:
    def nodes(*gpus: int, cpus: int = 4) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": cpus, "GPU": count}} for count in gpus] + [
            {"Alive": False, "Resources": {"CPU": 64, "GPU": 8}}
        ]

    half, two = (Study(task="digits", resources={"gpu": share}) for share in (0.5, 2))
    assert _given_gpu(half, 2, 1, nodes(1)) == 0.5 and _given_gpu(two, 1, 4, nodes(0, 2)) == 2
    for study, found, most in (
        (half, nodes(0), "0 GPUs"),
        (half, [], "0 GPUs"),
        (two, nodes(1, 1), "1 GPUs"),
    ):
        with pytest.raises(
            AtollError, match=f"resources.gpu: got .* allowed are the {most} that Ray sees on one"
        ):
            _given_gpu(study, 2, 1, found)
    with pytest.raises(AtollError, match=r"resources.cpu: got 8 a trial, allowed are the 4 CPUs"):
        _given_gpu(Study(task="digits"), 1, 8, nodes(1))


@pytest.mark.parametrize(("workers", "gpus", "share"), [(2, 0, 0), (2, 1, 0.5), (16, 1, 0.25), (2, 4, 1)])
def test_workers_share_the_gpus_where_the_study_does_not_say(workers: int, gpus: int, share: float) -> None:
    assert gpu_share(Study(task="digits"), workers, gpus) == share


@pytest.mark.slow
def test_more_gpus_than_there_are_is_a_sentence(study: Study, store: Store, replay: Replay) -> None:
    wanting = study.model_copy(update={"resources": Resources(gpu=1)})
    with pytest.raises(AtollError, match=r"resources\.gpu: got 1 a trial, allowed are the 0 GPUs"):
        run_study(wanting, store, evaluator=replay)


@pytest.mark.slow
def test_a_search_by_two_workers_survives_whatever_its_trials_do(
    study: Study, store: Store, replay: Replay, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import ray

    two = study.model_copy(update={"limits": Limits(ensembles=4, workers=2), "sampler": "guided"})
    # The first proposals are drawn at random: they depend on their number alone.
    proposer = GuidedProposer(Space(study.technique_types, study.min_steps, study.max_steps), study.seed)
    deadly, raising = str(proposer.propose(1, [])), str(proposer.propose(2, []))
    at_end: list[int] = []
    campaign = run_study(
        two,
        store,
        evaluator=Dangerous(replay, deadly, raising),
        at_end=lambda c: at_end.append(len(store.trials())),
    )
    rows = store.trials()
    assert campaign.end_reason == "4 ensembles are done"
    assert at_end == [len(rows)], "everything is in the store when the finalists are measured"
    reasons = {row["recipe"]: row["reason"] for row in rows if row["status"] != "finished"}
    assert reasons == {deadly: "killed its worker 3 times", raising: "ValueError: layers do not fit"}
    pids = {row["worker_pid"] for row in rows if row["status"] == "finished"}
    assert os.getpid() not in pids
    assert len(pids) < len(rows) / 2, "worker processes are used again"
    assert not ray.is_initialized()
    assert {path.name.split(".")[0] for path in tmp_path.iterdir()} == {"atoll"}, "the store alone is left"
    shown = capsys.readouterr()
    assert shown.out == ""
    news = [line for line in shown.err.lower().splitlines() if "starting ray" not in line]
    assert "4 of 4 ensembles" in shown.err and "ray" not in " ".join(news).replace("array", "")


_DRIVER = """
import sys
from pathlib import Path
from atoll import testing
from atoll.search.driver.runner import run_study
from atoll.search.proposer.space import Space
from atoll.search.store.store import Store
from atoll.search.study.limits import Limits
from atoll.search.study.study import Study
replay = testing.made_up_replay(0.4)
study = Study.create({{**testing.STUDY, "limits": {{"ensembles": 8, "workers": 1}}}})
campaign = run_study(study, Store(Path({store!r})), evaluator=replay)
sys.exit(130 if campaign.end_reason is None else 0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_ended_driver_leaves_a_study_that_goes_on(
    study: Study, store: Store, tmp_path: Path, replay: Replay, how: signal.Signals
) -> None:
    code = _DRIVER.format(store=str(store.path))
    # A group of its own: Ctrl-C reaches every process of a terminal's group, Ray's too.
    driver = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        wait_for_ends(store, FIXED + 2, driver)
        os.killpg(driver.pid, how) if how is signal.SIGINT else driver.send_signal(how)
        _, said = driver.communicate(timeout=60)
    finally:
        driver.kill()
    assert driver.returncode == (130 if how is signal.SIGINT else -how), said
    assert "Traceback" not in said
    journaled = {event.trial for event in store.journal.read()[0] if isinstance(event, Ended)}
    rows = store.trials()
    assert {row["trial"] for row in rows if row["status"] == "finished"} == journaled
    assert {row["reason"] for row in rows if row["status"] != "finished"} <= {"interrupted"}

    whole = Store(tmp_path / "whole.duckdb")
    for place in (store, whole):
        run_here(study, place, lambda campaign: drive_here(campaign, replay))
    assert recipes_of(store) == recipes_of(whole)


_CLUSTER_DRIVER = """
import sys
from pathlib import Path
sys.path[:0] = {folders!r}
import test_runner
from atoll import testing
from atoll.search.driver.runner import run_study
from atoll.search.proposer.space import Space
from atoll.search.store.store import Store
from atoll.search.study.study import Study
replay = testing.made_up_replay(0.3)
study = Study.create({{**testing.STUDY, "limits": {{"ensembles": 8, "workers": 2}}}})
evaluator = test_runner.InCompany(replay, Path({workers!r}))
campaign = run_study(study, Store(Path({store!r})), evaluator=evaluator, address={address!r})
print(campaign.end_reason)
"""


@pytest.mark.slow
def test_a_cluster_of_two_nodes_loses_one_and_goes_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Head and second node are real Ray processes with one core each; the second is killed on the way.

    The cluster asks for a token, as Ray's do wherever one lies; the search finds it by itself.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    folder = tempfile.mkdtemp(prefix="ray")  # sockets allow 107 characters
    port, workers = free_port(), tmp_path / "workers"
    workers.mkdir()
    ray = str(Path(sys.executable).with_name("ray"))
    node = [ray, "start", "--num-cpus=1", "--disable-usage-stats", "--object-store-memory=80000000"]
    folders = [str(Path(__file__).parents[at]) for at in (0, 1)]
    monkeypatch.setenv("PYTHONPATH", ":".join(folders))  # for the workers: they import the evaluator
    code = _CLUSTER_DRIVER.format(
        folders=folders,
        workers=str(workers),
        store=str(store.path),
        address=f"127.0.0.1:{port}",
    )
    try:
        start([ray, "get-auth-token", "--generate"])
        start([*node, "--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}"])
        first = {process.pid for process in of_cluster(folder, "raylet")}
        start([*node, f"--address=127.0.0.1:{port}"], RAY_AUTH_MODE="token")
        second = [process for process in of_cluster(folder, "raylet") if process.pid not in first]
        assert len(first) == len(second) == 1
        driver = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_for_ends(store, FIXED + 2, driver)
        for process in [second[0], *second[0].children(recursive=True)]:
            process.kill()
        printed, said = driver.communicate(timeout=120)
    finally:
        for process in of_cluster(folder):
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)
    assert (driver.returncode, printed) == (0, "8 ensembles are done\n"), said
    rows = store.trials()
    pids = [row["worker_pid"] for row in rows if row["status"] == "finished"]
    assert len(set(pids[:FIXED])) == 2, "each node has one core, so both worked"
    assert {row["status"] for row in rows} == {"finished"}, "a node that drops out costs no trial"
    assert len(set(pids[-3:])) == 1, "the second node is gone"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:6379", "127.0.0.1", "127.0.0.1:x"])
def test_an_address_where_no_cluster_answers_is_one_sentence(
    study: Study, store: Store, address: str
) -> None:
    with pytest.raises(AtollError, match=f"no Ray cluster at {address}: .*allowed is HOST:PORT"):
        run_study(study, store, address=address)


def test_a_store_that_another_process_holds_open_is_not_searched(
    study: Study, store: Store, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "recover", lambda _store: False)
    with pytest.raises(
        AtollError, match=r"atoll.duckdb is held by another process, and its journal does not tell"
    ):
        run_study(study, store, evaluator=replay)


def test_a_searcher_leaves_itself_out_of_snapshots() -> None:
    import pickle

    from atoll.search.driver.searcher import RecipeSearcher

    searcher = RecipeSearcher(campaign=None, workers=2)  # type: ignore[arg-type]
    assert type(pickle.loads(pickle.dumps(searcher))).__name__ == "Searcher"
    assert copy.deepcopy(searcher) is searcher


def start(command: list[str], **environment: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr


def of_cluster(folder: str, name: str = "") -> list[psutil.Process]:
    """Return the living processes whose command line names the cluster's folder."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        named = folder in " ".join(process.info["cmdline"] or ())
        if named and name in (process.info["name"] or "") and process.pid != os.getpid():
            found.append(process)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_ends(store: Store, count: int, driver: Any = None) -> None:
    """Wait until so many trials have ended, or the driver has."""
    while driver is None or driver.poll() is None:
        if sum(event.kind == "ended" for event in store.journal.read()[0]) >= count:
            return
        time.sleep(0.05)


def recipes_of(store: Store) -> list[tuple[Any, ...]]:
    return [(row["trial"], row["recipe"], row["proposal"], row["status"]) for row in store.trials()]
