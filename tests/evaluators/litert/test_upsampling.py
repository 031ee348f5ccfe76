"""Upsampling in the file is torch's, whichever corners and modes."""

from typing import Any

import numpy as np
import pytest
import torch
from atoll.evaluators.litert.inspect import operator_names
from atoll.evaluators.litert.lower import lower
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from torch import nn

SHAPE = (3, 5, 4)


def network(**settings: Any) -> nn.Module:
    return adopt(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Upsample(**settings)), SHAPE).eval()


@pytest.mark.parametrize("delegate", [True, False])
@pytest.mark.parametrize(
    ("settings", "operator"),
    [
        ({"scale_factor": 2, "mode": "bilinear"}, "RESIZE_BILINEAR"),
        ({"scale_factor": (2.0, 3.0), "mode": "bilinear"}, "RESIZE_BILINEAR"),
        ({"scale_factor": 2, "mode": "bilinear", "align_corners": True}, "RESIZE_BILINEAR"),
        ({"size": (7, 9), "mode": "bilinear", "align_corners": False}, "RESIZE_BILINEAR"),
        ({"size": (7, 9), "mode": "bilinear", "align_corners": True}, "RESIZE_BILINEAR"),
        ({"scale_factor": 2}, "RESIZE_NEAREST_NEIGHBOR"),
        ({"size": (7, 9)}, "RESIZE_NEAREST_NEIGHBOR"),
        ({"size": (7, 9), "mode": "nearest-exact"}, "RESIZE_NEAREST_NEIGHBOR"),
    ],
)
def test_files_interpolate_as_torch(settings: dict[str, Any], operator: str, delegate: bool) -> None:
    model = network(**settings)
    images = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    content = lower(model, SHAPE)
    assert operator in operator_names(content)
    with torch.no_grad():
        expected = model(images)
    got = LiteRtRunner(content, delegate=delegate).run(images.permute(0, 2, 3, 1).numpy())
    np.testing.assert_allclose(got, expected.permute(0, 2, 3, 1).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "settings", [{"scale_factor": 2, "mode": "bicubic"}, {"scale_factor": 1.5, "mode": "bilinear"}]
)
def test_other_upsamplings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(AtollError, match=r"1: an upsampling of mode .* cannot be written for LiteRT"):
        lower(network(**settings), SHAPE)
