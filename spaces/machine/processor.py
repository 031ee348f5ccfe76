"""Which processor this is, as far as the time of a kernel depends on it."""

import platform
from functools import cache
from pathlib import Path

# What LiteRT's XNNPACK has kernels of its own for, the best first (names of /proc/cpuinfo).
_FLOAT = ("avx512f", "fma", "avx", "asimd", "neon")
_INT8 = ("amx_int8", "avx512_vnni", "avx_vnni", "avx512bw", "avx2", "i8mm", "asimddp", "asimd", "neon")


@cache
def this_processor() -> str:
    """Returns the name of this machine's processor and its kernels, empty where nothing is known."""
    try:
        return processor_of(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return platform.processor() or platform.machine()


def processor_of(cpuinfo: str) -> str:
    """Returns what `/proc/cpuinfo` says of the first processor: `NAME (float avx512f, int8 amx_int8)`."""
    said: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        said.setdefault(key.strip(), value.strip())
    name = said.get("model name") or platform.processor() or platform.machine()
    known = set((said.get("flags") or said.get("Features") or "").split())
    kernels = [
        f"{kind} {best}"
        for kind, flags in (("float", _FLOAT), ("int8", _INT8))
        if (best := next((flag for flag in flags if flag in known), None)) is not None
    ]
    return f"{name} ({', '.join(kernels)})" if kernels else name
