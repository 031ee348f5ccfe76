"""What the C library does with memory that is freed: by default the large blocks go back to the kernel."""

import ctypes
from functools import cache

#: parameters of mallopt(3), from glibc's malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_MOST = 2**31 - 1  # bytes, the largest that mallopt takes


@cache
def keep_freed_memory() -> bool:
    """Has this process keep freed memory for its next allocation; once is enough.

    glibc maps every block above 32 MB anew, and the kernel fills each of its pages with zeros first. The maps
    of a batch are such blocks: that took 40 % of a training step on 64 images of 3x64x64 (180 ms, without it
    105; papers' CNN, one thread, own measurement, 2026). What is computed stays the same. In return a process
    holds the most that it used since `give_freed_memory_back`: 573 of 600 MiB that were freed (own
    measurement, 2026).

    Returns:
        Whether it does: a C library other than glibc may have no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _MOST))


def give_freed_memory_back() -> bool:
    """Gives what this process freed back to the kernel (malloc_trim(3)); what it allocates next it may keep.

    Between two trials of a worker: the first may have been of a network or a batch that no other needs.

    Returns:
        Whether there was any: a C library other than glibc may have no such call.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))
