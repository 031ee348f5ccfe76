"""The file that ships: its bytes, its size before training, the proof that it computes what was trained."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import zstandard
from torch import Tensor, nn

from ..spaces.errors import AtollError
from .datasets.dataset import to_float
from .training import predict_logits

# `packed_bytes` is defined by this level (design: the artifact after zstd-19).
ZSTD_LEVEL = 19
# Images that are float at a time; the runtime sees one after the other. Any number gives the same result.
BATCH = 256


def artifact_bytes(network: nn.Module, input_shape: tuple[int, int, int]) -> bytes:
    """Returns the `.tflite` file of a network; the same network always gives the same bytes.

    Args:
        network: adopted or compressed; on the meta device the file has its exact size and zeros inside.
        input_shape: (channels, height, width).

    Raises:
        AtollError: an operation cannot be written; the message names it.
    """
    from .litert.lower import lower  # the schema takes a moment to import, and `atoll --help` must not wait

    return lower(network, input_shape)


def model_bytes(network: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Returns the exact size of the artifact in bytes; it depends on the structure alone."""
    return len(artifact_bytes(network, input_shape))


def packed_bytes(artifact: bytes) -> int:
    """Returns the size of an artifact after zstd at level 19, in bytes."""
    return len(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(artifact))


def write_artifact(network: nn.Module, input_shape: tuple[int, int, int], path: Path) -> int:
    """Writes the artifact to a file.

    Returns:
        Its size in bytes.

    Raises:
        AtollError: an operation cannot be written, or the file cannot.
    """
    content = artifact_bytes(network, input_shape)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise AtollError(f"cannot write {path}: {error.strerror}") from error
    return len(content)


@dataclass(frozen=True)
class Verification:
    """What running an artifact showed beside its network.

    Args:
        count: images that both saw.
        agreement: share of images on which both choose the same class, in [0, 1].
        largest_difference: between two logits, absolute.
        largest_difference_lsb: the same in steps of the artifact's int8 output; None for a float output.
        quality: share of images on which the artifact is right; None without labels.
        network_quality: the same for the network.
    """

    count: int
    agreement: float
    largest_difference: float
    largest_difference_lsb: float | None
    quality: float | None
    network_quality: float | None


def artifact_logits(artifact: bytes | Path, images: Tensor) -> tuple[Tensor, float | None]:
    """Runs an artifact, one image at a time.

    Args:
        artifact: the bytes of the file, or its path.
        images: (N, C, H, W), uint8.

    Returns:
        Logits (N, K), and the step of its int8 output (None where it is float).
    """
    from .litert.runtime import LiteRtRunner

    runner = LiteRtRunner(artifact)
    logits = [runner.run(to_float(part).permute(0, 2, 3, 1).numpy()) for part in images.split(BATCH)]
    grid = runner.output_grid
    return torch.from_numpy(np.concatenate(logits)), None if grid is None else grid.scale


def verify_artifact(
    artifact: bytes | Path, network: nn.Module, images: Tensor, labels: Tensor | None = None
) -> Verification:
    """Runs an artifact beside its network on real images.

    Args:
        artifact: the bytes of the file, or its path.
        network: what it was written from.
        images: (N, C, H, W), uint8; of the validation split.
        labels: (N,), int; None where only agreement is asked for.

    Raises:
        AtollError: there are no images, or the runtime does not load the file.
    """
    if not len(images):
        raise AtollError("an artifact is verified on at least one image, got none")
    found, step = artifact_logits(artifact, images)
    expected = predict_logits(network, images)
    difference = float((found - expected).abs().max())
    classes, wanted = found.argmax(dim=1), expected.argmax(dim=1)

    def share(hits: Tensor) -> float:
        return float(np.mean(hits.numpy()))

    return Verification(
        count=len(images),
        agreement=share(classes == wanted),
        largest_difference=difference,
        largest_difference_lsb=None if step is None else difference / step,
        quality=None if labels is None else share(classes == labels),
        network_quality=None if labels is None else share(wanted == labels),
    )
