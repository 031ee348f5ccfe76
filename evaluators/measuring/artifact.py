"""The file that ships: its bytes, its size before training, the proof that it computes what was trained."""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ...spaces.errors import AtollError
from ...spaces.graph.graph import Graph
from ...spaces.graph.heads import Outputs, as_outputs, heads
from ...spaces.graph.reading import trace
from ...spaces.layers.scaling import PIXELS, Scaling
from ...spaces.layers.structure import input_shape_of, scaling_of
from ..tasks.quality import ACCURACY, Quality
from ..training.prediction import predict_logits

if TYPE_CHECKING:
    from ..litert.file_run import FileRun

#: runs the bytes of a file over so many images, given in batches as `run_file` has them
Runner = Callable[[bytes, int, Iterable[np.ndarray]], "FileRun"]

#: raised where the same network gives another file, or is judged by other roundings; cards that name none are
#: of 1, which wrote scales of biases that no kernel reads, and judged as if kernels rounded to the nearest; 2
#: wrote scales of their own for biases of zeros, and every list of numbers by itself
FILE_VERSION = 3
# `packed_bytes` is defined by this level (the artifact after zstd-19).
ZSTD_LEVEL = 19
# Images that are float at a time; the runtime sees one after the other. Any number gives the same result.
BATCH = 256


def artifact_bytes(network: nn.Module, input_shape: tuple[int, ...]) -> bytes:
    """Returns the `.tflite` file of a network; the same network always gives the same bytes.

    Args:
        network: adopted or compressed; on the meta device the file has its exact size and zeros inside.
        input_shape: (channels, height, width), (channels, length) or (features,).

    Raises:
        AtollError: an operation cannot be written; the message names it.
    """
    return artifact_of(trace(network, input_shape))


def artifact_of(graph: Graph, drawn: bool = False) -> bytes:
    """Returns the `.tflite` file of a network that was traced; else as `artifact_bytes` and `lower_graph`."""
    from ..litert.lower import lower_graph  # the schema takes a moment, and `atoll --help` must not wait

    return lower_graph(graph, drawn)


def model_bytes(network: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Returns the exact size of the artifact in bytes; it depends on the structure alone."""
    return len(artifact_bytes(network, input_shape))


def packed_bytes(artifact: bytes) -> int:
    """Returns the size of an artifact after zstd at level 19, in bytes."""
    return len(zstd_packed(artifact))


def zstd_packed(content: bytes) -> bytes:
    """Returns bytes after zstd at level 19."""
    import zstandard  # where networks are trained without being packed it need not be there

    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(content)


@dataclass(frozen=True)
class Verification:
    """What running an artifact showed beside its network.

    Args:
        count: images that both saw.
        agreement: share of what both say alike, in [0, 1]: of images, of positions where the network chooses
            a class for each, of numbers where outputs are numbers.
        largest_difference: between two logits of any output, absolute.
        largest_difference_lsb: the same in steps of the artifact's int8 outputs; None where one is float.
        quality: of the artifact on these images; None without labels.
        network_quality: the same for the network.
        latency_ms: median time of one run of the artifact here, one thread; None where it was not timed.
    """

    count: int
    agreement: float
    largest_difference: float
    largest_difference_lsb: float | None
    quality: float | None
    network_quality: float | None
    latency_ms: float | None = None


def run_artifact(
    content: bytes,
    images: Tensor,
    timed_runs: int = 0,
    scaling: Scaling = PIXELS,
    runner: Runner | None = None,
) -> "FileRun":
    """Runs an artifact in a fresh process, one image at a time.

    Maps come out channels first, as the network gives them; the file has channels last.

    Args:
        content: the bytes of the file.
        images: (N, C, H, W), as they are stored.
        timed_runs: runs for its median time, 0 for none.
        scaling: what makes of them what the file takes: that of its network.
        runner: of another runtime, which times nothing; this machine's if None.

    Raises:
        AtollError: there are no images, or the runtime refuses the file or crashes.
    """
    from ..litert.file_run import run_file

    if not len(images):
        raise AtollError("an artifact is run on at least one image, got none")
    batches = (channels_last(scaling.to_network(part)).numpy() for part in images.split(BATCH))
    if runner is None:
        run = run_file(content, len(images), batches, timed_runs)
    else:
        run = runner(content, len(images), batches)
    # a number a sample may have no axis
    return replace(run, outputs=tuple(np.moveaxis(one, -1, min(1, one.ndim - 1)) for one in run.outputs))


def largest_differences(outputs: Outputs, others: Outputs) -> list[float]:
    """Returns the largest absolute difference of each output of two networks.

    Every output is looked at, also one that no quality judges: a maximum over several could leave out what is
    no number, and subtraction broadcasts what is of another shape.

    Args:
        outputs: of a file.
        others: of its network.

    Raises:
        AtollError: they are not of the same shapes, or one is not finite.
    """
    if _sizes(outputs) != _sizes(others):
        raise AtollError(
            f"the file gives {_sizes(outputs)}, allowed is what its network gives, {_sizes(others)}"
        )
    pairs = zip(heads(outputs, Tensor), heads(others, Tensor), strict=True)
    found = [float((ours - theirs).abs().max()) for ours, theirs in pairs]
    for position, difference in enumerate(found):
        if not math.isfinite(difference):
            raise AtollError(
                f"output {position} of the file is off its network's by {difference}, allowed are finite "
                "numbers of both"
            )
    return found


def outputs_of(run: "FileRun") -> Outputs:
    """Returns what an artifact gave as its network gives it."""
    return as_outputs(tuple(map(torch.from_numpy, run.outputs)))


def shipped_logits(network: nn.Module, images: Tensor) -> Outputs:
    """Runs a network in eval mode with the roundings of its file's integer kernels; else as `predict_logits`.

    Args:
        network: in its final state.
        images: (N, ...), as they are stored.
    """
    from ..litert.as_shipped import rounding_as_shipped

    with rounding_as_shipped(network):
        return predict_logits(network, images)


def verify_artifact(
    artifact: bytes | Path,
    network: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    timed_runs: int = 0,
    quality: Quality = ACCURACY,
) -> Verification:
    """Runs an artifact beside its network on real images.

    Args:
        artifact: the bytes of the file, or its path.
        network: what it was written from.
        images: (N, C, H, W), as they are stored; of the validation split.
        labels: (N,), int, or (N, H, W), one a position; None where only agreement is asked for.
        timed_runs: runs for the artifact's median time, 0 for none.
        quality: of the task.

    Raises:
        AtollError: there are no images, outputs or labels are of another shape, or the runtime refuses the
            file or crashes; the message names the operation and the layer that it comes from, where the
            runtime says which.
    """
    content = artifact if isinstance(artifact, bytes) else artifact.read_bytes()
    run = run_beside(content, network, images, timed_runs)
    return compared(run, shipped_logits(network, images), labels, quality)


def run_beside(
    content: bytes, network: nn.Module, images: Tensor, timed_runs: int = 0, runner: Runner | None = None
) -> "FileRun":
    """Runs an artifact of a network, whose layers the errors of a runtime name; else as `run_artifact`."""
    try:
        return run_artifact(content, images, timed_runs, scaling_of(network), runner)
    except AtollError as error:
        raise type(error)(f"{error}{_place(error, content, network)}") from error


def compared(run: "FileRun", expected: Outputs, labels: Tensor | None, quality: Quality) -> Verification:
    """Compares what an artifact gave with what its network gives; else as `verify_artifact`.

    Args:
        run: of the file.
        expected: `shipped_logits` of the network on the same images.
        labels, quality: as there.
    """
    found = outputs_of(run)
    differences = largest_differences(found, expected)
    in_steps = [off / step for off, step in zip(differences, run.steps, strict=True) if step is not None]
    return Verification(
        count=len(run.outputs[0]),
        agreement=quality.agreement(found, expected),
        largest_difference=max(differences),
        largest_difference_lsb=None if None in run.steps else max(in_steps),
        quality=None if labels is None else quality.measure(found, labels),
        network_quality=None if labels is None else quality.measure(expected, labels),
        latency_ms=run.latency_ms,
    )


def channels_last(images: Tensor) -> Tensor:
    """Returns inputs as a file has them, (N, ..., C), of those that a network takes, (N, C, ...)."""
    return images.movedim(1, -1).contiguous()


def _sizes(outputs: Outputs) -> str:
    return " and ".join("x".join(map(str, head.shape)) for head in heads(outputs, Tensor))


def _place(error: AtollError, content: bytes, network: nn.Module) -> str:
    """Returns which operation of which layer an error of the runtime is about, as far as it can be told."""
    from ..litert.crash import crashing_operator
    from ..litert.file_run import RuntimeCrash
    from ..litert.inspect import operator_names
    from ..litert.lower import operator_layers

    said = re.search(r"Node number (\d+)", str(error))
    if said is None and not isinstance(error, RuntimeCrash):
        return ""
    index = crashing_operator(content) if said is None else int(said[1])
    names = operator_names(content)
    if index >= len(names):  # a delegate's own node
        return ""
    layers = operator_layers(network, input_shape_of(network))
    layer = f" of layer {layers[index]}" if len(layers) == len(names) else ""
    return f" (operation {index}, {names[index]}{layer})"
