"""The container comes back byte for byte, by Python and by C; what is cut or damaged is told."""

import ctypes.util
import hashlib
import lzma
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zstandard
from atoll.evaluators.delivery import container as container_module
from atoll.evaluators.delivery.container import READERS, pack_content, unpack_content
from atoll.spaces.errors import AtollError
from hypothesis import example, given
from hypothesis import strategies as st

PYTHON_READER, C_READER = READERS
SPARSE = np.where(np.random.default_rng(0).random(20_000) < 0.9, 0, 7).astype(np.int8).tobytes()
CC = shutil.which("cc")
needs_cc = pytest.mark.skipif(CC is None, reason="no C compiler")
C_FLAGS = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]
#: what `zstd.h` declares of what the reader calls, for machines that have the library alone
ZSTD_HEADER = """#include <stddef.h>
size_t ZSTD_decompress(void *, size_t, const void *, size_t);
unsigned ZSTD_isError(size_t);
"""


def container(codec: int, packed: bytes, content: bytes, **changed: int) -> bytes:
    """A container by the description in the reader, its fields changed where told."""
    fields = {"version": 1, "codec": codec, "size": len(content), "packed_size": len(packed), **changed}
    version, codec, size, packed_size = fields.values()
    head = struct.pack("<HHIQQ", version, codec, 0, size, packed_size)
    return b"\x89ATOLL\r\n" + head + hashlib.sha256(content).digest() + packed


def by_zstd(content: bytes) -> bytes:
    return container(2, zstandard.ZstdCompressor(level=19).compress(content), content)


def by_lzma(content: bytes) -> bytes:
    return container(1, lzma.compress(content, lzma.FORMAT_ALONE), content)


@given(st.binary(max_size=300))
@example(b"")
@example(bytes(100_000))
def test_content_comes_back(content: bytes) -> None:
    for form in (pack_content(content).container, by_zstd(content), by_lzma(content)):
        assert unpack_content(form) == content


def test_the_smaller_codec_is_taken_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack_content(SPARSE)
    sizes = {"zstd-19": len(by_zstd(SPARSE)), "lzma": len(by_lzma(SPARSE))}
    assert packed.codec == min(sizes, key=sizes.__getitem__)
    assert len(packed.container) <= min(sizes.values())
    assert len(packed.container) < len(SPARSE) / 6  # nine of ten are zero
    monkeypatch.setattr(container_module, "zstd_packed", lambda content: b"")
    assert pack_content(SPARSE).codec == "zstd-19"


def test_same_content_same_container() -> None:
    assert pack_content(SPARSE) == pack_content(SPARSE)


GOOD = pack_content(b"model" * 50).container
BAD = {
    "empty": (b"", "got 0 bytes, a container has a header of 64"),
    "something else": (b"TFL3" * 40, r"begins with b'TFL3TFL3', a container begins with b'\\x89ATOLL"),
    "cut": (GOOD[:-3], "packed bytes, the header names .*: the file is cut"),
    "longer": (GOOD + b"0", "packed bytes, the header names .*: the file is cut"),
    "newer": (container(1, b"", b"", version=2), "got a container of version 2, this reader knows 1"),
    "codec": (container(7, b"", b""), r"got codec 7, allowed are 1 \(lzma\) and 2 \(zstd\)"),
    "huge": (container(1, b"", b"", size=2**40), "got a content of 1099511627776 bytes, allowed are"),
    "a bomb by zstd": (
        container(2, zstandard.compress(bytes(2**25)), bytes(2**25)),
        "got a content of 33554432 bytes, allowed are 16777216",
    ),
    "a bomb by lzma": (
        by_lzma(bytes(2**25)),
        "got a content of 33554432 bytes, allowed are 16777216",
    ),
    "a bomb by a large dictionary": (
        container(1, by_lzma(b"abc")[64:65] + (2**31).to_bytes(4, "little") + by_lzma(b"abc")[69:], b"abc"),
        "the packed bytes are damaged: ",
    ),
    "no lzma": (container(1, b"\xff" * 30, b"x"), "the packed bytes are damaged: "),
    "no zstd": (container(2, b"\xff" * 30, b"x"), "the packed bytes are damaged: "),
    "other size": (
        by_lzma(b"abc")[:16] + b"\x02" + by_lzma(b"abc")[17:],
        "bytes of content, the header names 2",
    ),
    "other zstd size": (
        by_zstd(b"abc")[:16] + b"\x04" + by_zstd(b"abc")[17:],
        "a zstd frame of 3 bytes, the header names 4",
    ),
    "other content": (GOOD[:40] + bytes([GOOD[40] ^ 1]) + GOOD[41:], "another SHA-256 than the header names"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_whole_container_is_told(name: str) -> None:
    content, message = BAD[name]
    with pytest.raises(AtollError, match=message + r".*; allowed is what `atoll export --pack` wrote"):
        unpack_content(content)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_changed_byte_goes_unseen(position: int, change: int) -> None:
    damaged = GOOD[:position] + bytes([GOOD[position] ^ change]) + GOOD[position + 1 :]
    try:
        assert unpack_content(damaged) == b"model" * 50  # the four unused bytes, or one that decodes alike
    except AtollError as error:
        assert "\n" not in str(error)


def test_the_python_reader_stands_alone(tmp_path: Path) -> None:
    reader = shutil.copy(PYTHON_READER, tmp_path)
    (tmp_path / "in").write_bytes(pack_content(SPARSE).container)
    words = [sys.executable, "-I", reader, tmp_path / "in", tmp_path / "out"]
    subprocess.run(words, check=True)
    assert (tmp_path / "out").read_bytes() == SPARSE
    (tmp_path / "in").write_bytes(GOOD[:-1])
    found = subprocess.run(words, capture_output=True, text=True)
    assert found.returncode == 2
    assert "the file is cut" in found.stderr and "Traceback" not in found.stderr


def test_the_python_reader_reads_no_more_than_the_header_says(tmp_path: Path) -> None:
    """Neither a device without an end nor a file of holes behind a header fills memory."""
    (tmp_path / "sparse").write_bytes(GOOD)
    os.truncate(tmp_path / "sparse", 2**40)
    limit = (
        "import resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    for place, said in (("/dev/zero", "a container begins with"), (tmp_path / "sparse", "the file is cut")):
        words = [sys.executable, "-I", "-c", limit, PYTHON_READER, place, tmp_path / "out"]
        found = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert (found.returncode, found.stderr.count("\n")) == (2, 1)
        assert said in found.stderr
    assert not (tmp_path / "out").exists()


# In C --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def c_reader(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bool]:
    """The compiled reader with lzma, and whether zstd could be linked too."""
    folder = tmp_path_factory.mktemp("reader")
    program, linked = folder / "unpack", ["-DATOLL_LZMA", "-llzma"]
    zstd = ctypes.util.find_library("zstd")
    if zstd is not None:
        (folder / "zstd.h").write_text(ZSTD_HEADER)
        linked += ["-DATOLL_ZSTD", f"-I{folder}", f"-l:{zstd}"]
    words = [str(CC), *C_FLAGS, str(C_READER), "-o", str(program), *linked]
    if subprocess.run(words, capture_output=True).returncode:
        pytest.skip("liblzma is not there to link")
    return program, zstd is not None


@needs_cc
@pytest.mark.parametrize("define", [[], ["-DATOLL_NO_MAIN"]])
def test_the_c_reader_compiles_without_a_library(tmp_path: Path, define: list[str]) -> None:
    words = [str(CC), *C_FLAGS, *define, "-c", str(C_READER), "-o", str(tmp_path / "unpack.o")]
    found = subprocess.run(words, capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")


@needs_cc
@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 119, 120, 20_000])
def test_the_c_reader_gives_the_content(c_reader: tuple[Path, bool], tmp_path: Path, size: int) -> None:
    """The sizes are those about the ends of SHA-256's blocks."""
    program, with_zstd = c_reader
    content = SPARSE[:size]
    for form in (by_lzma(content), *([by_zstd(content)] if with_zstd else [])):
        (tmp_path / "in").write_bytes(form)
        subprocess.run([program, tmp_path / "in", tmp_path / "out"], check=True)
        assert (tmp_path / "out").read_bytes() == content


@needs_cc
@pytest.mark.parametrize("name", BAD)
def test_the_c_reader_refuses_what_is_no_whole_container(
    c_reader: tuple[Path, bool], tmp_path: Path, name: str
) -> None:
    (tmp_path / "in").write_bytes(BAD[name][0])
    words = [c_reader[0], tmp_path / "in", tmp_path / "out"]
    found = subprocess.run(words, capture_output=True, text=True)
    assert found.returncode == 2
    assert found.stderr.startswith(f"{tmp_path / 'in'}: ") and found.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
