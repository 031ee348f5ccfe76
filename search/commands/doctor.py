"""`atoll doctor`: what this installation and this machine have, and what is missing."""

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from ..store_option import DEFAULT_STORE, StoreOption
from ..tables import Column, FormatOption, print_table

COLUMNS = (Column("what"), Column("found"), Column("wanted"), Column("ok"))
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
_MEMORY_GB = 6.0  # issue of the first version: the demo runs in 6 GB
_DISK_GB = 2.0  # step cache of the characters study with room to spare


def doctor(store: StoreOption = DEFAULT_STORE, format: FormatOption = "table") -> None:
    """Show versions, cores, memory, folders, and what is missing."""
    print_table(doctor_rows(store), COLUMNS, format)


def doctor_rows(store: Path) -> list[dict[str, Any]]:
    """Returns one row a check."""
    import psutil

    from ...evaluators.cache_dir import cache_dir

    cache = cache_dir()
    memory = psutil.virtual_memory()
    free_gb = shutil.disk_usage(_existing(cache)).free / 1e9
    python = platform.python_version()
    machine = f"{platform.system()} {platform.machine()}"
    return [
        _row("atoll", _version("atoll"), "installed"),
        _row("python", python, "3.11", python.startswith("3.11.")),
        _row("machine", machine, "Linux x86_64", machine == "Linux x86_64"),
        *(_row(name, _version(name), f"installed, for {use}") for name, use in PACKAGES),
        _row("cores", str(len(os.sched_getaffinity(0))), "1 or more"),
        _row(
            "memory, GB",
            f"{memory.available / 1e9:.1f} free of {memory.total / 1e9:.1f}",
            f"{_MEMORY_GB:g} free for a search by two workers",
            memory.available / 1e9 >= _MEMORY_GB,
        ),
        _row(
            "cache",
            f"{cache}, {free_gb:.1f} GB free",
            f"writable, {_DISK_GB:g} GB free (ATOLL_CACHE names another)",
            _writable(cache) and free_gb >= _DISK_GB,
        ),
        _row("store", str(store), "writable folder (--store names another)", _writable(store.parent)),
    ]


def _row(what: str, found: str | None, wanted: str, ok: bool | None = None) -> dict[str, Any]:
    is_ok = found is not None if ok is None else ok
    return {"what": what, "found": found or "missing", "wanted": wanted, "ok": is_ok}


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
    return os.access(_existing(path), os.W_OK)
