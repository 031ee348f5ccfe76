"""What an artifact is worth, read off its own bytes: size, agreement, quality, time on this machine."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from ...spaces.layers.scaling import PIXELS, Scaling
from ..datasets.dataset import Split
from ..litert.inspect import overhead_bytes, peak_tensor_bytes
from ..tasks.quality import ACCURACY, Quality
from .artifact import compared, outputs_of, packed_bytes, run_artifact, run_beside, shipped_logits
from .sample_report import SampleReport, sample_report

#: runs of one file for its median time
RUNS = 50


@dataclass(frozen=True)
class ArtifactReport:
    """Figures measured from a file.

    Args:
        model_bytes: of the file.
        packed_bytes: of the file after zstd level 19.
        structure_bytes: of the file beside weights, biases, scales and zero points.
        peak_tensor_bytes: tensors alive at once, by the file's own graph.
        images: how many validation images file and network were compared on.
        agreement: share of them, of their positions or of their numbers, on which both say the same.
        largest_difference: of any output, in the output's unit; `largest_difference_lsb` in steps of that
            output's grid, None where an output is float.
        quality: of the file on those images.
        latency_host_ms: median of one run on this machine, one thread.
    """

    model_bytes: int
    packed_bytes: int
    structure_bytes: int
    peak_tensor_bytes: int
    images: int
    agreement: float
    largest_difference: float
    largest_difference_lsb: float | None
    quality: float
    latency_host_ms: float

    def to_event(self) -> dict[str, Any]:
        """Returns the figures under the names of the store's measured columns."""
        return {
            "model_bytes_measured": self.model_bytes,
            "packed_bytes_measured": self.packed_bytes,
            "peak_memory_bytes_measured": self.peak_tensor_bytes,
            "latency_host_ms_measured": self.latency_host_ms,
            "agreement": self.agreement,
            "quality_of_file": self.quality,
        }

    def to_json(self) -> dict[str, Any]:
        """Returns every field."""
        return asdict(self)


def report_artifact(
    content: bytes, network: nn.Module, split: Split, quality: Quality = ACCURACY
) -> ArtifactReport:
    """Runs a file, in a fresh process, over a split beside its network and reads its figures off.

    Args:
        content: the bytes of a `.tflite` file.
        network: what it was written from.
        split: validation images; all of them are used.
        quality: of the task.

    Raises:
        AtollError: the runtime refuses the file or crashes, or what it gives does not fit the labels.
    """
    return report_samples(content, network, split, quality)[0]


def report_samples(
    content: bytes,
    network: nn.Module,
    split: Split,
    quality: Quality = ACCURACY,
    samples: Sequence[int] | None = None,
) -> tuple[ArtifactReport, SampleReport]:
    """Returns also what the file says of single samples; else as `report_artifact`.

    Args:
        content, network, split, quality: as there.
        samples: places in the split that are told, as for `sample_report`.
    """
    run = run_beside(content, network, split.images, RUNS)
    expected = shipped_logits(network, split.images)
    found = compared(run, expected, split.labels, quality)
    report = ArtifactReport(
        model_bytes=len(content),
        packed_bytes=packed_bytes(content),
        structure_bytes=overhead_bytes(content),
        peak_tensor_bytes=peak_tensor_bytes(content),
        images=len(split),
        agreement=found.agreement,
        largest_difference=found.largest_difference,
        largest_difference_lsb=found.largest_difference_lsb,
        quality=float(found.quality or 0.0),
        latency_host_ms=float(found.latency_ms or 0.0),
    )
    return report, sample_report(outputs_of(run), expected, split.labels, quality, samples)


def file_quality(
    content: bytes, split: Split, quality: Quality = ACCURACY, scaling: Scaling = PIXELS
) -> float:
    """Returns the quality of a file on a split: for the test split, once, when a study ends.

    Args:
        content: the bytes of the file.
        split: of the task's data.
        quality: of the task.
        scaling: what makes of stored inputs what the file takes.

    Raises:
        AtollError: the runtime refuses the file or crashes, or what it gives does not fit the labels.
    """
    return quality.measure(outputs_of(run_artifact(content, split.images, scaling=scaling)), split.labels)
