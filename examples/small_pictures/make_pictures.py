"""Makes 1,800 pictures of 32x32 in ten classes of shapes, in the binary files in which CIFAR-10 is published.

    python make_pictures.py        # data/cifar-10-batches-bin: five batches of 300 to train, 300 to test

A record is a byte for the label, then 1,024 bytes each of red, green and blue (Krizhevsky 2009, and
https://www.cs.toronto.edu/~kriz/cifar.html).
"""

from pathlib import Path

import numpy as np

CLASSES = ("disc", "ring", "square", "frame", "triangle", "plus", "flower", "bars", "checks", "dots")
BATCH, SIDE = 300, 32
#: points a side of a pixel that decide how much of it is covered
FINER = 3


def is_inside(kind: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Says which points a shape covers; it reaches from about -1 to 1."""
    radius, longer, shorter = np.hypot(x, y), np.maximum(abs(x), abs(y)), np.minimum(abs(x), abs(y))
    wave_x, wave_y = np.sin(2.5 * np.pi * x), np.sin(2.5 * np.pi * y)
    return {
        "disc": radius < 1,
        "ring": (radius < 1) & (radius > 0.6),
        "square": longer < 0.9,
        "frame": (longer < 0.9) & (longer > 0.5),
        "triangle": np.maximum(-y, np.sqrt(0.75) * abs(x) + y / 2) < 0.55,
        "plus": (longer < 1) & (shorter < 0.3),
        "flower": radius < 0.65 + 0.35 * np.cos(5 * np.arctan2(y, x)),
        "bars": (longer < 0.9) & (wave_x > 0),
        "checks": (longer < 0.9) & (wave_x * wave_y > 0),
        "dots": (longer < 0.9) & (wave_x + wave_y > 0.7),
    }[kind]


def picture(kind: str, random: np.random.Generator) -> np.ndarray:
    """Returns a shape somewhere in front of a darker colour, under noise, uint8, (3, SIDE, SIDE)."""
    points = (np.arange(SIDE * FINER) + 0.5) / (SIDE * FINER) * 2 - 1
    size, turn = random.uniform(0.5, 0.75), random.uniform(0, np.pi / 2)
    right, down = random.uniform(size - 1, 1 - size, 2)
    x, y = np.meshgrid((points - right) / size, (points - down) / size)
    inside = is_inside(kind, np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y)
    covered = inside.reshape(SIDE, FINER, SIDE, FINER).mean(axis=(1, 3))
    front, behind = random.uniform(130, 255, (3, 1, 1)), random.uniform(0, 110, (3, 1, 1))
    colours = covered * front + (1 - covered) * behind
    return (colours + random.normal(0, random.uniform(5, 30), colours.shape)).clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    folder = Path(__file__).with_name("data") / "cifar-10-batches-bin"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n")
    random = np.random.default_rng(0)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        labels = random.permutation(np.arange(BATCH) % len(CLASSES))
        records = [bytes([label]) + picture(CLASSES[label], random).tobytes() for label in labels]
        (folder / f"{name}.bin").write_bytes(b"".join(records))
    print(f"{folder}: {6 * BATCH} pictures of {SIDE}x{SIDE} in {len(CLASSES)} classes")
