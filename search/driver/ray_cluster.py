"""Ray as a search uses it: its environment, a cluster near or far, and whether that lives."""

import logging
import os
import secrets
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from ...evaluators.cache_dir import cache_dir
from ...spaces.errors import AtollError
from ...spaces.machine.home import home_folder
from ..terminal.ending import RAY_DIED, stop

#: Results travel as small JSON; Ray would otherwise reserve 30 % of the memory.
_OBJECT_STORE_BYTES = 80_000_000
#: The path of Ray's folder: a socket's may have 107 characters (`sun_path` of unix(7)), of which Ray takes
#: /session_2026-11-26_18-10-20_503293_4194304/sockets/plasma_store and keeps room for a number behind it.
RAY_FOLDER_CHARACTERS = 107 - 43 - 21 - 3
_AUTH_MODE = "RAY_AUTH_MODE"
#: A machine of one's own network answers in milliseconds.
_ANSWER_S = 5.0
#: A process that imports Ray and Atoll takes some seconds, on a busy machine several times that.
_WORKER_STARTS_S = 60.0
#: How soon the end of Ray is noticed.
_LOOK_EVERY_S = 0.5
#: What a cluster on this machine cannot do without; Ray's driver would wait for either for ever.
_VITAL = ("raylet", "gcs_server")
#: A busy machine may start Ray more slowly than the 30 seconds that Ray gives itself.
_STARTS = 2
#: Of a cluster on this machine, where the user has none: Ray would leave one of its own in the home.
_TOKEN = secrets.token_hex(32)
_ENVIRONMENT = {
    # Waiting OpenMP threads must sleep: spinning ones made an epoch ten times slower on shared cores.
    "OMP_WAIT_POLICY": "PASSIVE",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # `first_interrupt` looks after Ctrl-C
    "TUNE_WARN_THRESHOLD_S": "60",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "600",
    # Seconds until a slow start counts as none; Ray's own are 30 and 60.
    "RAY_gcs_server_port_wait_time_s": "60",
    "RAY_worker_register_timeout_seconds": "300",
}
#: What workers of a cluster must be told; those of this machine inherit it.
_WORKER_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}


@contextmanager
def ray_environment(address: str | None) -> Iterator[None]:
    """Sets what Ray reads from the environment, for as long as it runs; Ray itself sets its token mode.

    Args:
        address: of a cluster, None for one on this machine.
    """
    variables = _ENVIRONMENT | _token_mode(address) | (_folders() if address is None else {})
    before = {name: os.environ.get(name) for name in (*variables, _AUTH_MODE)}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    os.environ.update(variables)
    try:
        yield
    finally:
        _restore(handlers)  # Ray and Ray Tune leave theirs behind
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def cluster(address: str | None, cpus: int, folder: Path) -> Iterator[Callable[[], None]]:
    """Connects to a Ray cluster, or starts one on this machine, and leaves it at the end.

    Args:
        address: HOST:PORT of a running head, `auto`, or None for one on this machine.
        cpus: of the latter.
        folder: for its files.

    Yields:
        what ends the command (see `ending.stop`) if Ray is gone; a thread looks too, all the time.

    Raises:
        AtollError: none answers, or none can be started; or this process, a notebook's perhaps, is connected
            already: its Ray was set up otherwise, and would be ended with the search.
    """
    import ray

    if ray.is_initialized():
        raise AtollError(
            "Ray runs in this process already: call ray.shutdown() first, and give HOST:PORT of its cluster "
            "as the address to search there"
        )
    common: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.CRITICAL,
        "ignore_reinit_error": True,
    }
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        if address is None:
            common |= {"num_cpus": cpus, "object_store_memory": _OBJECT_STORE_BYTES}
            _start(address="local", include_dashboard=False, _temp_dir=str(folder), **common)
        else:
            _check_address(address)
            _connect(address, runtime_env={"env_vars": _WORKER_ENVIRONMENT}, **common)
            _check_workers(address)
        _restore({signal.SIGTERM: on_sigterm})
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        with _watched(_life_signs(address), is_near=address is None) as check:
            yield check
    finally:
        ray.shutdown()


def _start(**options: Any) -> None:
    import ray

    for turn in range(1, _STARTS + 1):
        try:
            ray.init(**options)
            return
        except Exception as error:  # a slow start is a plain Exception
            if turn == _STARTS:
                raise AtollError(
                    f"Ray did not start on this machine, tried {_STARTS} times ({_one_line(error)}): it may "
                    f"be too busy or short of memory; try again later or with fewer --workers, and see "
                    f"`atoll doctor`"
                ) from error
            ray.shutdown()


def _connect(address: str, **options: Any) -> None:
    import ray
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled, without stubs

    try:
        if address != "auto":
            GcsClient(address=address)  # says at once what `init` would try again and again for 20 seconds
        ray.init(address=address, **options)
    except ray.exceptions.AuthenticationError as error:
        raise AtollError(
            f"the Ray cluster at {address} wants its token, and this machine shows another one or none: copy "
            "~/.ray/auth_token of its head to here, or put RAY_AUTH_TOKEN=... before the command, with what "
            "`ray get-auth-token` prints there "
            f"({_AUTH_MODE} is {os.environ.get(_AUTH_MODE, 'not set')} here)"
        ) from error
    except (ConnectionError, RuntimeError, ValueError, SystemExit, ray.exceptions.RayError) as error:
        raise _no_cluster(f"at {address}", error) from error


def _check_workers(address: str) -> None:
    """Has one process of the cluster answer: where it cannot, every trial would only lose its worker.

    Raises:
        AtollError: it shows no token where this process takes calls with one alone, or Atoll is not there.
    """
    import ray

    asked = ray.remote(num_cpus=0, max_retries=0)(_wants_token).remote()
    try:
        wants_token = ray.get(asked, timeout=_WORKER_STARTS_S)
    except ray.exceptions.GetTimeoutError:
        return  # a busy cluster is for Ray to wait for
    except ray.exceptions.RayError as error:
        last = str(error).strip().splitlines()[-1]
        raise AtollError(
            f"the Ray cluster at {address} cannot run Atoll ({last[:200]}): every machine of it needs the "
            "same Python and the same wheel of Atoll as this one"
        ) from error
    if wants_token != _wants_token():
        raise AtollError(
            f"the Ray cluster at {address} runs without a token, and this machine has one, without which it "
            f"takes no answers: put {_AUTH_MODE}=disabled before the command, or start the cluster anew with "
            f"{_AUTH_MODE}=token and this token on every machine"
        )


def _wants_token() -> bool:
    """Whether Ray takes calls with its token alone in the process that asks."""
    from ray._private.authentication.authentication_utils import is_token_auth_enabled

    return bool(is_token_auth_enabled())


def _life_signs(address: str | None) -> Callable[[], bool]:
    """Returns what tells whether Ray lives, for the cluster that this process is connected to."""
    import ray

    if address is not None:
        host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
        return lambda: _answers(host, int(port))
    vital = [process for process in psutil.Process().children() if process.name() in _VITAL]

    def all_live() -> bool:
        try:
            return all(process.status() != psutil.STATUS_ZOMBIE for process in vital)
        except psutil.NoSuchProcess:
            return False

    return all_live


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_ANSWER_S).close()
    except ConnectionRefusedError:
        return False  # the machine is there, Ray is not
    except OSError:
        return True  # a slow network is for Ray to judge, it waits for a minute
    return True


@contextmanager
def _watched(lives: Callable[[], bool], is_near: bool) -> Iterator[Callable[[], None]]:
    over, gone = threading.Event(), threading.Event()

    def check() -> None:
        # A far one is asked by the thread alone: the driver's loop must not wait for a network.
        if gone.is_set() or (is_near and not lives()):
            stop(RAY_DIED)

    def look() -> None:
        while not over.wait(_LOOK_EVERY_S):
            if not lives():
                gone.set()
                stop(RAY_DIED)
                return

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield check
    finally:
        over.set()
        thread.join()


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
        f"no Ray cluster {where}: {_one_line(error)}; allowed is HOST:PORT of a running "
        f"head (`ray start --head`), auto, or nothing for one on this machine"
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _folders() -> dict[str, str]:
    """Returns the variables without which Ray and workers of this machine fail where there is no home."""
    found = {"ATOLL_CACHE": str(cache_dir().absolute())}
    return found if home_folder() is not None else found | {"HOME": tempfile.gettempdir()}


def _token_mode(address: str | None) -> dict[str, str]:
    """Returns the variables for Ray's token: that of a cluster here, or to show the user's, if there is one.

    `ray start --head` asks for a token wherever one lies (any local `ray.init` leaves one behind), but
    clients show theirs only when told to.
    """
    if _AUTH_MODE in os.environ:
        return {}
    home = home_folder()
    given = any(name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    is_there = given or (home is not None and (home / ".ray" / "auth_token").exists())
    if address is None:  # Ray sets the mode itself, and would not hear of it here once it is imported
        return {} if is_there else {"RAY_AUTH_TOKEN": _TOKEN}
    return {_AUTH_MODE: "token"} if is_there else {}
