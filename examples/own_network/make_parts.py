"""Makes an image folder of six classes from the built-in characters, and a network trained on it.

python make_parts.py        # writes data/parts/CLASS/NUMBER.png and parts.pt; a minute on two cores
"""

import argparse
from pathlib import Path

import torch
from atoll.evaluators.datasets.characters import CLASSES as CHARACTERS
from atoll.evaluators.datasets.characters import IMAGES_PER_CLASS, render_image
from nets import build
from PIL import Image
from torch.nn import functional as F

CLASSES, SIDE = "ABEHKR", 32


def write_pictures(folder: Path, at_most: int) -> None:
    """Writes a folder a class, as cameras and labelling tools leave them."""
    places = [(split, index) for split, count in IMAGES_PER_CLASS for index in range(count)]
    for name in CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, (split, index) in enumerate(places[:at_most]):
            pixels = render_image(split, CHARACTERS.index(name), index)
            Image.fromarray(pixels).save(folder / name / f"{number:04}.png")


def trained(folder: Path, epochs: int) -> torch.nn.Module:
    """Trains the network the plain way: pixels to [-1, 1], Adam, cross-entropy."""
    torch.manual_seed(0)
    paths = [
        (path, label) for label, name in enumerate(CLASSES) for path in sorted((folder / name).iterdir())
    ]
    pixels = [list(Image.open(path).resize((SIDE, SIDE)).tobytes()) for path, _ in paths]
    images = torch.tensor(pixels).view(-1, SIDE, SIDE, 3).permute(0, 3, 1, 2) / 127.5 - 1
    labels = torch.tensor([label for _, label in paths])
    network = build().train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for epoch in range(epochs):
        for picked in torch.randperm(len(labels)).split(64):
            loss = F.cross_entropy(network(images[picked]), labels[picked])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1} of {epochs}: loss {loss.item():.3f}", flush=True)
    return network.eval()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--images", type=int, default=250, help="a class")
    given = parser.parse_args()
    write_pictures(Path("data/parts"), given.images)
    torch.save(trained(Path("data/parts"), given.epochs).state_dict(), "parts.pt")
