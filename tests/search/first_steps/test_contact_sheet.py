"""The contact sheet: images as they are, and views of them as training shows them."""

from pathlib import Path

import numpy as np
import torch
from atoll.evaluators.datasets.dataset import ImagesInMemory, Split
from atoll.search.first_steps.contact_sheet import draw_contact_sheet
from PIL import Image


def data(images: torch.Tensor) -> ImagesInMemory:
    split = Split(images, torch.arange(len(images)) % 2)
    return ImagesInMemory("made", split, split, split, ("a", "ß"), "1")


def test_images_stand_beside_their_views(tmp_path: Path) -> None:
    images = torch.zeros(4, 3, 64, 64, dtype=torch.uint8)
    images[:, :, :, :32] = 200
    path = tmp_path / "sheet.png"
    assert draw_contact_sheet(data(images), ("mirror",), path) == ["a", "ß", "a", "ß"]
    with Image.open(path) as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape == (4 * (64 + 4 + 14) + 4, 6 * (64 + 4) + 4, 3)
    # left and right of the first row's pictures: the image itself is bright on its left, a mirrored one right
    sides = [(int(pixels[50, 4 + 68 * n + 10, 0]), int(pixels[50, 4 + 68 * n + 54, 0])) for n in range(6)]
    assert sides[0] == (200, 0)
    assert set(sides[1:]) == {(200, 0), (0, 200)}


def test_what_is_no_picture_is_not_drawn(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    assert draw_contact_sheet(data(torch.rand(4, 2, 16)), None, path) is None
    assert draw_contact_sheet(data(torch.zeros(4, 7, 8, 8, dtype=torch.uint8)), None, path) is None
    assert not path.exists()


def test_nothing_augmented_is_the_image_alone(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    draw_contact_sheet(data(torch.full((2, 1, 8, 8), 90, dtype=torch.uint8)), (), path)
    with Image.open(path) as sheet:
        assert sheet.width == 64 + 8  # eight times as large, to be seen
