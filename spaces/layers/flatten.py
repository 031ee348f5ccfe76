"""Flattens feature maps in the order of Keras, so that the papers' tensor-train shapes mean the same here."""

from torch import Tensor, nn


class ChannelsLastFlatten(nn.Module):
    """Flattens (N, C, H, W) to (N, H*W*C), the channel index running fastest.

    torch's own `nn.Flatten` lets the column run fastest. The papers' networks are Keras networks: their
    16384 inputs of the dense layer are (16, 16, 64) as height, width, channel, and a mode shape such as
    (16, 8, 16, 8) cuts *that* order (PUB-II, set-up TT-V).
    """

    def forward(self, features: Tensor) -> Tensor:
        """Returns the flattened features.

        Args:
            features: (N, C, H, W).

        Returns:
            (N, H*W*C).
        """
        return features.permute(0, 2, 3, 1).flatten(1)
