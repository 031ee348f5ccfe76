"""The artifact as a C header for microcontrollers: its bytes, aligned, and the size of its tensor arena."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...hw_models.runtimes.micro import PACKAGE
from ...hw_models.runtimes.micro_arena import MARGIN, arena_of
from ...hw_models.runtimes.micro_plan import ALIGNMENT
from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from ...spaces.layers.scaling import Scaling
from ...spaces.layers.structure import scaling_of
from ...spaces.outside.foreign_file import damage_told, read_bytes
from ..litert.micro_run import has_interpreter, run_in_micro
from ..measuring.artifact import channels_last, shipped_logits
from .delivery import IMAGES, Form, Source, compare
from .micro_program import micro_program
from .micro_use import MicroUse, c_text, comment_lines

_NUMBERS_A_LINE = 24
#: of a byte's number with its comma and its share of a line's end; and of names, operators and classes
_TEXT_BYTES, _HEADER_BYTES = 5, 2**20
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
 *
{ends}
 * where a number on a grid is (integer - zero point) * scale.
 */
#ifndef {upper}_H_
#define {upper}_H_

#define {upper}_BYTES {size}
#define {upper}_TENSOR_BYTES {tensor_bytes}
#define {upper}_ARENA_BYTES {arena_bytes}

/* tflite::MicroMutableOpResolver<{upper}_OPERATORS> resolver; {upper}_ADD_OPERATORS(resolver); */
#define {upper}_OPERATORS {operators}
#define {upper}_ADD_OPERATORS(resolver) \\
    ({add_operators})
{classes}
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
_CLASSES = """\
#define {upper}_CLASSES {count}
#define {upper}_CLASS_NAMES {{ {names} }}
"""
#: Below this share of equal answers in LiteRT Micro the header is not offered. Its kernels round otherwise
#: than LiteRT's, by a few steps of the output's grid; what it computes wrongly agrees by chance (own choice).
_LEAST_AGREEMENT = 0.9
#: the program beside the header
PROGRAM = "micro_main.cc"


class CArray:
    """`model_data.h`."""

    name = "c_array"
    file = "model_data.h"
    beside: tuple[str, ...] = (PROGRAM,)
    risk = ""

    def __init__(self) -> None:
        # the interpreter runs the file where it is there
        self.packages: tuple[str, ...] = ("ai-edge-litert", *([PACKAGE] if has_interpreter() else []))

    def check(self) -> None:
        """Nothing beyond Atoll itself is needed."""

    def write(self, folder: Path, source: Source) -> str:
        """Writes the header and the program.

        Raises:
            AtollError: LiteRT Micro does not run the file; the message says which operator.
        """
        file = TfliteFile.parse(source.artifact)
        use, scaling = MicroUse.of(file), scaling_of(source.network)
        (folder / self.file).write_text(c_array(file, source.name, use, scaling, source.classes), "utf-8")
        stored = "float" if source.images.is_floating_point() else "uint8_t"
        program = micro_program(
            identifier(source.name), self.file, ALIGNMENT, use, scaling, source.classes, stored
        )
        (folder / PROGRAM).write_text(program, "utf-8")
        array = identifier(source.name)
        return (
            f"model.tflite as the array `{array}`, its operators, and `{array.upper()}_ARENA_BYTES`: tensors "
            f"and scratch as planned, what the runtime keeps, and {MARGIN:.0%} more; `{PROGRAM}` runs it once"
        )

    def measure(self, folder: Path, source: Source) -> dict[str, Any]:
        """Reads the array back, compares it with the artifact and plans the arena.

        Where LiteRT Micro's interpreter is installed it runs the file beside the network, in that arena.
        """
        if bytes_of(folder / self.file, len(source.artifact)) != source.artifact:
            raise AtollError(f"{self.file} holds other bytes than model.tflite")
        file = TfliteFile.parse(source.artifact)
        arena = arena_of(file)
        return {
            **MicroUse.of(file).to_json(),
            "classes": list(source.classes),
            "arena_bytes": arena.bytes,
            "arena_tensor_bytes": arena.tensor_bytes,
            "arena_scratch_bytes": arena.scratch_bytes,
            "arena_kept_bytes": arena.kept_bytes,
            **(_run_beside(source) if has_interpreter() else {}),
        }


def _run_beside(source: Source) -> dict[str, Any]:
    """Returns what the interpreter's allocator recorded, and how the file compares with its network.

    Raises:
        AtollError: it does not run the file, or the outputs are others.
    """
    scaling = scaling_of(source.network)
    images = channels_last(scaling.to_network(source.images[:IMAGES]))
    found = run_in_micro(source.artifact, images.numpy())
    if found.refusal:
        raise AtollError(
            f"LiteRT Micro's interpreter does not run the file in the {found.claimed_bytes:,} bytes that are "
            f"claimed: {found.refusal}"
        )
    rows = iter(zip(*found.outputs, strict=True))

    def run(_: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.from_numpy(np.moveaxis(one[None], -1, min(1, one.ndim))) for one in next(rows))

    compared = compare("LiteRT Micro", run, source, _LEAST_AGREEMENT, shipped_logits)
    return {"arena_recorded_bytes": found.recorded_bytes, **compared}


def c_array(file: TfliteFile, name: str, use: MicroUse, scaling: Scaling, classes: Sequence[str] = ()) -> str:
    """Returns the header for a file.

    Args:
        file: that was read.
        name: of the array, what need be no C identifier.
        use: what a program needs to run it.
        scaling: what makes of stored values what it takes.
        classes: names of what its output chooses among, whatever characters they have.
    """
    arena, array, content = arena_of(file), identifier(name), file.content
    lines = (content[start : start + _NUMBERS_A_LINE] for start in range(0, len(content), _NUMBERS_A_LINE))
    added = (f"(resolver).{method}() == kTfLiteOk" for method in use.operators)
    names = ", ".join(map(c_text, classes))
    upper = array.upper()
    return _TEMPLATE.format(
        name=array,
        upper=upper,
        size=len(content),
        alignment=ALIGNMENT,
        digest=hashlib.sha256(content).hexdigest(),
        tensor_bytes=arena.tensor_bytes,
        kept_bytes=arena.kept_bytes,
        begin_bytes=arena.begin_bytes,
        margin=f"{100 * MARGIN:g}",
        arena_bytes=arena.bytes,
        ends="\n".join(f" * {line}" for line in comment_lines(use, scaling)),
        operators=len(use.operators),
        add_operators=" && \\\n     ".join(added) or "true",
        classes=_CLASSES.format(upper=upper, count=len(classes), names=names) if classes else "",
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
