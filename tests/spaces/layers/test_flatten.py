"""The flattening order against numpy's."""

import numpy as np
import torch
from atoll.spaces.layers.flatten import ChannelsLastFlatten


def test_order_is_height_width_channel() -> None:
    features = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    expected = np.transpose(features.numpy(), (0, 2, 3, 1)).reshape(2, -1)  # Keras: (N, H, W, C), row-major
    np.testing.assert_array_equal(ChannelsLastFlatten()(features).numpy(), expected)
