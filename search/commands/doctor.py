"""`atoll doctor`: what this installation and this machine have, what is missing, and how to mend it."""

import importlib.metadata
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from ...spaces.errors import AtollError
from ...spaces.machine.home import home_folder
from ...spaces.machine.scratch import scratch_place
from ..terminal.said import say
from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import Column, FormatOption, print_table

COLUMNS = (Column("what"), Column("found"), Column("wanted"), Column("ok"))
#: how to get what is wanted; packages come with Atoll itself
_CURES = {
    "python": "make a virtual environment with Python 3.11, and install Atoll into that",
    "machine": "run it on Linux x86_64; nothing else was tried",
    "font-roboto": "pip install -c constraints.txt '.[characters]', where that task is wanted",
    "memory, GB": "end other programs, or search with --workers 1",
    "cache": "set ATOLL_CACHE to a folder that may be written, on a disk with room",
    "prepared, GiB": "set the variable to a number of GiB, or unset it",
    "temporary files": "set TMPDIR to a short folder that may be written, such as /tmp",
    "store": "go to a folder that may be written, or name a store in one with --store or ATOLL_STORE",
}
_INSTALL = "install Atoll again, with the versions that were tried together: pip install -c constraints.txt ."
#: Distributions without which a command fails, and what for.
PACKAGES = (
    ("torch", "training"),
    ("ray", "searching"),
    ("optuna", "proposals"),
    ("duckdb", "the store"),
    ("pyarrow", "data and the store"),
    ("ai-edge-litert", "exports"),
    ("scikit-learn", "task digits"),
    ("font-roboto", "task characters"),
)
#: A worker holds torch, the data and one network; measured 0.5 GB on `characters`.
#: Own choice: four times what the driver and two workers hold, for Ray and for networks that are larger.
_MEMORY_GB = 6.0
_DISK_GB = 2.0  # step cache of the characters study with room to spare


def doctor(store: StoreOption = DEFAULT_STORE, format: FormatOption = "table") -> None:
    """Show versions, cores, memory, folders, what is missing, and how to mend that."""
    rows = doctor_rows(store)
    if format != "table":
        print_table(rows, (*COLUMNS, Column("fix")), format)
        return
    print_table(rows, COLUMNS, format)
    for row in rows:
        if row["fix"] is not None:
            say(f"to fix {row['what']}: {row['fix']}")
    if all(row["ok"] for row in rows):
        say("nothing is to be fixed")


def doctor_rows(store: Path) -> list[dict[str, Any]]:
    """Returns one row a check."""
    from ...spaces.machine.resources import cores, memory

    free, total = (amount / 1e9 for amount in (memory().free_bytes, memory().total_bytes))
    python = platform.python_version()
    machine = f"{platform.system()} {platform.machine()}"
    return [
        _row("atoll", _version("atoll"), "installed"),
        _row("python", python, "3.11", python.startswith("3.11.")),
        _row("machine", machine, "Linux x86_64", machine == "Linux x86_64"),
        *(_row(name, _version(name), f"installed, for {use}") for name, use in PACKAGES),
        _row("cores", f"{cores()} of {os.cpu_count()}", "1 or more that this process may use"),
        _row(
            "memory, GB",
            f"{free:.1f} free of {total:.1f}",
            f"{_MEMORY_GB:g} free for a search by two workers",
            free >= _MEMORY_GB,
        ),
        _row("home", str(home_folder() or "none"), "any or none"),
        _cache_row(),
        _prepared_row(),
        _temporary_row(),
        _row("store", str(store), "writable folder (--store names another)", _writable(store.parent)),
        _row(
            "signs", getattr(sys.stdout, "encoding", None) or "none", "utf-8; ASCII replaces what others lack"
        ),
    ]


def _cache_row() -> dict[str, Any]:
    from ...evaluators.cache_dir import cache_dir

    wanted = f"writable, {_DISK_GB:g} GB free (ATOLL_CACHE names another)"
    try:
        cache = cache_dir()
    except AtollError as error:
        return _row("cache", str(error), wanted, False)
    free_gb = shutil.disk_usage(_existing(cache)).free / 1e9
    return _row("cache", f"{cache}, {free_gb:.1f} GB free", wanted, _writable(cache) and free_gb >= _DISK_GB)


def _prepared_row() -> dict[str, Any]:
    from ...evaluators.prepared_quota import GIB, VARIABLE, quota_bytes, taken_bytes

    wanted = f"what nobody holds goes above the quota ({VARIABLE} names another)"
    try:
        quota, taken = quota_bytes(), taken_bytes()
    except AtollError as error:
        return _row("prepared, GiB", str(error), wanted, False)
    shares = ", ".join(f"{what} {amount / GIB:.1f}" for what, amount in taken.items())
    return _row("prepared, GiB", f"{sum(taken.values()) / GIB:.1f} of {quota / GIB:g}: {shares}", wanted)


def _temporary_row() -> dict[str, Any]:
    from ..driver.ray_cluster import RAY_FOLDER_CHARACTERS

    wanted = "writable and of a short path, for Ray's sockets (TMPDIR names another)"
    try:
        return _row("temporary files", str(scratch_place(RAY_FOLDER_CHARACTERS)), wanted)
    except AtollError as error:
        return _row("temporary files", str(error), wanted, False)


def _row(what: str, found: str | None, wanted: str, ok: bool | None = None) -> dict[str, Any]:
    is_ok = found is not None if ok is None else ok
    fix = None if is_ok else _CURES.get(what, _INSTALL)
    return {"what": what, "found": found or "missing", "wanted": wanted, "ok": is_ok, "fix": fix}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _existing(path: Path) -> Path:
    """Returns the nearest folder above that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _writable(path: Path) -> bool:
    try:
        return os.access(_existing(path), os.W_OK)
    except OSError:  # the current folder was removed
        return False
