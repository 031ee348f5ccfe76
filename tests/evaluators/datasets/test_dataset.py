"""Splits check their tensors; scaling hits its ends."""

import pytest
import torch
from atoll.evaluators.datasets.dataset import Split, to_float
from atoll.spaces.errors import AtollError


def test_to_float_maps_bytes_onto_minus_one_to_one() -> None:
    scaled = to_float(torch.tensor([0, 51, 255], dtype=torch.uint8))
    torch.testing.assert_close(scaled, torch.tensor([-1.0, -0.6, 1.0]))


def test_images_must_be_bytes() -> None:
    with pytest.raises(AtollError, match=r"images are torch.float32 \(2, 1, 4, 4\); needed: uint8"):
        Split(torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64))


def test_labels_must_match_the_images() -> None:
    with pytest.raises(AtollError, match=r"labels are torch.int64 \(3,\); needed: int64 \(2,\)"):
        Split(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))
