"""Runs a study: Ray Tune carries out what the campaign says, the store keeps it."""

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from ..spaces.errors import AtollError
from .campaign import Campaign
from .folder import Folder
from .progress import Progress
from .proposals import Pricer
from .store import Store
from .study import Study
from .work import Evaluator, Outcome, carry_out

#: Results travel as small JSON; Ray would otherwise reserve 30 % of the memory.
_OBJECT_STORE_BYTES = 80_000_000
#: Ray's own files; below the current folder, removed at the end.
_SCRATCH = Path(".atoll")
_AUTH_MODE = "RAY_AUTH_MODE"
#: A machine of one's own network answers in milliseconds.
_ANSWER_S = 5.0
_ENVIRONMENT = {
    # Waiting OpenMP threads must sleep: spinning ones made an epoch ten times slower on shared cores.
    "OMP_WAIT_POLICY": "PASSIVE",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "600",
}
#: What workers of a cluster must be told; those of this machine inherit it.
_WORKER_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}


def default_workers() -> int:
    """Returns how many cores this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


def threads_of(workers: int) -> int:
    """Returns the threads of one worker of this machine: workers times threads never exceed the cores."""
    return max(1, default_workers() // workers)


def run_study(
    study: Study,
    store: Store,
    *,
    pricer: Pricer | None = None,
    evaluator: Evaluator | None = None,
    address: str | None = None,
    on_begin: Callable[[Campaign], None] | None = None,
    at_end: Callable[[Campaign], object] | None = None,
) -> Campaign:
    """Searches until a limit is reached or Ctrl-C; everything that ended is in the store.

    Args:
        study: what to search.
        store: where trials live.
        pricer: prices a recipe before it costs a trial; None rejects nothing.
        evaluator: what a worker runs; `evaluators.evaluate.evaluate` when None.
        address: of a Ray cluster; one on this machine is started and ended when None.
        on_begin: called once when the campaign is known, before any trial.
        at_end: called when a limit was reached, with everything in the store and the lock still held.

    Returns:
        the campaign; its `end_reason` is None where the user interrupted it.

    Raises:
        AtollError: another driver holds the store, the definition differs, the baseline failed, no cluster
            answers, the disk is full.
    """
    workers = study.limits.workers or default_workers()
    threads = threads_of(workers) if address is None else 1
    with store.lock():
        _recover(store)
        folder = Folder(store)
        campaign = Campaign(study, store, pricer, threads)
        if on_begin is not None:
            on_begin(campaign)
        try:
            with Progress(campaign, workers) as progress:

                def tick() -> None:
                    folder.tick()
                    progress.tick()

                if campaign.has_work():
                    _run_by_ray(campaign, workers, threads, evaluator, address, tick)
            if campaign.is_over and at_end is not None:
                folder.close()
                at_end(campaign)
        finally:
            folder.close()
            store.recover()  # what was still running is interrupted now
    return campaign


def run_here(study: Study, store: Store, choose: Callable[[Campaign], None]) -> Campaign:
    """Runs trials in this process, one after the other: for single recipes and for tests.

    Args:
        study: what they belong to.
        store: where trials live.
        choose: carries out what it wants of the campaign.
    """
    with store.lock():
        _recover(store)
        # The threads that a worker of a search would have: they belong to the key of the step cache.
        threads = threads_of(study.limits.workers or default_workers())
        campaign = Campaign(study, store, threads=threads)
        try:
            choose(campaign)
        finally:
            Folder(store).close()
            store.recover()
    return campaign


def _recover(store: Store) -> None:
    """Brings the store up to its journal; a search that does not know all its trials would repeat some."""
    if not store.recover():
        raise AtollError(
            f"the store {store.path} is held by another process: close what has it open and try again"
        )


def drive_here(campaign: Campaign, evaluator: Evaluator | None = None) -> None:
    """Carries a whole campaign out in this process, one trial at a time."""
    while not campaign.is_over:
        trial = campaign.next()
        if trial is not None:
            found = carry_out(campaign.work(trial).to_json(), evaluator)
            campaign.end(trial.name, Outcome(**found))


def _run_by_ray(
    campaign: Campaign,
    workers: int,
    threads: int,
    evaluator: Evaluator | None,
    address: str | None,
    tick: Callable[[], None],
) -> None:
    with _environment(_ENVIRONMENT | _token_mode(address)):
        # Imported late: half a second, and the environment must be set before.
        from ray import tune
        from ray.tune import RunConfig, TuneConfig, Tuner

        from .searcher import RecipeSearcher
        from .trainable import TrialTrainable

        searcher = RecipeSearcher(campaign, workers, tick)
        with _cluster(address, workers * threads), _scratch() as scratch:
            trainable = tune.with_parameters(TrialTrainable, evaluator=evaluator)
            tuner = Tuner(
                tune.with_resources(trainable, {"cpu": threads}),
                tune_config=TuneConfig(
                    search_alg=searcher,
                    num_samples=-1,  # the searcher says when it is finished
                    max_concurrent_trials=workers,
                    reuse_actors=True,
                    trial_dirname_creator=lambda trial: trial.trial_id,
                ),
                run_config=RunConfig(name="trials", storage_path=str(scratch), verbose=0),
            )
            # Ray prints news of its nodes on stdout, which is for results.
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
                tuner.fit()
        if searcher.error is not None:
            raise searcher.error


@contextmanager
def _cluster(address: str | None, cpus: int) -> Iterator[None]:
    import ray

    common: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.CRITICAL,
        "ignore_reinit_error": True,
    }
    if address is not None:
        _check_address(address)
    try:
        if address is None:
            ray.init(
                address="local",
                num_cpus=cpus,
                object_store_memory=_OBJECT_STORE_BYTES,
                include_dashboard=False,
                **common,
            )
        else:
            ray.init(address=address, runtime_env={"env_vars": _WORKER_ENVIRONMENT}, **common)
    except (ConnectionError, RuntimeError, ValueError, SystemExit, ray.exceptions.RayError) as error:
        raise _no_cluster("on this machine" if address is None else f"at {address}", error) from error
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Looks whether anyone answers: Ray itself would try for 80 seconds and then end the process."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _no_cluster(f"at {address}", error) from error


def _no_cluster(where: str, error: BaseException) -> AtollError:
    return AtollError(
        f"no Ray cluster {where}: {' '.join(str(error).split())[:200]}; allowed is HOST:PORT of a running "
        f"head (`ray start --head`), auto, or nothing for one on this machine"
    )


@contextmanager
def _scratch() -> Iterator[Path]:
    """Gives Ray a folder for its own files, which nobody reads again."""
    _SCRATCH.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir=_SCRATCH)).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _token_mode(address: str | None) -> dict[str, str]:
    """Returns the variable that lets Ray show its token, if there is one.

    `ray start --head` asks for a token wherever one lies (any local `ray.init` leaves one behind), but
    clients show theirs only when told to. A cluster on this machine arranges that by itself.
    """
    if address is None or _AUTH_MODE in os.environ:
        return {}
    given = any(name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    return {_AUTH_MODE: "token"} if given or (Path.home() / ".ray" / "auth_token").exists() else {}


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Sets what Ray reads from the environment, for as long as it runs; Ray itself sets its token mode."""
    before = {name: os.environ.get(name) for name in (*variables, _AUTH_MODE)}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
