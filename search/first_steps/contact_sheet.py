"""A picture of what training sees: images beside views of them."""

from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ...evaluators.datasets.dataset import Dataset
from ...evaluators.training.augmentation import Views
from ...spaces.errors import AtollError

#: images, a row each; more rows than fit a screen are not looked at
ROWS = 8
#: views beside an image, the image itself first
_VIEWS = 5
#: least side of a picture on the sheet, pixels: below it nothing is seen
_LEAST_SIDE = 64
_GAP, _LABEL_HEIGHT = 4, 14


def draw_contact_sheet(dataset: Dataset, augment: tuple[str, ...] | None, path: Path) -> list[str] | None:
    """Writes training images with their views as a PNG, the first of each class before the second of any.

    Args:
        dataset: of images; of other inputs nothing is written.
        augment: as training has it.
        path: of the file; replaced.

    Returns:
        the label of each row, from above; None where there is nothing to be seen.

    Raises:
        AtollError: the file cannot be written.
    """
    train = dataset.train
    if train.images.dim() != 4 or train.images.dtype != torch.uint8 or train.images.shape[1] not in (1, 3, 4):
        return None
    rows = _rows(train.labels)
    labels = [_label(train.labels[row], dataset.class_names) for row in rows]
    picked = torch.tensor(rows)
    images = train.images[picked]
    views = Views(len(train), dataset.input_shape, augment)
    seen = [images]
    for view in range(min(_VIEWS, views.count) if views.kinds else 0):
        seen.append(views.show(images, torch.full_like(picked, view), picked).round().clamp(0, 255).byte())
    height, width = images.shape[2:]
    scale = max(1, -(-_LEAST_SIDE // max(1, min(height, width))))
    wide, high = width * scale + _GAP, height * scale + _GAP + _LABEL_HEIGHT
    sheet = Image.new("RGB", (wide * len(seen) + _GAP, high * len(rows) + _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for row, label in enumerate(labels):
        # the built-in letters are few: what they lack is escaped
        pen.text(
            (_GAP, row * high + 1), label.encode("ascii", "backslashreplace").decode()[:60], fill="black"
        )
        for column, pictures in enumerate(seen):
            picture = _picture(pictures[row]).resize(
                (width * scale, height * scale), Image.Resampling.NEAREST
            )
            sheet.paste(picture, (_GAP + column * wide, row * high + _LABEL_HEIGHT))
    try:
        sheet.save(path, format="PNG")
    except OSError as error:
        raise AtollError(f"cannot write the contact sheet {path}: {error.strerror or error}") from error
    return labels


def _rows(labels: Tensor) -> list[int]:
    """Returns which images are shown: the first of every class, then the second, and so on."""
    if labels.dim() != 1 or labels.is_floating_point():
        return list(range(min(ROWS, len(labels))))
    turns: dict[int, int] = {}
    order = []
    for row, label in enumerate(labels.tolist()):
        turn = turns[label] = turns.get(label, -1) + 1
        order.append((turn, label, row))
    return [row for _, _, row in sorted(order)[:ROWS]]


def _label(target: Tensor, names: tuple[str, ...]) -> str:
    if target.dim():
        return "x".join(map(str, target.shape))
    return f"{target.item():.4g}" if target.is_floating_point() else names[int(target)]


def _picture(pixels: Tensor) -> Image.Image:
    array = pixels.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array[:, :, :3]).convert("RGB")
