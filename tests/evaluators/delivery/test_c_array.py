"""The header compiles as C and as C++ and holds the file's bytes, aligned."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from atoll.evaluators.delivery.c_array import FORM, bytes_of, c_array, identifier
from atoll.evaluators.delivery.delivery import Source
from atoll.evaluators.litert import operators
from atoll.evaluators.litert.writer import TfliteModel
from atoll.hw_models.runtimes.micro_arena import Arena, arena_of
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.errors import AtollError

PROGRAM = """
#include "model_data.h"
#include "model_data.h" /* the guard holds */
#include <stdint.h>
#include <stdio.h>
int main(void)
{
    if ((uintptr_t)atoll_digits_t0003 % 16 != 0)
        return 1;
    fprintf(stderr, "%d %d", ATOLL_DIGITS_T0003_BYTES, ATOLL_DIGITS_T0003_ARENA_BYTES);
    return fwrite(atoll_digits_t0003, 1, sizeof atoll_digits_t0003, stdout) != ATOLL_DIGITS_T0003_BYTES;
}
"""
COMPILERS = {"c99": ("cc", "c"), "c11": ("cc", "c"), "c++17": ("c++", "cc")}


@pytest.fixture(scope="module")
def content() -> bytes:
    model = TfliteModel()
    x = model.add_input((1, 16))
    weight = model.add_constant(np.random.default_rng(0).normal(size=(8, 16)), "float32")
    model.outputs = [operators.fully_connected(model, x, weight)]
    return model.to_bytes()


def arena_in(content: bytes) -> Arena:
    return arena_of(TfliteFile.parse(content))


def source(content: bytes) -> Source:
    return Source("digits t0003", None, content, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("standard", COMPILERS)
def test_it_compiles_and_holds_the_bytes(content: bytes, tmp_path: Path, standard: str) -> None:
    compiler, ending = COMPILERS[standard]
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    FORM.write(tmp_path, source(content))
    program = tmp_path / f"main.{ending}"
    program.write_text(PROGRAM)
    flags = [f"-std={standard}", "-Wall", "-Wextra", "-pedantic", "-Werror", "-o", str(tmp_path / "main")]
    subprocess.run([compiler, *flags, str(program)], check=True)
    found = subprocess.run([tmp_path / "main"], capture_output=True, check=True)
    assert found.stdout == content
    assert found.stderr.decode().split() == [str(len(content)), str(arena_in(content).bytes)]


def test_it_says_what_it_is(content: bytes) -> None:
    text = c_array(content, "digits t0003")
    arena = arena_in(content)
    assert hashlib.sha256(content).hexdigest() in text
    assert f" {arena.tensor_bytes} bytes of tensors and kernels' scratch, exact" in text
    assert f"\n *   {arena.kept_bytes} that it keeps with 64-bit pointers" in text
    assert "those of CMSIS-NN may need more scratch" in text and "counted and 2 % more" in text


def test_another_file_s_array_is_found_out(content: bytes, tmp_path: Path) -> None:
    FORM.write(tmp_path, source(content))
    assert bytes_of(tmp_path / FORM.file, len(content)) == content
    assert FORM.measure(tmp_path, source(content))["arena_bytes"] == arena_in(content).bytes
    with pytest.raises(AtollError, match=r"model_data\.h holds other bytes than model\.tflite"):
        FORM.measure(tmp_path, source(content + b"0"))
    (tmp_path / FORM.file).write_text("int x;")
    with pytest.raises(AtollError, match="holds no array of bytes"):
        FORM.measure(tmp_path, source(content))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("digits_t0003", "atoll_digits_t0003"), ("My Task-7/é", "atoll_my_task_7"), ("7", "atoll_7")],
)
def test_names_become_identifiers(name: str, expected: str) -> None:
    assert identifier(name) == expected
