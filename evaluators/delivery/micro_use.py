"""What a program for LiteRT Micro has to know of a file: its operators, what goes in and out, its classes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from ...hw_models.runtimes.micro import refused
from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from ...spaces.layers.scaling import Scaling
from ..measuring.file_ends import FileEnd, FileInterface

#: operators whose method is not spelt as their name is
_SPELT = {"PADV2": "PadV2", "BATCH_MATMUL": "BatchMatMul"}


def resolver_method(operator: str) -> str:
    """Returns the method of `MicroMutableOpResolver` that adds an operator of the schema.

    >>> resolver_method("DEPTHWISE_CONV_2D"), resolver_method("RELU6"), resolver_method("PADV2")
    ('AddDepthwiseConv2D', 'AddRelu6', 'AddPadV2')
    """
    parts = ("2D" if part == "2D" else part.capitalize() for part in operator.split("_"))
    return "Add" + _SPELT.get(operator, "".join(parts))


@dataclass(frozen=True)
class MicroUse:
    """What a program needs to run a file.

    Args:
        operators: methods of the resolver that add them, each once.
        inputs, outputs: in the file's order.
    """

    operators: list[str]
    inputs: list[FileEnd]
    outputs: list[FileEnd]

    @classmethod
    def of(cls, file: TfliteFile) -> Self:
        """Reads it off a file.

        Raises:
            AtollError: LiteRT Micro does not run it; the message says which operator.
        """
        check_runs(refused(file))
        found = FileInterface.of(file)
        return cls([*map(resolver_method, found.operators)], found.inputs, found.outputs)

    def to_json(self) -> dict[str, Any]:
        """Returns it in JSON's own types."""
        return asdict(self)


def check_runs(reason: str) -> None:
    """Refuses what LiteRT Micro does not run.

    Args:
        reason: why not; nothing where it does.

    Raises:
        AtollError: it does not.
    """
    if reason:
        raise AtollError(
            f"--c-array: LiteRT Micro does not load this file: {reason}; a study with "
            "`runtime: litert-micro` finds what it loads"
        )


def comment_lines(use: MicroUse, scaling: Scaling) -> list[str]:
    """Returns inputs, outputs and the scaling of what is stored in words, a line each, for a comment of C."""
    lines = []
    for what, ends in (("input", use.inputs), ("output", use.outputs)):
        for number, end in enumerate(ends):
            size = "x".join(map(str, end.shape))
            on_grid = f", scale {end.scale!r}, zero point {end.zero_point}" if end.scale is not None else ""
            lines.append(f"{what} {number}: {end.type} {size}{on_grid}")
    channels = "" if scaling.channels is None else " of every channel"
    lines.append(
        f"in goes (stored - mean) / std{channels}: mean {_few(scaling.mean)}, std {_few(scaling.std)}"
    )
    return lines


def _few(numbers: Sequence[float], most: int = 4) -> str:
    return ", ".join(f"{one:.6g}" for one in numbers[:most]) + ", ..." * (len(numbers) > most)


def c_text(text: str) -> str:
    """Returns a text as a literal of C: whatever is not plain ASCII as octal bytes, so that nothing ends it.

    What is no Unicode, such as bytes of a folder's name, is written as `shown` has it.

    >>> print(c_text('a "b" \\u00e9'))
    "a \\042b\\042 \\303\\251"
    """
    plain = {*range(32, 127)} - set(b'"\\?')
    encoded = text.encode("utf-8", "backslashreplace")
    return '"' + "".join(chr(one) if one in plain else f"\\{one:03o}" for one in encoded) + '"'
