"""The artifact as a compressed container, with readers in Python and in C beside it."""

from pathlib import Path
from typing import Any

from ...spaces.errors import AtollError
from ...spaces.outside.foreign_file import read_bytes
from .container import READERS, codec_of, content_size, pack_content, unpack_content
from .delivery import Form, Source


class PackedFile:
    """`model.tflite.packed`, `unpack.py`, `unpack.c`."""

    name = "pack"
    file = "model.tflite.packed"
    beside: tuple[str, ...] = tuple(reader.name for reader in READERS)
    packages: tuple[str, ...] = ("zstandard",)
    risk = ""

    def check(self) -> None:
        """Nothing beyond Atoll itself is needed."""

    def write(self, folder: Path, source: Source) -> str:
        """Writes the container and its readers."""
        packed = pack_content(source.artifact)
        (folder / self.file).write_bytes(packed.container)
        for reader in READERS:
            (folder / reader.name).write_bytes(reader.read_bytes())
        return f"model.tflite after {packed.codec}; `python unpack.py {self.file} model.tflite` gives it back"

    def measure(self, folder: Path, source: Source) -> dict[str, Any]:
        """Unpacks the container and compares its content."""
        container = read_bytes(folder / self.file)
        if content_size(container) != len(source.artifact):  # before that much is unpacked
            raise AtollError(f"{self.file} holds another file than model.tflite")
        content = unpack_content(container)
        if content != source.artifact:
            raise AtollError(f"{self.file} holds another file than model.tflite")
        return {"codec": codec_of(container), "content_bytes": len(content)}


FORM: Form = PackedFile()
