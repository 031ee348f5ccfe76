"""What a file says of itself, against what is known of it."""

from types import SimpleNamespace

import pytest
import torch
from atoll.evaluators.datasets.dataset import Split
from atoll.evaluators.measuring.artifact import artifact_bytes, packed_bytes
from atoll.evaluators.measuring.artifact_report import ArtifactReport, file_quality, report_artifact
from atoll.evaluators.tasks.quality import Accuracy
from atoll.evaluators.training.prediction import predict_logits
from atoll.search.store.rows import MEASURED
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from torch import Tensor, nn

SHAPE = (1, 4, 4)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    return adopt(layers, SHAPE).eval()


@pytest.fixture(scope="module")
def split(network: nn.Module) -> Split:
    """Forty images of which the network knows thirty."""
    images = torch.randint(0, 256, (40, *SHAPE), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    labels = predict_logits(network, images).argmax(dim=1)
    labels[:10] = (labels[:10] + 1) % 3
    return Split(images, labels)


@pytest.fixture(scope="module")
def report(network: nn.Module, split: Split) -> ArtifactReport:
    return report_artifact(artifact_bytes(network, SHAPE), network, split)


def test_figures_are_read_off_the_file(network: nn.Module, split: Split, report: ArtifactReport) -> None:
    content = artifact_bytes(network, SHAPE)
    assert report.model_bytes == len(content)
    assert report.packed_bytes == packed_bytes(content)
    assert (report.images, report.agreement, report.quality) == (40, 1.0, 0.75)
    assert report.largest_difference < 1e-5
    assert report.largest_difference_lsb is None
    assert report.latency_host_ms > 0
    # the input of 16 values and the first output of 4x2x2, both float, live at once
    assert report.peak_tensor_bytes >= 4 * (16 + 16)
    assert file_quality(content, split) == 0.75


def test_another_network_s_file_is_told_by_its_disagreement(network: nn.Module, split: Split) -> None:
    other = adopt(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), SHAPE).eval()
    with torch.no_grad():
        other.get_submodule("1").bias.copy_(torch.tensor([100.0, 0, 0]))
    found = report_artifact(artifact_bytes(other, SHAPE), network, split)
    chosen = predict_logits(network, split.images).argmax(dim=1)
    assert found.agreement == pytest.approx(float((chosen == 0).float().mean()))
    assert found.agreement < 0.99
    assert found.quality == pytest.approx(float((split.labels == 0).float().mean()))
    assert found.largest_difference > 50


def test_labels_that_do_not_fit_are_refused_before_they_are_compared(
    network: nn.Module, split: Split
) -> None:
    """Labels (N, 1) beside choices (N,) would compare each with every other."""
    content = artifact_bytes(network, SHAPE)
    wrong = SimpleNamespace(images=split.images, labels=split.labels[:, None])
    with pytest.raises(AtollError, match="got labels of 40x1, allowed is one a choice, 40"):
        file_quality(content, wrong)  # type: ignore[arg-type]


class Halves(Accuracy):
    """Half the share, and no agreement: to see whose quality is asked."""

    def measure(self, outputs: Tensor, targets: Tensor) -> float:
        return super().measure(outputs, targets) / 2

    def agreement(self, outputs: Tensor, others: Tensor) -> float:
        return 0.25


def test_a_file_is_judged_by_the_quality_of_its_task(network: nn.Module, split: Split) -> None:
    content = artifact_bytes(network, SHAPE)
    found = report_artifact(content, network, split, Halves())
    assert (found.quality, found.agreement) == (0.375, 0.25)
    assert file_quality(content, split, Halves()) == 0.375


def test_every_figure_of_an_event_has_its_column(report: ArtifactReport) -> None:
    assert set(report.to_event()) <= set(MEASURED)
    assert report.to_event()["model_bytes_measured"] == report.to_json()["model_bytes"]
