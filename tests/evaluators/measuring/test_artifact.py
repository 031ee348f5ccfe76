from pathlib import Path

import pytest
import torch
import zstandard
from ai_edge_litert import schema_py_generated as schema
from atoll.evaluators.measuring.artifact import artifact_bytes, model_bytes, packed_bytes, verify_artifact
from atoll.evaluators.training.prediction import predict_logits
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.structure import to_meta
from flatbuffers import Builder
from torch import nn

SHAPE = (1, 4, 4)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return adopt(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)), SHAPE).eval()


def images(count: int = 40) -> torch.Tensor:
    return torch.randint(0, 256, (count, *SHAPE), dtype=torch.uint8)


def test_model_bytes_is_known_before_training() -> None:
    assert model_bytes(to_meta(network()), SHAPE) == len(artifact_bytes(network(), SHAPE))


def test_a_file_of_the_artifact_is_verified(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(artifact_bytes(network(), SHAPE))
    assert verify_artifact(path, network(), images()).agreement == 1.0


def test_packed_bytes_unpack_to_the_artifact() -> None:
    content = artifact_bytes(network(), SHAPE)
    assert packed_bytes(content) < len(content)
    assert packed_bytes(bytes(10_000)) < 100
    assert packed_bytes(content) == len(zstandard.compress(content, 19))


def test_verification_counts_against_labels() -> None:
    net, batch = network(), images()
    labels = predict_logits(net, batch).argmax(1)
    labels[:10] = (labels[:10] + 1) % 3
    found = verify_artifact(artifact_bytes(net, SHAPE), net, batch, labels)
    assert (found.count, found.agreement, found.quality, found.network_quality) == (40, 1.0, 0.75, 0.75)
    assert found.largest_difference < 1e-5
    assert found.largest_difference_lsb is None


def test_another_network_s_file_is_found_out() -> None:
    batch = images()
    wrong = verify_artifact(artifact_bytes(network(1), SHAPE), network(0), batch)
    share = (
        predict_logits(network(1), batch).argmax(1) == predict_logits(network(0), batch).argmax(1)
    ).float()
    assert wrong.agreement == pytest.approx(float(share.mean()))
    assert wrong.agreement < 1
    assert wrong.largest_difference > 0.01


def per_pixel() -> nn.Module:
    """One of three classes for every one of 4x6 positions."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))
    return adopt(layers, (1, 4, 6)).eval()


def test_an_answer_for_every_position_is_compared_position_by_position() -> None:
    net, batch = per_pixel(), torch.randint(0, 256, (10, 1, 4, 6), dtype=torch.uint8)
    labels = predict_logits(net, batch).argmax(1)
    wrong = labels.clone()
    wrong[0, :3] = (wrong[0, :3] + 1) % 3  # 18 of 240 positions
    found = verify_artifact(artifact_bytes(net, (1, 4, 6)), net, batch, wrong)
    assert labels.unique().numel() == 3
    assert (found.count, found.agreement) == (10, 1.0)
    assert found.largest_difference < 1e-5
    assert found.quality == found.network_quality == pytest.approx(222 / 240)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (torch.zeros(10, dtype=torch.int64), "got labels of 10, allowed is one a choice, 10x4x6"),
        (torch.zeros(10, 6, 4, dtype=torch.int64), "got labels of 10x6x4, allowed is one a choice, 10x4x6"),
    ],
)
def test_labels_of_another_shape_are_refused(labels: torch.Tensor, sentence: str) -> None:
    net, batch = per_pixel(), torch.randint(0, 256, (10, 1, 4, 6), dtype=torch.uint8)
    with pytest.raises(AtollError, match=sentence):
        verify_artifact(artifact_bytes(net, (1, 4, 6)), net, batch, labels)


def test_a_file_with_another_output_is_refused() -> None:
    batch = torch.randint(0, 256, (2, *SHAPE), dtype=torch.uint8)
    other = adopt(nn.Sequential(nn.Flatten(), nn.Linear(16, 5)), SHAPE).eval()
    with pytest.raises(AtollError, match="the file gives 2x5, allowed is what its network gives, 2x3"):
        verify_artifact(artifact_bytes(other, SHAPE), network(), batch)


def test_no_images_is_refused() -> None:
    with pytest.raises(AtollError, match="at least one image"):
        verify_artifact(artifact_bytes(network(), SHAPE), network(), images(0))


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (0, r"damaged .tflite file \(operator 0, CONV_2D, lacks its input 0\)$"),
        # which of the two depends on what lies in the runtime's memory before its tensors
        (
            1,
            r"(crashed \(SIG\w+\) while loading the file|failed to prepare\.) "
            r"\(operation 1, LOGISTIC of layer 1\)$",
        ),
    ],
)
def test_a_runtime_that_fails_is_told_with_operation_and_layer(operation: int, said: str) -> None:
    """One operation of the file has lost its first input."""
    net = adopt(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Sigmoid(), nn.Flatten(), nn.Linear(16, 3)), SHAPE).eval()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(artifact_bytes(net, SHAPE)))
    broken = model.subgraphs[0].operators[operation]
    broken.inputs = [-1, *broken.inputs[1:]]
    builder = Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    with pytest.raises(AtollError, match=said):
        verify_artifact(bytes(builder.Output()), net, images())
