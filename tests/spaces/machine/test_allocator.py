"""Freed memory is kept: the kernel need not find the pages of every batch anew."""

import subprocess
import sys

#: Prints how many pages are found while blocks of 64 MB are filled and freed in turn.
FAULTS = """
import resource, sys
import numpy as np
from atoll.spaces.machine.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory() and keep_freed_memory()
np.ones(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(2**23)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

#: Prints how many MiB are resident after 256 were used and freed, then after those were given back.
RESIDENT = """
import os
import numpy as np
from atoll.spaces.machine.allocator import give_freed_memory_back, keep_freed_memory

def resident():
    with open("/proc/self/statm") as stream:
        print(int(stream.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 2**20)

keep_freed_memory()
parts = [np.ones(2**20) for _ in range(32)]
del parts
resident()
assert give_freed_memory_back()
resident()
"""


def faults(how: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True, timeout=60
    )
    return int(run.stdout)


def test_large_blocks_are_not_found_anew_each_time() -> None:
    """A block of 64 MB has 16,384 pages of 4 KiB, or 32 huge ones where the kernel gives those."""
    kept, given_back = faults("kept"), faults("usual")
    assert given_back >= 5 * 32
    assert kept < given_back / 5


def test_what_was_kept_is_given_back_when_asked() -> None:
    run = subprocess.run(
        [sys.executable, "-c", RESIDENT], capture_output=True, text=True, check=True, timeout=60
    )
    kept, left = map(int, run.stdout.split())
    assert kept - left > 200
