"""What this process may use of its machine: cores and memory, within the limits of its container."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_ROOT = Path("/")


def cores(root: Path = _ROOT) -> int:
    """Returns how many cores this process may keep busy, 1 or more.

    Args:
        root: where `proc` and `sys` lie.
    """
    allowed = len(os.sched_getaffinity(0))
    quotas = [quota for folder in _groups(root, "cpu") if (quota := _cpu_quota(folder)) is not None]
    # Rounded down: a quota that is used up stops every thread until its period is over.
    return max(1, int(min([allowed, *quotas])))


@dataclass(frozen=True)
class Memory:
    """Main memory as far as this process may use it.

    Args:
        total_bytes: of the machine or its container, whichever is less.
        free_bytes: of it, counting what the kernel would give back at once.
    """

    total_bytes: int
    free_bytes: int


def memory(root: Path = _ROOT) -> Memory:
    """Returns how much memory there is.

    Args:
        root: where `proc` and `sys` lie.
    """
    machine = psutil.virtual_memory()
    total, free = machine.total, machine.available
    for folder in _groups(root, "memory"):
        limit = _number(folder / "memory.max", folder / "memory.limit_in_bytes")
        used = _number(folder / "memory.current", folder / "memory.usage_in_bytes")
        if limit is None or used is None or limit >= machine.total:  # version 1 says none by a huge number
            continue
        total = min(total, limit)
        free = min(free, max(0, limit - max(0, used - _reclaimable(folder))))
    return Memory(total, free)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yields the control groups of this process, from its own to the root: each may set a limit.

    https://docs.kernel.org/admin-guide/cgroup-v2.html, and cgroup-v1 beside it. In a container the paths of
    /proc/self/cgroup may be those of the machine outside, while the mounts begin at the container's own.
    """
    mounts = root / "sys" / "fs" / "cgroup"
    for line in _text(root / "proc" / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        mount = mounts / controller if controllers else mounts
        group = mount.joinpath(*(part for part in path.split("/") if part not in ("", "..")))
        yield group
        while group != mount:
            group = group.parent
            yield group


def _cpu_quota(folder: Path) -> float | None:
    """Returns how many cores a group may keep busy on average, None without a limit."""
    words = _text(folder / "cpu.max").split() or [
        _text(folder / "cpu.cfs_quota_us").strip(),
        _text(folder / "cpu.cfs_period_us").strip(),
    ]
    try:
        quota_us, period_us = (int(word) for word in words)
    except ValueError:  # `max`, or no such file
        return None
    return quota_us / period_us if quota_us > 0 and period_us > 0 else None


def _reclaimable(folder: Path) -> int:
    """Returns the bytes of cached files that the kernel drops when memory is asked for."""
    found = dict(line.split(maxsplit=1) for line in _text(folder / "memory.stat").splitlines() if " " in line)
    text = found.get("total_inactive_file") or found.get("inactive_file") or "0"
    return int(text) if text.strip().isdigit() else 0


def _number(*paths: Path) -> int | None:
    text = next((found for path in paths if (found := _text(path).strip())), "")
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
