"""Runs the ONNX file of every technique on this processor and on an emulated one without VNNI (AVX2 alone).

Needs the extra `onnx` and Debian's qemu-user (QEMU knows AVX2 since 7.2), whose place `--qemu` names.
Each file is run as it is written, and with every integer in int8, as torch exports it.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import onnxruntime
import torch
from atoll.evaluators.delivery import onnx_file
from atoll.evaluators.delivery.delivery import Source
from atoll.evaluators.delivery.onnx_file import OnnxFile
from atoll.spaces.errors import AtollError
from atoll.spaces.machine.scratch import scratch_folder
from atoll.testing.technique_files import EACH, WIDTHS, TechniqueFile, technique_files
from figures import median_seconds, report

IMAGES = 32
PROCESSOR = "Haswell"
#: of convolutions that are timed here: channels and side, how many
TIMED, LAYERS, RUNS = (64, 28), 4, 200
#: runs a file over images, in this process's own interpreter, emulated or not: onnxruntime and numpy alone
RUN = """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.log_severity_level = 4
for folder in sys.argv[1:]:
    session = onnxruntime.InferenceSession(folder + "/model.onnx", options, ["CPUExecutionProvider"])
    outputs = [session.run(None, {"image": one[None]})[0] for one in numpy.load(folder + "/images.npy")]
    numpy.save(folder + "/outputs.npy", numpy.concatenate(outputs))
"""
#: of a file: whether its types are fitted, and the folder it lies in
Placed = tuple[TechniqueFile, bool, Path]


def main() -> None:
    """Prints a JSON line a file, and the largest differences of all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--qemu", default="qemu-x86_64", help="the emulator")
    parser.add_argument("recipes", nargs="*", default=list(dict.fromkeys((*EACH, *WIDTHS))))
    options = parser.parse_args()
    emulated = [options.qemu, "-cpu", PROCESSOR]
    worst = {(fitted, where): 0.0 for fitted in (True, False) for where in ("here", PROCESSOR)}
    with scratch_folder() as folder:
        placed = list(_written(options.recipes, folder))
        found = {"here": _run([], placed), PROCESSOR: _run(emulated, placed)}
        for (file, fitted, place), *outputs in zip(placed, *found.values(), strict=True):
            with torch.no_grad():
                expected = file.network(file.images[:IMAGES]).numpy()
            row = {"network": file.network_name, "recipe": file.recipe, "fitted": fitted}
            row["bytes"] = (place / "model.onnx").stat().st_size
            for where, got in zip(found, outputs, strict=True):
                off = float(np.abs(got - expected).max() / np.ptp(expected))
                worst[fitted, where] = max(worst[fitted, where], off)
                alike = float((got.argmax(1) == expected.argmax(1)).mean())
                row[where] = {"agreement": alike, "difference": round(off, 5)}
            print(json.dumps(row), flush=True)
    for kind in ("UINT8", "INT8", "INT4"):
        _timed(kind)
    for (fitted, where), off in worst.items():
        name = f"onnx/{'written' if fitted else 'int8'}_{where.lower()}_difference"
        report(name, 100 * off, "% of the span", 1.0 if fitted else None, "lower")


def _timed(kind: str) -> None:
    """Reports how long a chain of 3x3 convolutions takes here whose weights have a type, on one thread."""
    draw, width, (channels, side) = np.random.default_rng(0), 4 if kind == "INT4" else 8, TIMED
    raised = 128 if kind == "UINT8" else 0
    weights = draw.integers(-(2 ** (width - 1)), 2 ** (width - 1), (channels, channels, 3, 3)) + raised
    scales, zero = np.full(channels, 0.001, np.float32), onnx.numpy_helper.from_array(np.uint8(128), "z")
    constants = [onnx.numpy_helper.from_array(*one) for one in ((np.float32(0.02), "s"), (scales, "ws"))]
    of_kind = onnx.TensorProto.DataType.Value(kind)
    constants.append(onnx.helper.make_tensor("w", of_kind, weights.shape, weights.flatten().tolist()))
    constants.append(onnx.helper.make_tensor("wz", of_kind, [channels], [raised] * channels))
    node = onnx.helper.make_node
    nodes = [node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0)]
    nodes += [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d0"]),
    ]
    for number in range(LAYERS):
        nodes.append(node("Conv", [f"d{number}", "wd"], [f"c{number}"], pads=[1] * 4))
        nodes.append(node("QuantizeLinear", [f"c{number}", "s", "z"], [f"q{number}"]))
        nodes.append(node("DequantizeLinear", [f"q{number}", "s", "z"], [f"d{number + 1}"]))
    shape = [1, channels, side, side]
    first, last = (onnx.helper.make_tensor_value_info(name, 1, shape) for name in ("x", f"d{LAYERS}"))
    graph = onnx.helper.make_graph(nodes, "chain", [first], [last], [*constants, zero])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    image = {"x": draw.uniform(-1, 1, shape).astype(np.float32)}
    seconds = median_seconds(partial(session.run, None, image), RUNS)
    report(f"onnx/chain_{kind.lower()}_ms", 1e3 * seconds, "ms", None, "lower")


def _write(folder: Path, source: Source, fitted: bool) -> None:
    fit = onnx_file.fit_types if fitted else lambda _: None
    with mock.patch.object(onnx_file, "fit_types", fit):
        OnnxFile().write(folder, source)


def _written(recipes: list[str], folder: Path) -> Iterator[Placed]:
    """Writes files; those that cannot be written are told and left out."""
    for number, file in enumerate(technique_files(recipes)):
        for fitted in (True, False):
            place = folder / f"{number}-{fitted}"
            place.mkdir()
            np.save(place / "images.npy", file.images[:IMAGES].numpy())
            source = Source("bars", file.network, file.content, (file.images * 255).byte())
            try:
                _write(place, source, fitted)
            except AtollError as error:
                print(f"{file.network_name}, {file.recipe}: {error}", file=sys.stderr, flush=True)
                continue
            yield file, fitted, place


def _run(emulator: list[str], placed: list[Placed]) -> list[np.ndarray]:
    """Returns what files gave, run by one process."""
    started = time.perf_counter()
    command = [*emulator, sys.executable, "-c", RUN, *(str(place) for *_, place in placed)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL if emulator else None)
    print(f"{len(placed)} files in {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)
    return [np.load(place / "outputs.npy") for *_, place in placed]


if __name__ == "__main__":
    main()
