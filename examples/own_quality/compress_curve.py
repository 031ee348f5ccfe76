"""A network of numbers, with a quality and a loss of one's own: `python compress_curve.py`.

The network learns a curve of two variables. What counts is how often it is right within 0.05, and errors are
punished up to a tenth alone, so that no outlier decides.
"""

import torch
from atoll import compress
from torch import Tensor, nn

RECIPE = "prune_channels(ratio=0.25) -> quantize(bits=8)"


def within(outputs: Tensor, targets: Tensor) -> float:
    """The quality: the share of outputs that are off by 0.05 at most."""
    return float(((outputs - targets).abs() <= 0.05).float().mean())


def bounded(outputs: Tensor, targets: Tensor) -> Tensor:
    """The loss: Huber's, straight from a tenth on (Huber 1964)."""
    return nn.functional.huber_loss(outputs, targets, delta=0.1)


def points(count: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """A map-style data set: (inputs, target) by index."""
    inputs = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    targets = torch.sin(3 * inputs[:, :1]) * inputs[:, 1:]
    return list(zip(inputs, targets, strict=True))


def trained() -> nn.Module:
    """The network as somebody trained it."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    inputs, targets = (torch.stack(column) for column in zip(*points(1000, 0), strict=True))
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(300):
        optimizer.zero_grad()
        bounded(network(inputs), targets).backward()
        optimizer.step()
    return network.eval()


def main() -> None:
    """Compresses by one recipe and prints what it was worth."""
    found = compress(
        trained(),
        RECIPE,
        {"train": points(1000, 0), "validation": points(300, 1), "test": points(300, 2)},
        input={"mean": 0.0, "std": 1.0},
        quality={"function": within, "higher_is_better": True, "name": "within 0.05", "tolerance": 0.05},
        loss=bounded,
        epochs_per_step=20,
        learning_rate=3e-3,
    )
    for name in ("quality", "model_bytes"):
        print(f"{name}: {found.baseline[name]:,.4g} before, {found.figures[name]:,.4g} behind {RECIPE}")


if __name__ == "__main__":
    main()
