"""A technique of one's own, in a recipe before one that Atoll has: `python two_of_four.py`.

Of every four weights that an output reads one after the other, the two largest stay (Zhou et al. 2021, N:M
sparsity). A technique says what a structure becomes (`plan`), and does it (`apply`); what later steps and
training keep is a constraint on the weights, here a mask.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import torch
from atoll import Recipe, Technique, compress
from atoll.spaces.layers.mask import Mask
from atoll.spaces.layers.structure import settle, to_meta
from atoll.spaces.technique.context import Context
from atoll.spaces.technique.domains import Int
from atoll.spaces.technique.targets import targeted_layers
from atoll.spaces.technique.technique import Decisions, layers_setting, setting
from torch import Tensor, nn


@dataclass(frozen=True)
class TwoOfFour(Technique):
    """Keeps the largest weights of every four."""

    name: ClassVar[str] = "two_of_four"
    version: ClassVar[int] = 1
    stage: ClassVar = "weights"
    source: ClassVar[str] = "Zhou et al. 2021"

    kept: int = setting(2, Int(1, 3, (2,)), "Zhou et al. 2021: two of four", shown=True)
    layers: str = layers_setting()

    def plan(self, model: nn.Module) -> nn.Module:
        return self._masked(settle(to_meta(model)))

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        network = self._masked(settle(deepcopy(model)))
        return network, self.decisions(model, network, left_alone={})

    def _masked(self, network: nn.Module) -> nn.Module:
        for _, layer in targeted_layers(network, self.layers):
            for factor in layer.factors().values():
                if factor.shape[1:].numel() % 4 == 0:
                    factor.impose(Mask(largest_of_four(factor.effective().detach(), self.kept)))
        return network


def largest_of_four(weight: Tensor, kept: int) -> Tensor:
    """Returns which weights stay, bool in the weight's shape."""
    fours = weight.reshape(len(weight), -1, 4)
    stays = torch.zeros(fours.shape, dtype=torch.bool, device=weight.device)
    return stays.scatter(-1, fours.abs().topk(kept).indices, True).reshape(weight.shape)


def blobs(count: int, seed: int) -> list[tuple[Tensor, int]]:
    """A map-style data set: points around four corners, and which corner."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (count,), generator=generator)
    corners = torch.stack([labels % 2, labels // 2], 1).float().repeat(1, 4)
    return list(zip(corners + 0.4 * torch.randn(count, 8, generator=generator), labels.tolist(), strict=True))


def trained() -> nn.Module:
    """The network as somebody trained it."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 4))
    inputs, labels = zip(*blobs(1000, 0), strict=True)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(torch.stack(inputs)), torch.tensor(labels)).backward()
        optimizer.step()
    return network.eval()


def main() -> None:
    """Compresses by two steps, the first of them our own, and prints what they were worth."""
    found = compress(
        trained(),
        Recipe((TwoOfFour(), *Recipe.parse("quantize(bits=8)").steps)),
        {"train": blobs(1000, 0), "validation": blobs(300, 1), "test": blobs(300, 2)},
        input={"mean": 0.0, "std": 1.0},
        classes=4,
    )
    print(f"accuracy: {found.baseline['quality']:.3f} before, {found.figures['quality']:.3f} behind")
    print(f"weights that are not zero: {found.baseline['nonzero_parameters']} before, "
          f"{found.figures['nonzero_parameters']} behind")  # fmt: skip


if __name__ == "__main__":
    main()
