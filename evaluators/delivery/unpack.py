"""Unpacks a file that `atoll export --pack` wrote: python unpack.py model.tflite.packed model.tflite

Needs Python 3.9 or newer, and for codec zstd the package `zstandard`; stands alone otherwise.

The container, numbers little-endian:

offset  bytes  content
     0      8  magic: 89 41 54 4F 4C 4C 0D 0A (0x89, "ATOLL", CR, LF)
     8      2  version of this header: 1
    10      2  codec: 1 lzma (the .lzma format of LZMA 1), 2 zstd (one frame)
    12      4  zero
    16      8  size of the content in bytes
    24      8  size of the packed bytes, which follow the header
    32     32  SHA-256 of the content
    64         packed bytes
"""

import hashlib
import lzma
import struct
import sys
from pathlib import Path

MAGIC = b"\x89ATOLL\r\n"
VERSION = 1
LZMA, ZSTD = 1, 2
HEADER = struct.Struct("<8sHHIQQ32s")
#: a wrong size must not exhaust the machine: of the content (a .tflite file is no larger), of the content by
#: the bytes that it was packed into, whichever is more (weights pruned by 99 % and binarized give 350, by
#: their entropy; zeros alone 7,000 and more), and of a decoder beside its dictionary
LARGEST_BYTES = 2**31 - 1
ALWAYS_BYTES, LARGEST_RATIO = 2**24, 1000
DECODER_BYTES = 2**24


class UnpackError(ValueError):
    """A container is damaged or none; the message says what was found and what is allowed."""


def unpack(container: bytes) -> bytes:
    """Returns the content of a container.

    Raises:
        UnpackError: it is no container, cut, damaged, or of another version or codec.
    """
    if len(container) < HEADER.size:
        raise UnpackError(f"got {len(container)} bytes, a container has a header of {HEADER.size}")
    magic, version, codec, _, size, packed_size, digest = HEADER.unpack_from(container)
    if magic != MAGIC:
        raise UnpackError(f"got a file that begins with {magic!r}, a container begins with {MAGIC!r}")
    if version != VERSION:
        raise UnpackError(f"got a container of version {version}, this reader knows {VERSION}")
    if codec not in (LZMA, ZSTD):
        raise UnpackError(f"got codec {codec}, allowed are {LZMA} (lzma) and {ZSTD} (zstd)")
    packed = container[HEADER.size :]
    if len(packed) != packed_size:
        raise UnpackError(f"got {len(packed)} packed bytes, the header names {packed_size}: the file is cut")
    most = min(LARGEST_BYTES, max(ALWAYS_BYTES, LARGEST_RATIO * packed_size))
    if size > most:
        raise UnpackError(f"got a content of {size} bytes, allowed are {most}: the header is damaged")
    content = _unpack_lzma(packed, size) if codec == LZMA else _unpack_zstd(packed, size)
    if len(content) != size:
        raise UnpackError(
            f"got {len(content)} bytes of content, the header names {size}: the file is damaged"
        )
    if hashlib.sha256(content).digest() != digest:
        raise UnpackError("the content has another SHA-256 than the header names: the file is damaged")
    return content


def _unpack_lzma(packed: bytes, size: int) -> bytes:
    try:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=2 * size + DECODER_BYTES)
        return decoder.decompress(packed, max_length=size + 1)
    except (lzma.LZMAError, MemoryError) as error:
        raise UnpackError(f"the packed bytes are damaged: {error}") from error


def _unpack_zstd(packed: bytes, size: int) -> bytes:
    try:
        import zstandard
    except ImportError as error:
        raise UnpackError("codec zstd needs the package zstandard: pip install zstandard") from error
    try:
        named = zstandard.frame_content_size(packed)
        if named != size:
            raise UnpackError(f"got a zstd frame of {named} bytes, the header names {size}: it is damaged")
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=size)
    except (zstandard.ZstdError, MemoryError) as error:
        raise UnpackError(f"the packed bytes are damaged: {error}") from error


def _read(path: str) -> bytes:
    """Returns a file as far as its header says, and a byte more: a device has no end."""
    with open(path, "rb") as stream:
        parts = [stream.read(HEADER.size)]
        whole = len(parts[0]) == HEADER.size and parts[0].startswith(MAGIC)
        left = HEADER.unpack(parts[0])[5] + 1 if whole else 0
        while left and (part := stream.read(min(left, 2**20))):
            parts.append(part)
            left -= len(part)
    return b"".join(parts)


def main(words: "list[str]") -> int:
    """Unpacks words[0] to words[1]; returns the exit status."""
    if len(words) != 2:
        print("usage: python unpack.py PACKED OUT", file=sys.stderr)
        return 2
    try:
        Path(words[1]).write_bytes(unpack(_read(words[0])))
    except (UnpackError, OSError) as error:
        print(f"{words[0]}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
