"""Makes 900 pictures of 96x96 of machine parts that lie on a table, 150 of each of six, in a folder a class.

python make_parts.py        # data/parts/SPLIT/CLASS/NUMBER.png
"""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("bolt", "gear", "nut", "spring", "washer", "wing_nut")
SIDE = 96
#: pictures of a class
SPLITS = {"train": 100, "val": 25, "test": 25}
#: points a side of a pixel that decide how much of it is covered
FINER = 2


def is_part(kind: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Says which points a part covers; it reaches from about -1 to 1."""
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    if kind == "bolt":
        head = (abs(x) < 0.5) & (abs(y + 0.75) < 0.25)
        return head | ((abs(x) < 0.22 + 0.05 * np.sin(40 * y)) & (abs(y) < 1))
    if kind == "gear":
        return (radius < 0.85 + 0.12 * np.sign(np.sin(12 * angle))) & (radius > 0.25)
    if kind == "nut":
        # the distance from the middle in the direction of the nearest of six sides
        return (radius * np.cos(angle % (np.pi / 3) - np.pi / 6) < 0.8) & (radius > 0.45)
    if kind == "spring":
        return (abs(x - 0.4 * np.sin(14 * y)) < 0.15) & (abs(y) < 1)
    if kind == "washer":
        return (radius < 0.85) & (radius > 0.45)
    wings = np.hypot((abs(x) - 0.65) / 0.35, (y + 0.3) / 0.5) < 1
    return (wings | (radius < 0.5)) & (radius > 0.25)


def picture(kind: str, random: np.random.Generator) -> np.ndarray:
    """Returns a part with its shadow under uneven light and noise, uint8, (SIDE, SIDE, 3)."""
    points = (np.arange(SIDE * FINER) + 0.5) / (SIDE * FINER) * 2 - 1
    size, turn = random.uniform(0.4, 0.7), random.uniform(0, 2 * np.pi)
    right, down = random.uniform(size - 1, 1 - size, 2)

    def covered(shift: float) -> np.ndarray:
        x, y = np.meshgrid((points - right - shift) / size, (points - down - shift) / size)
        inside = is_part(kind, np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y)
        return inside.reshape(SIDE, FINER, SIDE, FINER).mean(axis=(1, 3))[..., None]

    table, metal = random.uniform(30, 110, 3), random.uniform(130, 230) + random.uniform(-15, 15, 3)
    ground = table * (1 - 0.5 * covered(random.uniform(0.03, 0.1)))
    seen = covered(0) * metal + (1 - covered(0)) * ground
    slope_x, slope_y, steps = *random.uniform(-0.3, 0.3, 2), points[::FINER, None]
    light = 1 + slope_x * steps + slope_y * steps[:, None]
    return (seen * light + random.normal(0, random.uniform(5, 25), seen.shape)).clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    folder, random = Path(__file__).with_name("data") / "parts", np.random.default_rng(0)
    for split, each in SPLITS.items():
        for name in CLASSES:
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for number in range(each):
                Image.fromarray(picture(name, random)).save(folder / split / name / f"{number:03}.png")
    print(f"{folder}: {sum(SPLITS.values())} pictures of {SIDE}x{SIDE} of each of {', '.join(CLASSES)}")
