"""Branches over the same maps, side by side in the channels of the result."""

from torch import Tensor, nn

from ..layers.combine import Concatenate


class Parallel(nn.Module):
    """Runs every branch on its input and puts what they make one after the other along channels.

    Args:
        branches: of maps of one height and width.
    """

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.concatenate = Concatenate()

    def forward(self, x: Tensor) -> Tensor:
        return self.concatenate(*(branch(x) for branch in self.branches))
