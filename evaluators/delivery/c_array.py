"""The artifact as a C header for microcontrollers: its bytes, aligned, and the size of its tensor arena."""

import hashlib
import re
from pathlib import Path
from typing import Any

from ...hw_models.runtimes.micro_arena import MARGIN, arena_of
from ...hw_models.runtimes.micro_plan import ALIGNMENT
from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from ...spaces.outside.foreign_file import damage_told, read_bytes
from .delivery import Form, Source

_NUMBERS_A_LINE = 24
#: of a byte's number with its comma and its share of a line's end; and of names and figures in the template
_TEXT_BYTES, _HEADER_BYTES = 5, 4096
_TEMPLATE = """\
/* model.tflite as an array, for LiteRT Micro; written by `atoll export --c-array`.
 * SHA-256 of the bytes: {digest}
 *
 * The interpreter needs {upper}_ARENA_BYTES of memory, aligned to {alignment}, counted and {margin} % more:
 *   {tensor_bytes} bytes of tensors and kernels' scratch, exact for its greedy planner,
 *   {kept_bytes} that it keeps with 64-bit pointers; a 32-bit target keeps less,
 *   and never less than {begin_bytes} in place of the tensors while it begins.
 * That is the arena of the reference kernels: those of CMSIS-NN may need more scratch.
 * MicroInterpreter::arena_used_bytes() tells what a build keeps. Include it in one source file.
 */
#ifndef {upper}_H_
#define {upper}_H_

#define {upper}_BYTES {size}
#define {upper}_TENSOR_BYTES {tensor_bytes}
#define {upper}_ARENA_BYTES {arena_bytes}

#if defined(__cplusplus)
#define {upper}_ALIGNED alignas({alignment})
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define {upper}_ALIGNED _Alignas({alignment})
#else
#define {upper}_ALIGNED __attribute__((aligned({alignment})))
#endif

{upper}_ALIGNED static const unsigned char {name}[{upper}_BYTES] = {{
{numbers}
}};

#endif
"""


class CArray:
    """`model_data.h`."""

    name = "c_array"
    file = "model_data.h"
    beside: tuple[str, ...] = ()
    packages: tuple[str, ...] = ("ai-edge-litert",)
    risk = ""

    def check(self) -> None:
        """Nothing beyond Atoll itself is needed."""

    def write(self, folder: Path, source: Source) -> str:
        """Writes the header."""
        (folder / self.file).write_text(c_array(source.artifact, source.name), encoding="utf-8")
        array = identifier(source.name)
        return (
            f"model.tflite as the array `{array}`, and `{array.upper()}_ARENA_BYTES`: tensors and "
            f"scratch as planned and what the runtime keeps, counted, and {MARGIN:.0%} more"
        )

    def measure(self, folder: Path, source: Source) -> dict[str, Any]:
        """Reads the array back, compares it with the artifact and plans the arena."""
        if bytes_of(folder / self.file, len(source.artifact)) != source.artifact:
            raise AtollError(f"{self.file} holds other bytes than model.tflite")
        arena = arena_of(TfliteFile.parse(source.artifact))
        return {
            "arena_bytes": arena.bytes,
            "arena_tensor_bytes": arena.tensor_bytes,
            "arena_scratch_bytes": arena.scratch_bytes,
            "arena_kept_bytes": arena.kept_bytes,
        }


def c_array(content: bytes, name: str) -> str:
    """Returns the header for the bytes of a `.tflite` file; `name` need be no C identifier."""
    arena, array = arena_of(TfliteFile.parse(content)), identifier(name)
    lines = (content[start : start + _NUMBERS_A_LINE] for start in range(0, len(content), _NUMBERS_A_LINE))
    return _TEMPLATE.format(
        name=array,
        upper=array.upper(),
        size=len(content),
        alignment=ALIGNMENT,
        digest=hashlib.sha256(content).hexdigest(),
        tensor_bytes=arena.tensor_bytes,
        kept_bytes=arena.kept_bytes,
        begin_bytes=arena.begin_bytes,
        margin=f"{100 * MARGIN:g}",
        arena_bytes=arena.bytes,
        numbers=",\n".join(",".join(map(str, line)) for line in lines),
    )


def identifier(name: str) -> str:
    """Returns a name as a C identifier of small letters, digits and underscores that begins with `atoll_`."""
    return "atoll_" + re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def bytes_of(header: Path, size: int) -> bytes:
    """Returns the bytes of the array in a header, about so many.

    Raises:
        AtollError: it holds no such array.
    """
    text = read_bytes(header, len(_TEMPLATE) + _HEADER_BYTES + _TEXT_BYTES * size).decode(errors="replace")
    found = re.search(r"= \{([\d,\s]*)\};", text)
    if found is None:
        raise AtollError(f"{header.name} holds no array of bytes")
    with damage_told(f"{header.name} holds no array of bytes"):
        return bytes(int(number) for number in found[1].split(",") if number.strip())


FORM: Form = CArray()
