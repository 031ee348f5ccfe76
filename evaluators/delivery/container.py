"""The compressed container: an artifact as zstd or lzma, whichever is smaller, behind a header of 64 bytes.

`unpack.py` describes the header and is the reader that is shipped beside the container, `unpack.c` is the
same in C.
"""

import hashlib
import lzma
from pathlib import Path
from typing import NamedTuple

from ...spaces.errors import AtollError
from ..measuring.artifact import zstd_packed
from .unpack import HEADER, LZMA, MAGIC, VERSION, ZSTD, UnpackError, unpack

CODEC_NAMES = {LZMA: "lzma", ZSTD: "zstd-19"}
READERS = tuple(Path(__file__).with_name(name) for name in ("unpack.py", "unpack.c"))
#: (literal context, literal position, position bits) of LZMA that are tried, for bytes and for words of four;
#: (3, 0, 2), its default, and (4, 0, 0) gave up to a tenth more than the better of them (measured, 2026)
_LZMA_MODELS = ((0, 0, 0), (0, 2, 2))
#: the decoder needs as much memory as the dictionary has, so it is no larger than the content; least of LZMA
_LEAST_DICTIONARY_BYTES = 4096


class Packed(NamedTuple):
    """A container: its bytes, and the name of the codec that made the smaller one."""

    container: bytes
    codec: str


def pack_content(content: bytes) -> Packed:
    """Packs bytes with zstd at level 19 and with lzma, and keeps the smaller; same input, same bytes."""
    candidates = [(ZSTD, zstd_packed(content)), *((LZMA, _lzma(content, *model)) for model in _LZMA_MODELS)]
    codec, packed = min(candidates, key=lambda candidate: len(candidate[1]))
    digest = hashlib.sha256(content).digest()
    header = HEADER.pack(MAGIC, VERSION, codec, 0, len(content), len(packed), digest)
    return Packed(header + packed, CODEC_NAMES[codec])


def unpack_content(container: bytes) -> bytes:
    """Returns the content of a container.

    Raises:
        AtollError: it is no container, cut or damaged.
    """
    try:
        return unpack(container)
    except UnpackError as error:
        raise AtollError(f"{error}; allowed is what `atoll export --pack` wrote") from error


def content_size(container: bytes) -> int | None:
    """Returns the size in bytes that a header gives its content; None where there is no header."""
    return HEADER.unpack_from(container)[4] if len(container) >= HEADER.size else None


def codec_of(container: bytes) -> str:
    """Returns the name of a container's codec; the container must be whole."""
    return CODEC_NAMES[HEADER.unpack_from(container)[2]]


def _lzma(content: bytes, context: int, position: int, alignment: int) -> bytes:
    dictionary = max(_LEAST_DICTIONARY_BYTES, 1 << (max(len(content), 1) - 1).bit_length())
    settings = {
        "id": lzma.FILTER_LZMA1,
        "preset": 9 | lzma.PRESET_EXTREME,
        "dict_size": dictionary,
        "lc": context,
        "lp": position,
        "pb": alignment,
    }
    return lzma.compress(content, format=lzma.FORMAT_ALONE, filters=[settings])
