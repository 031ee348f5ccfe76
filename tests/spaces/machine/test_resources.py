"""Cores and memory within a container's limits, on made-up control groups."""

import os
from pathlib import Path

import psutil
import pytest
from atoll.spaces.machine import resources as machine
from atoll.spaces.machine.resources import cores, memory

GB = 10**9


@pytest.fixture(autouse=True)
def _a_large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    class Virtual:
        total, available = 64 * GB, 60 * GB

    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(64)))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Virtual)


def made(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 64),
        # docker --cpus=2, version 2 with a namespace of its own
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 64),
        # a fraction is rounded down, but one core there must be
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "350000 100000\n"}, 3),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        # the tightest of a group and those above it
        (
            {
                "proc/self/cgroup": "0::/system.slice/atoll.service\n",
                "sys/fs/cgroup/system.slice/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/system.slice/atoll.service/cpu.max": "800000 100000\n",
            },
            3,
        ),
        # version 1; the path is the outer machine's, the mount the container's
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/0123abcd\n2:memory:/docker/0123abcd\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
        (
            {
                "proc/self/cgroup": "1:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            64,
        ),
        ({"proc/self/cgroup": "0::/../outside\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({"proc/self/cgroup": "nonsense\n", "sys/fs/cgroup/cpu.max": "gibberish\n"}, 64),
    ],
)
def test_cores_keep_to_the_quota(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    assert cores(made(tmp_path, files)) == expected


def test_affinity_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3})
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}
    assert cores(made(tmp_path, files)) == 1


@pytest.mark.parametrize(
    ("files", "total", "free"),
    [
        ({}, 64 * GB, 60 * GB),
        (
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.max": f"{4 * GB}\n",
                "sys/fs/cgroup/memory.current": f"{3 * GB}\n",
                "sys/fs/cgroup/memory.stat": f"anon {GB}\ninactive_file {2 * GB}\n",
            },
            4 * GB,
            3 * GB,
        ),
        (
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.max": "max\n",
                "sys/fs/cgroup/memory.current": f"{3 * GB}\n",
            },
            64 * GB,
            60 * GB,
        ),
        (
            {
                "proc/self/cgroup": "2:memory:/docker/0123abcd\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{6 * GB}\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{2 * GB}\n",
                "sys/fs/cgroup/memory/memory.stat": f"inactive_file 5\ntotal_inactive_file {GB}\n",
            },
            6 * GB,
            5 * GB,
        ),
        # version 1 without a limit: the largest number of whole pages
        (
            {
                "proc/self/cgroup": "2:memory:/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "1000\n",
            },
            64 * GB,
            60 * GB,
        ),
    ],
)
def test_memory_keeps_to_the_limit(tmp_path: Path, files: dict[str, str], total: int, free: int) -> None:
    assert memory(made(tmp_path, files)) == machine.Memory(total, free)
