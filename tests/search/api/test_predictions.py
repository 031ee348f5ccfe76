"""Prices from Python: the command's own figures, typed."""

from math import inf
from pathlib import Path
from typing import Any

import pytest
from atoll import AtollError, Device, Recipe, predict
from atoll.evaluators.litert.lower import lower
from atoll.spaces.graph.adopt import adopt
from atoll.testing import sequential
from atoll.testing.worlds import INPUT_SHAPE

TEXT = "tensor_train(rank=4) -> quantize(bits=8)"
BOARD = "coral-dev-board:pub1"


def test_a_recipe_its_text_and_a_loaded_device_give_the_same() -> None:
    found = predict(TEXT, device=BOARD)
    assert found == predict(Recipe.parse(TEXT), device=Device.load(BOARD))
    assert found == predict(TEXT, network="baseline_cnn", input_shape=(3, 64, 64), classes=35, device=BOARD)
    assert (found.device, found.setup) == ("coral-dev-board", "pub1")
    assert found.model_bytes.low == found.model_bytes.value == found.model_bytes.high
    assert found.latency_ms is not None and found.peak_memory_bytes is not None
    assert found.to_json()["latency_ms"] == found.latency_ms.to_json()


def test_fewer_classes_are_fewer_bytes() -> None:
    assert predict(TEXT, classes=11).model_bytes.value < predict(TEXT, classes=35).model_bytes.value


def test_a_file_is_priced_by_its_own_operators(tmp_path: Path) -> None:
    content = lower(adopt(sequential(), INPUT_SHAPE).eval(), INPUT_SHAPE)
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    found = predict(path)
    assert found == predict(str(path))
    assert found.model_bytes.value == len(content)
    # 16 channels of 3x3 at 16x16, 16 of 3x3x16 at 8x8, dense 256 x 64 and 64 x 4
    assert found.macs == 16 * 9 * 256 + 16 * 16 * 9 * 64 + 256 * 64 + 64 * 4
    with pytest.raises(AtollError, match="network, input_shape, classes and study go with a recipe"):
        predict(path, classes=11)


def test_a_lower_bound_has_no_upper_end() -> None:
    found = predict("mixed_precision")
    assert found.model_bytes.high == inf
    assert found.to_json()["model_bytes"]["high"] is None
    assert any("is a lower bound" in note for note in found.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_shape": (64, 64)}, r"input_shape is \(64, 64\) as \(channels, height, width\); allowed"),
        (
            {"input_shape": ()},
            r"input_shape: got \(\), allowed is \(channels, height, width\), \(ch",
        ),
        ({"input_shape": (3, 10**9, 64)}, "input_shape: got"),
        ({"input_shape": (3, 64.0, 64)}, "input_shape: got"),
        ({"network": "baseline_cn"}, "did you mean 'baseline_cnn'"),
        ({"device": "coral"}, "coral"),
        ({"device": BOARD, "setup": "pub3"}, "got the set-ups pub1 and pub3"),
        ({"classes": 0}, "num_classes is 0"),
    ],
)
def test_a_mistake_is_one_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AtollError, match=message):
        predict(TEXT, **options)


def test_an_illegal_recipe_is_refused() -> None:
    with pytest.raises(AtollError, match="one step written twice"):
        predict("svd(rank=4) -> svd(rank=8)")
