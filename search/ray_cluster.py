"""Ray as a search uses it: its environment, a cluster near or far, a folder for its own files."""

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..spaces.errors import AtollError

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


@contextmanager
def ray_environment(address: str | None) -> Iterator[None]:
    """Sets what Ray reads from the environment, for as long as it runs; Ray itself sets its token mode.

    Args:
        address: of a cluster, None for one on this machine.
    """
    variables = _ENVIRONMENT | _token_mode(address)
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


@contextmanager
def cluster(address: str | None, cpus: int) -> Iterator[None]:
    """Connects to a Ray cluster, or starts one on this machine, and leaves it at the end.

    Args:
        address: HOST:PORT of a running head, `auto`, or None for one on this machine.
        cpus: of the latter.

    Raises:
        AtollError: none answers.
    """
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
def scratch_folder() -> Iterator[Path]:
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
