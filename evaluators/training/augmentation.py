"""Shifted views of the training images: a cheap augmentation whose teacher answers can be computed once."""

import torch
from torch import Tensor

#: Shifted views of every image. A finite number, so that a teacher answers each of them only once; distilling
#: an epoch of `characters` would cost half as much again (8 s beside 15 s, two threads) if it answered live.
VIEWS = 4
#: Largest shift, share of the side: 4 pixels of 64, less than the characters' own play.
MAX_SHIFT_SHARE = 1 / 16
#: Decides the shift of every view.
SEED = 0


def view_shifts(count: int, height: int, width: int) -> Tensor:
    """Returns by how many pixels each view of each image is shifted; the same whenever it is asked.

    Args:
        count: number of images, N.
        height: of an image, pixels.
        width: of an image, pixels.

    Returns:
        (VIEWS, N, 2) int64: rows down, columns right.
    """
    generator = torch.Generator().manual_seed(SEED)
    reaches = (int(height * MAX_SHIFT_SHARE), int(width * MAX_SHIFT_SHARE))
    drawn = [torch.randint(-reach, reach + 1, (VIEWS, count), generator=generator) for reach in reaches]
    return torch.stack(drawn, dim=2)


def shifted(images: Tensor, shifts: Tensor) -> Tensor:
    """Shifts each image by whole pixels; what moves in repeats the edge.

    Args:
        images: (N, C, H, W), any type.
        shifts: (N, 2) int64: rows down, columns right.

    Returns:
        (N, C, H, W), channels-last in memory: the layout in which convolutions run fastest on CPUs (one
        thread took 26 instead of 42 s for an epoch of `characters`).
    """
    count, _, height, width = images.shape
    rows = (torch.arange(height) - shifts[:, :1]).clamp_(0, height - 1)
    columns = (torch.arange(width) - shifts[:, 1:]).clamp_(0, width - 1)
    picture = torch.arange(count)[:, None, None]
    return images.permute(0, 2, 3, 1)[picture, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
