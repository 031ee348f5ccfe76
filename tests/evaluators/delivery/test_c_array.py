"""The header compiles as C and as C++ and holds the file's bytes, aligned."""

import hashlib
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from atoll.evaluators.delivery import c_array
from atoll.evaluators.delivery.c_array import FORM, PROGRAM, bytes_of, identifier
from atoll.evaluators.delivery.delivery import Source, compare
from atoll.evaluators.delivery.micro_program import micro_program
from atoll.evaluators.delivery.micro_use import MicroUse, c_text, resolver_method
from atoll.evaluators.litert import operators
from atoll.evaluators.litert.micro_run import MicroRun
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.writer import TfliteModel
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.evaluators.tasks.number_qualities import MeanAbsoluteError
from atoll.hw_models.runtimes.micro import READS, WEIGHTS
from atoll.hw_models.runtimes.micro_arena import Arena, arena_of
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.scaling import IMAGENET, PIXELS, Scaling
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import World
from torch import nn

HOLDER = """
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


@pytest.fixture
def no_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """These files are no network's: nothing beside which LiteRT Micro could run them."""
    monkeypatch.setattr(c_array, "has_interpreter", lambda: False)


def arena_in(content: bytes) -> Arena:
    return arena_of(TfliteFile.parse(content))


def source(content: bytes, classes: tuple[str, ...] = ()) -> Source:
    return Source("digits t0003", nn.Identity(), content, torch.zeros(1, 1, 4, 4).byte(), classes=classes)


def on_grids(width: int = 8, weights: str = "int8") -> bytes:
    """4 x 4 x 2 -> convolution with 3 outputs -> dense, int8."""
    model, grid = TfliteModel(), TensorGrid(0.5, 3)
    x = model.add_input((1, 4, 4, 2), grid)
    weight = model.add_constant(np.ones((3, 3, 3, 2), int), "int8", np.full(3, 0.25))
    bias = model.add_constant(np.zeros(3, int), "int32", np.full(3, np.float32(0.125)))
    x = operators.conv_2d(model, x, weight, bias, grid)
    scales = np.linspace(0.25, 0.5, width)
    dense = model.add_constant(np.ones((width, 48), int), weights, scales)
    model.outputs = [operators.fully_connected(model, x, dense, grid=TensorGrid(1.5, -7))]
    return model.to_bytes()


@pytest.mark.parametrize("standard", COMPILERS)
def test_it_compiles_and_holds_the_bytes(content: bytes, tmp_path: Path, standard: str) -> None:
    compiler, ending = COMPILERS[standard]
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    FORM.write(tmp_path, source(content))
    program = tmp_path / f"main.{ending}"
    program.write_text(HOLDER)
    flags = [f"-std={standard}", "-Wall", "-Wextra", "-pedantic", "-Werror", "-o", str(tmp_path / "main")]
    subprocess.run([compiler, *flags, str(program)], check=True)
    found = subprocess.run([tmp_path / "main"], capture_output=True, check=True)
    assert found.stdout == content
    assert found.stderr.decode().split() == [str(len(content)), str(arena_in(content).bytes)]


def test_it_says_what_it_is(content: bytes, tmp_path: Path) -> None:
    FORM.write(tmp_path, source(content))
    text = (tmp_path / FORM.file).read_text()
    arena = arena_in(content)
    assert hashlib.sha256(content).hexdigest() in text
    assert f" {arena.tensor_bytes} bytes of tensors and kernels' scratch, exact" in text
    assert f"\n *   {arena.kept_bytes} that it keeps with 64-bit pointers" in text
    assert "those of CMSIS-NN may need more scratch" in text and "counted and 2 % more" in text


@pytest.mark.usefixtures("no_interpreter")
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


def test_what_micro_does_not_run_is_no_header(tmp_path: Path) -> None:
    with pytest.raises(AtollError) as caught:
        FORM.write(tmp_path, source(on_grids(weights="int4")))
    assert str(caught.value) == (
        "--c-array: LiteRT Micro does not load this file: it does not run FULLY_CONNECTED with int4 weights "
        "of a scale a channel; a study with `runtime: litert-micro` finds what it loads"
    )
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("no_interpreter")
def test_the_header_lists_operators_ends_and_scaling(tmp_path: Path) -> None:
    content = on_grids()
    FORM.write(tmp_path, source(content, ('a "quoted" name */', "é", *"cdefgh")))
    text = (tmp_path / FORM.file).read_text(encoding="ascii")
    for line in (
        " * input 0: int8 1x4x4x2, scale 0.5, zero point 3",
        " * output 0: int8 1x8, scale 1.5, zero point -7",
        " * in goes (stored - mean) / std: mean 127.5, std 127.5",
        "#define ATOLL_DIGITS_T0003_OPERATORS 2",
        "#define ATOLL_DIGITS_T0003_CLASSES 8",
    ):
        assert f"{line}\n" in text
    assert "(resolver).AddConv2D() == kTfLiteOk" in text and "(resolver).AddFullyConnected()" in text
    assert bytes_of(tmp_path / FORM.file, len(content)) == content
    told = FORM.measure(tmp_path, source(content, tuple("abcdefgh")))
    assert told["classes"] == [*"abcdefgh"]
    assert told["operators"] == ["AddConv2D", "AddFullyConnected"]
    assert (told["inputs"][0]["scale"], told["outputs"][0]["zero_point"]) == (0.5, -7)


STUB = Path(__file__).parent / "micro_stub"


# An interpreter that gives class 5 the input's first integer and the others less by one.
INTERPRETER = """
#include "tensorflow/lite/micro/micro_interpreter.h"
namespace tflite {
int8_t in[32], out[8];
TfLiteTensor input_tensor = {kTfLiteInt8, {}, {0.5f, 3}}, output_tensor = {kTfLiteInt8, {}, {1.5f, -7}};
const Model* GetModel(const void* bytes) { return static_cast<const Model*>(bytes); }
MicroInterpreter::MicroInterpreter(const Model*, const MicroOpResolver&, uint8_t*, size_t) {}
TfLiteStatus MicroInterpreter::AllocateTensors() {
  input_tensor.data.int8 = in;
  output_tensor.data.int8 = out;
  return kTfLiteOk;
}
TfLiteStatus MicroInterpreter::Invoke() {
  for (int i = 0; i < 8; ++i) out[i] = static_cast<int8_t>(in[31] - (i != 5));
  return in[31] == SAID ? kTfLiteOk : kTfLiteError;
}
TfLiteTensor* MicroInterpreter::input(size_t) { return &input_tensor; }
TfLiteTensor* MicroInterpreter::output(size_t) { return &output_tensor; }
size_t MicroInterpreter::arena_used_bytes() const { return 7; }
}  // namespace tflite
"""


def test_the_program_feeds_the_grid_and_prints_the_class(tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no g++")
    FORM.write(tmp_path, source(on_grids(), tuple("abcdefgh")))
    (tmp_path / "interpreter.cc").write_text(INTERPRETER)
    # a stored 0 is -1, which is round(-1 / 0.5) + 3
    command = ["g++", "-std=c++17", "-DSAID=1", "-I", str(STUB), "-o", str(tmp_path / "main")]
    subprocess.run([*command, str(tmp_path / PROGRAM), str(tmp_path / "interpreter.cc")], check=True)
    found = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
    arena = arena_in(on_grids()).bytes
    assert found.stdout.splitlines() == [f"arena: 7 of {arena} bytes used", "class 5: f"]


def check_syntax(folder: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no g++")
    flags = ["-std=c++17", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]
    subprocess.run(["g++", *flags, "-I", str(STUB), "-I", str(folder), str(folder / PROGRAM)], check=True)


@pytest.mark.parametrize(
    ("scaling", "classes"),
    [
        (IMAGENET, ("one", "two")),  # of a map, say: not one number a class
        (Scaling((127.5,), (127.5,)), ("0", "two\nlines", "\\", "??/", *"efgh")),
        (IMAGENET, ()),
    ],
)
def test_the_program_compiles(scaling: Scaling, classes: tuple[str, ...], tmp_path: Path) -> None:
    network = nn.Identity()
    network.input_scaling = scaling  # type: ignore[assignment]
    FORM.write(tmp_path, replace(source(on_grids(), classes), network=network))
    check_syntax(tmp_path)
    program = (tmp_path / PROGRAM).read_text()
    assert ("classes[best]" in program) is (len(classes) == 8)
    assert ("output 0, %d" in program) is (len(classes) != 8)


def test_a_program_of_several_inputs_and_float_compiles(content: bytes, tmp_path: Path) -> None:
    FORM.write(tmp_path, source(content))
    use = MicroUse.of(TfliteFile.parse(content))
    use = replace(use, inputs=use.inputs * 2, outputs=use.outputs * 2)
    scaling = Scaling((1.0, 2.0), (3.0, 4.0), (16, 16))
    text = micro_program("atoll_digits_t0003", FORM.file, 16, use, scaling, (), "float")
    (tmp_path / PROGRAM).write_text(text)
    check_syntax(tmp_path)
    assert "values_1, 16, 16, 16)" in text  # its channels come behind those of the first
    assert text.count("1.0f, ") == 16


def test_every_operator_that_runs_has_its_method_in_the_stub() -> None:
    stub = (STUB / "tensorflow/lite/micro/micro_mutable_op_resolver.h").read_text()
    for operator in (*READS, *WEIGHTS):
        assert f"METHOD({resolver_method(operator)})" in stub
    assert stub.count("METHOD(Add") == len({*READS, *WEIGHTS})


def test_no_text_ends_its_literal() -> None:
    assert c_text('??/ \\ " \n é 1') == '"\\077\\077/ \\134 \\042 \\012 \\303\\251 1"'
    assert c_text("caf\udce9") == '"caf\\134udce9"'  # a folder's name that is no Unicode


def test_the_interpreter_s_refusal_leaves_no_header(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(c_array, "has_interpreter", lambda: True)
    monkeypatch.setattr(c_array, "run_in_micro", lambda *_: MicroRun("no memory", 1234))
    FORM.write(tmp_path, source(content))
    with pytest.raises(
        AtollError, match="does not run the file in the 1,234 bytes that are claimed: no memory"
    ):
        FORM.measure(tmp_path, source(content))


def test_what_the_interpreter_recorded_stands_beside_the_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maps come out of it channels last, and are compared as the network gives them."""
    network = adopt(nn.Sequential(nn.Conv2d(1, 3, 3, padding=1)), (1, 4, 4)).eval()
    images = (torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 255).byte()
    made = Source("maps", network, artifact_bytes(network, (1, 4, 4)), images, MeanAbsoluteError())

    def run(content: bytes, given: np.ndarray) -> MicroRun:
        assert given.shape == (5, 4, 4, 1) and given.min() >= -1
        return MicroRun("", 9, 7, (LiteRtRunner(content).run(given),), (None,))

    monkeypatch.setattr(c_array, "has_interpreter", lambda: True)
    monkeypatch.setattr(c_array, "run_in_micro", run)
    FORM.write(tmp_path, made)
    found = FORM.measure(tmp_path, made)
    assert (found["arena_recorded_bytes"], found["images"], found["agreement"]) == (7, 5, 1.0)
    assert found["largest_difference"] < 1e-5


def test_the_interpreter_is_held_against_the_roundings_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs the LiteRT file, whose biases and 4-bit convolutions are rounded as nothing else is."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
    images = torch.randint(0, 256, (5, 1, 6, 6), dtype=torch.uint8)
    network, scaled = adopt(layers, (1, 6, 6)).eval(), PIXELS.to_network(images)
    step = Recipe.parse("quantize(bits=4, first_last=same)").steps[0]
    network, _ = step.apply(network, World(scaled, torch.zeros(5).long(), None, epochs=0))
    network = network.eval()
    content = artifact_bytes(network, (1, 6, 6))
    runner = LiteRtRunner(content)
    assert runner.output_grid is not None
    grid = runner.output_grid.scale
    monkeypatch.setattr(c_array, "has_interpreter", lambda: True)
    monkeypatch.setattr(
        c_array, "run_in_micro", lambda _, given: MicroRun("", 9, 7, (runner.run(given),), (grid,))
    )
    made = Source("maps", network, content, images, MeanAbsoluteError())
    FORM.write(tmp_path, made)
    assert FORM.measure(tmp_path, made)["largest_difference"] < grid / 2
    assert compare("plain", network, made)["largest_difference"] == 0  # written from it
