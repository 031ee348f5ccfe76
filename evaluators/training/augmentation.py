"""Views of the training inputs: an augmentation whose teacher answers can be computed once."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ...spaces.errors import AtollError

#: Views of every input. A finite number, so that a teacher answers each of them only once; distilling
#: an epoch of `characters` would cost half as much again (8 s beside 15 s, two threads) if it answered live.
VIEWS = 4
#: Views where they differ in more than a shift, of which there are more to be seen.
MANY_VIEWS = 8
#: Largest shift, share of the side: 4 pixels of 64, less than the characters' own play.
MAX_SHIFT_SHARE = 1 / 16
#: Largest rotation, degrees (of the usual 10 to 15: more makes 6 and 9, or 1 and 7, alike).
MAX_ROTATION = 15.0
#: Smallest and largest size of what is seen, share of the side.
SCALES = (0.9, 1.1)
#: Smallest side of what a crop leaves, share of the side: half of the area, where Szegedy et al. 2015 go down
#: to 0.08 for nets that are trained from nothing for long.
SMALLEST_CROP = 0.7
#: Decides what every view is.
SEED = 0


class Views:
    """A fixed number of views of every input: the same ones whenever they are asked for.

    Args:
        count: number of inputs, N.
        input_shape: (channels, height, width), (channels, length) or (features,).
        augment: names of `settings.AUGMENTATIONS`; None for shifts where there is a place to shift to.

    Raises:
        AtollError: inputs of this shape cannot be seen so.
    """

    def __init__(
        self, count: int, input_shape: tuple[int, ...], augment: tuple[str, ...] | None = None
    ) -> None:
        sizes = input_shape[1:]
        self.kinds = (("shift",) if sizes else ()) if augment is None else augment
        allowed = {2: ("shift", "mirror", "rotation", "scale", "crop"), 1: ("shift",), 0: ()}[len(sizes)]
        for name in self.kinds:
            if name not in allowed:
                raise AtollError(
                    f"augment: got {name!r} for inputs of {'x'.join(map(str, input_shape))}, allowed "
                    f"{'are ' + ', '.join(allowed) if allowed else 'is nothing'} there"
                )
        self.count = 1 if not self.kinds else VIEWS if self.kinds == ("shift",) else MANY_VIEWS
        self._shifts = view_shifts(count, *sizes) if self.kinds == ("shift",) else None
        self._affine = _drawn(self.count, count, self.kinds) if self.kinds and self._shifts is None else None

    def show(self, inputs: Tensor, view: Tensor, picked: Tensor) -> Tensor:
        """Returns what is seen of inputs.

        Args:
            inputs: (B, ...), as they are stored, on any device.
            view: (B,), the number of a view for each, below `count`.
            picked: (B,), which of the N inputs they are.

        Returns:
            (B, ...), as they are stored, or float32 where pixels are interpolated; maps channels-last.
        """
        if self._shifts is not None:
            return shifted(inputs, self._shifts[view, picked])
        if self._affine is not None:
            return _seen(inputs, self._affine[view, picked].to(inputs.device))
        return channels_last(inputs)


def channels_last(images: Tensor) -> Tensor:
    """Returns images (N, C, H, W) channels-last in memory, others as they are.

    In that layout convolutions run fastest on CPUs: one thread took 26 instead of 42 s for an epoch of
    `characters`.
    """
    return images.contiguous(memory_format=torch.channels_last) if images.dim() == 4 else images


def view_shifts(count: int, *sizes: int) -> Tensor:
    """Returns by how many places each view of each input is shifted; the same whenever it is asked.

    Args:
        count: number of inputs, N.
        sizes: height and width of an image, or the length of a series.

    Returns:
        (VIEWS, N, number of sizes) int64: rows down, columns right.
    """
    generator = torch.Generator().manual_seed(SEED)
    reaches = [int(size * MAX_SHIFT_SHARE) for size in sizes]
    drawn = [torch.randint(-reach, reach + 1, (VIEWS, count), generator=generator) for reach in reaches]
    return torch.stack(drawn, dim=2)


def shifted(images: Tensor, shifts: Tensor) -> Tensor:
    """Shifts each image or series by whole places; what moves in repeats the edge.

    Each picture is read in one piece a row from its place in a larger one: an index for every place took more
    than twice as long (2.0 beside 0.9 ms for 64 images of 3x64x64, one thread, own measurement, 2026).

    Args:
        images: (N, C, H, W) or (N, C, L), any type.
        shifts: (N, 2) or (N, 1) int64 on the CPU: rows down, columns right.

    Returns:
        same shape; images are channels-last in memory.
    """
    if not len(images):
        return images
    sizes = images.shape[2:]
    reaches = shifts.abs().amax(0).tolist()
    larger = images.movedim(1, -1).contiguous()
    for axis, reach in enumerate(reaches, start=1):
        larger = _edges_repeated(larger, axis, reach)
    for axis, size in enumerate(sizes, start=1):
        larger = larger.unfold(axis, size, 1)
    # where a picture may begin stands at each of these axes now, what it shows there behind the channels
    begun = larger.movedim(1 + len(sizes), -1)
    begins = ((reach - by).to(images.device) for reach, by in zip(reaches, shifts.unbind(1), strict=True))
    return begun[(torch.arange(len(images), device=images.device), *begins)].movedim(-1, 1)


def _edges_repeated(images: Tensor, axis: int, times: int) -> Tensor:
    """Returns images with their first and last place along an axis repeated so many times more."""
    if times == 0:
        return images
    size = list(images.shape)
    size[axis] = times
    first, last = images.narrow(axis, 0, 1), images.narrow(axis, images.shape[axis] - 1, 1)
    return torch.cat([first.expand(size), images, last.expand(size)], axis)


def _drawn(views: int, count: int, kinds: tuple[str, ...]) -> Tensor:
    """Draws the map of every view of every image, from where a pixel is to where it is read: [V, N, 2, 3]."""
    generator = torch.Generator().manual_seed(SEED)

    def draw(low: float, high: float) -> Tensor:
        return torch.rand(views, count, generator=generator) * (high - low) + low

    still = torch.zeros(views, count)
    angle = draw(-MAX_ROTATION, MAX_ROTATION) * math.pi / 180 if "rotation" in kinds else still
    size = 1 / draw(*SCALES) if "scale" in kinds else still + 1
    right, down = still, still
    if "shift" in kinds:
        right, down = (2 * draw(-MAX_SHIFT_SHARE, MAX_SHIFT_SHARE) for _ in range(2))
    if "crop" in kinds:
        side = draw(SMALLEST_CROP, 1.0)
        size = size * side
        right, down = right + draw(-1, 1) * (1 - side), down + draw(-1, 1) * (1 - side)
    turned = torch.where(draw(0, 1) < 0.5, -1.0, 1.0) if "mirror" in kinds else still + 1
    cosine, sine = size * angle.cos(), size * angle.sin()
    rows = [torch.stack([cosine * turned, -sine, right], -1), torch.stack([sine * turned, cosine, down], -1)]
    return torch.stack(rows, -2)


def _seen(images: Tensor, maps: Tensor) -> Tensor:
    """Reads images where maps say, between pixels bilinearly; what lies outside repeats the edge.

    Args:
        images: (N, C, H, W), any type.
        maps: (N, 2, 3), of coordinates in [-1, 1].
    """
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    seen = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    return channels_last(seen)
