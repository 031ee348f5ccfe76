"""Runs a study: Ray Tune carries out what the campaign says, the store keeps it."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any

from ...evaluators.steps.work import Evaluator
from ...spaces.errors import AtollError
from ...spaces.machine.resources import cores
from ...spaces.machine.scratch import scratch_folder
from ..live.interrupt import first_interrupt
from ..live.log import Wanted, opened
from ..live.positions import Positions
from ..proposer.outlook import Pricer
from ..store.folding import Folder
from ..store.store import Store
from ..study.study import Study
from ..terminal.said import say
from .campaign import Campaign
from .progress import Progress
from .ray_cluster import RAY_FOLDER_CHARACTERS, cluster, ray_environment
from .work import carry_out

#: A GPU serves so many workers at a time where a study does not say: each holds its libraries' half gigabyte.
WORKERS_A_GPU = 4
#: name of the first trial of every study
FIRST = "t0001"


def threads_of(study: Study, workers: int) -> int:
    """Returns the threads of one worker of this machine: workers times threads never exceed the cores."""
    return study.resources.cpu or max(1, cores() // workers)


def workers_of(study: Study) -> int:
    """Returns how many trials run at a time on this machine."""
    return study.limits.workers or max(1, cores() // (study.resources.cpu or 1))


def gpu_share(study: Study, workers: int, gpus: float) -> float:
    """Returns the share of a GPU, or the whole ones, that a trial is given.

    Args:
        study: may say.
        workers: trials at a time.
        gpus: of the cluster.
    """
    if study.resources.gpu is not None:
        return study.resources.gpu
    return min(1.0, max(1 / WORKERS_A_GPU, gpus / workers)) if gpus else 0.0


def run_study(
    study: Study,
    store: Store,
    *,
    pricer: Pricer | None = None,
    evaluator: Evaluator | None = None,
    address: str | None = None,
    on_begin: Callable[[Campaign], None] | None = None,
    at_end: Callable[[Campaign], object] | None = None,
    json: bool = False,
    logs: Sequence[Wanted] = (),
) -> Campaign:
    """Searches until a limit is reached or Ctrl-C; everything that ended is in the store.

    The first Ctrl-C waits for what runs, the second one does not.

    Args:
        study: what to search.
        store: where trials live.
        pricer: prices a recipe before it costs a trial; None rejects nothing.
        evaluator: what a worker runs; `evaluators.steps.evaluate.evaluate` when None.
        address: of a Ray cluster; one on this machine is started and ended when None.
        on_begin: called once when the campaign is known, before any trial.
        at_end: called when a limit was reached, with everything in the store and the lock still held.
        json: whether progress is told in JSON lines on stdout.
        logs: where trials are logged beside the store.

    Returns:
        the campaign; its `end_reason` is None where the user interrupted it.

    Raises:
        AtollError: another driver holds the store, the definition differs, the baseline failed, no cluster
            answers, the disk is full.
    """
    workers = workers_of(study)
    threads = threads_of(study, workers) if address is None else study.resources.cpu or 1
    with store.lock():
        _recover(store, study)
        folder = Folder(store)
        # of a cluster's machines others may have the rest
        at_once = workers if address is None else 1
        campaign = Campaign(study, store, pricer, threads, at_once=at_once)
        if on_begin is not None:
            on_begin(campaign)
        try:
            with Progress(campaign, workers, json=json, positions=Positions()) as progress:

                def tick() -> None:
                    folder.tick()
                    progress.note(folder.held_by())
                    progress.tick()

                if campaign.has_work():
                    _run_by_ray(campaign, workers, threads, evaluator, address, tick, progress, logs)
            if campaign.is_over and at_end is not None:
                folder.close()
                at_end(campaign)
        finally:
            folder.close()
            store.recover()  # what was still running is interrupted now
            if not campaign.is_over:
                campaign.end_reason = None
    return campaign


def run_here(study: Study, store: Store, choose: Callable[[Campaign], None]) -> Campaign:
    """Runs trials in this process, one after the other: for single recipes and for tests.

    Args:
        study: what they belong to.
        store: where trials live.
        choose: carries out what it wants of the campaign.
    """
    with store.lock():
        _recover(store, study)
        # The threads that a worker of a search would have: they belong to the key of the step cache.
        workers = workers_of(study)
        campaign = Campaign(study, store, threads=threads_of(study, workers), at_once=workers)
        try:
            choose(campaign)
        finally:
            Folder(store).close()
            store.recover()
    return campaign


def _recover(store: Store, study: Study) -> None:
    """Brings the store up to its journal; where others hold the file that is left for later.

    As long as they do, what the file lacks, or all of it, is read from the journal.

    Raises:
        AtollError: they do, and the journal does not tell of all trials: some would be repeated.
    """
    if store.recover():
        return
    if store.journal.size_bytes() > 0:
        trials = store.trials(study.study_name)
        if store.holder is None or not trials or trials[0]["trial"] == FIRST:
            return
    holder = store.holder or "another process"
    raise AtollError(
        f"the store {store.path} is held by {holder}, and its journal does not tell what is in it: close "
        "what has it open and try again"
    )


def drive_here(campaign: Campaign, evaluator: Evaluator | None = None) -> None:
    """Carries a whole campaign out in this process, one trial at a time."""
    while not campaign.is_over:
        trial = campaign.next()
        if trial is not None:
            campaign.end(trial.name, carry_out(campaign.work(trial).to_json(), evaluator))


def _run_by_ray(
    campaign: Campaign,
    workers: int,
    threads: int,
    evaluator: Evaluator | None,
    address: str | None,
    tick: Callable[[], None],
    progress: Progress,
    logs: Sequence[Wanted],
) -> None:
    with ray_environment(address):
        # Imported late: half a second, and the environment must be set before.
        import ray
        from ray import tune
        from ray.tune import RunConfig, TuneConfig, Tuner

        from ..study.luggage import packed
        from .searcher import RecipeSearcher
        from .trainable import TrialTrainable

        with (
            scratch_folder(RAY_FOLDER_CHARACTERS) as scratch,
            cluster(address, workers * threads, scratch) as check,
            # closed first: a process that is stopped has seconds, and Ray may take them all
            opened(logs, campaign.store.path, campaign.study.study_name, say) as log,
        ):
            searcher = RecipeSearcher(campaign, workers, tick, check, log)
            luggage = None if address is None else packed(campaign.study.task)
            trainable = tune.with_parameters(
                TrialTrainable, evaluator=evaluator, luggage=luggage, tells=progress.follows, logs=bool(logs)
            )
            share = _given_gpu(campaign.study, workers, threads, ray.nodes())
            tuner = Tuner(
                tune.with_resources(trainable, {"cpu": threads} | ({"gpu": share} if share else {})),
                tune_config=TuneConfig(
                    search_alg=searcher,
                    num_samples=-1,  # the searcher says when it is finished
                    max_concurrent_trials=workers,
                    reuse_actors=True,
                    trial_dirname_creator=lambda trial: trial.trial_id,
                ),
                run_config=RunConfig(name="trials", storage_path=str(scratch), verbose=0),
            )

            def ask() -> bool:
                # between two trials nothing runs, and something is written down
                searcher.is_asked_to_end = progress.is_asked_to_end = campaign.started > 0
                return searcher.is_asked_to_end

            # Ray prints news of its nodes on stdout, which is for results.
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), first_interrupt(ask):
                tuner.fit()
            check()
        if searcher.error is not None:
            raise searcher.error


def _given_gpu(study: Study, workers: int, threads: int, nodes: Sequence[Mapping[str, Any]]) -> float:
    """Returns what a trial is given of a GPU.

    Args:
        study: may say.
        workers: trials at a time.
        threads: cores of a trial.
        nodes: as Ray describes them.

    Raises:
        AtollError: no machine of the cluster has so much; Ray would wait for one for ever.
    """
    machines = [node["Resources"] for node in nodes if node["Alive"]]
    share = gpu_share(study, workers, sum(machine.get("GPU", 0.0) for machine in machines))
    for what, got, name in (("gpu", share, "GPU"), ("cpu", threads, "CPU")):
        most = max((machine.get(name, 0.0) for machine in machines), default=0.0)
        if got > most:
            hint = "; leave it out to train on the CPU" if what == "gpu" else ""
            raise AtollError(
                f"resources.{what}: got {got:g} a trial, allowed are the {most:g} {name}s that Ray sees on "
                f"one machine{hint}"
            )
    return share
