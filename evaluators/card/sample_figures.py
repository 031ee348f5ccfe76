"""Pictures of single samples: which classes a file takes for which, and where it is far from its network."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...spaces.layers.shape import is_image
from ...spaces.outside.shown import shown
from .svg import own_style, svg_bytes

# Okabe & Ito's palette, as of the waterfall.
_RIGHT, _WRONG = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)
_DARK = 0.6  # of a cell's colour, from which on its number is white
_SIDE_IN, _LEAST_CELL_IN, _LARGEST_CELL_IN = 5.0, 0.25, 0.7
_NAME = 14  # characters of a class's name; longer ones are cut
_THUMBNAIL_IN, _CAPTION_IN = 1.7, 0.75
#: pixels of a thumbnail's side, own choice: of larger images every second, third, … one is shown
_THUMBNAIL_SIDE = 96
#: channels of what can be seen; a fourth is how transparent the others are
_SEEN = (1, 3, 4)


def draw_confusion(matrix: Sequence[Sequence[int]], names: Sequence[str], title: str) -> bytes:
    """Returns a confusion matrix as an SVG file: blue is right, orange wrong, the darker the more.

    Args:
        matrix: how often each class, a row each, is taken for each, (K, K).
        names: of the classes.
        title: for those who do not see it.
    """
    from matplotlib.figure import Figure as Picture

    counts = np.array(matrix, dtype=np.int64)
    strength = _strength(counts)
    cell = min(max(_SIDE_IN / len(counts), _LEAST_CELL_IN), _LARGEST_CELL_IN)
    side, labels = cell * len(counts) + 1.5, [_short(name) for name in names]
    with own_style():
        picture = Picture(figsize=(side, side), layout="constrained")
        axes = picture.subplots()
        axes.imshow(_colours(counts, strength), interpolation="none")
        for row, column in zip(*counts.nonzero(), strict=True):
            colour = "white" if strength[row, column] > _DARK else "black"
            axes.text(
                column, row, str(counts[row, column]), color=colour, ha="center", va="center", fontsize=7
            )
        axes.set_xticks(range(len(labels)), labels, rotation=90)
        axes.set_yticks(range(len(labels)), labels)
        axes.tick_params(labelsize=8, length=0, labelbottom=False, labeltop=True)
        axes.set_xlabel("what the file takes it for", fontsize=9)
        axes.set_ylabel("class", fontsize=9)
        axes.spines[:].set_color("#cccccc")
        return svg_bytes(picture, title)


def _strength(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns how dark cells are: by their share of the class where right, of the most frequent where not."""
    of_class = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    wrong = counts * (1 - np.eye(len(counts), dtype=np.int64))
    return np.where(np.eye(len(counts)) > 0, of_class, wrong / max(1, wrong.max()))


def _colours(counts: NDArray[np.int64], strength: NDArray[np.float64]) -> NDArray[np.uint8]:
    colour = np.where(np.eye(len(counts))[..., None] > 0, np.array(_RIGHT), np.array(_WRONG))
    return np.rint(255 - strength[..., None] * (255 - colour)).astype(np.uint8)


def draw_thumbnails(images: Sequence[Tensor], captions: Sequence[str], title: str) -> bytes:
    """Returns images beside each other as an SVG file.

    Args:
        images: (C, H, W) each, as they are stored; see `can_be_seen`.
        captions: lines below each.
        title: for those who do not see it.
    """
    from matplotlib.figure import Figure as Picture

    size = _THUMBNAIL_IN * len(images), _THUMBNAIL_IN + _CAPTION_IN
    with own_style():
        picture = Picture(figsize=size, layout="constrained")
        every = picture.subplots(1, len(images), squeeze=False)[0]
        for axes, image, caption in zip(every, images, captions, strict=True):
            axes.imshow(_thumbnail(image), interpolation="none")
            axes.set_xlabel(caption, fontsize=8)
            axes.set_xticks([])
            axes.set_yticks([])
        return svg_bytes(picture, title)


def can_be_seen(shape: Sequence[int]) -> bool:
    """Whether inputs of a shape are images of one or three colours, transparent or not."""
    return is_image(shape) and shape[0] in _SEEN


def _thumbnail(image: Tensor) -> NDArray[np.uint8]:
    """Returns an image in bytes, (H, W, 3); other numbers are spread from their least to their largest."""
    step = -(-max(image.shape[1:]) // _THUMBNAIL_SIDE)
    seen = image[:3, ::step, ::step]
    if seen.dtype != torch.uint8:
        values = seen.double()
        least, span = values.min(), values.max() - values.min()
        seen = ((values - least) / (span if span > 0 else 1) * 255).round().to(torch.uint8)
    return seen.expand(3, *seen.shape[1:]).permute(1, 2, 0).contiguous().numpy()


def caption_of(*lines: str) -> str:
    """Returns lines below a thumbnail, each cut where it is long."""
    return "\n".join(shown(line)[: 2 * _NAME] for line in lines)


def _short(name: str) -> str:
    text = shown(name)
    return text if len(text) <= _NAME else text[: _NAME - 1] + "…"
