"""scikit-learn's digits: 1,797 real scanned digits, for quick runs."""

from functools import lru_cache

import numpy as np
import torch
from PIL import Image

from .dataset import Dataset, ImagesInMemory, Split

#: Sizes of the splits; together all 1,797 images.
TRAIN, VALIDATION, TEST = 947, 500, 350
#: Side of an image after scaling up from 8.
SIDE = 32
#: Decides which image falls into which split.
SEED = 0
#: Changes whenever the images or the splits do.
VERSION = "1"


@lru_cache(maxsize=1)
def load_digits() -> Dataset:
    """Loads the digits, scaled bilinearly from 8x8 with 17 grey levels to 32x32 bytes.

    Returns:
        947 / 500 / 350 images of (1, 32, 32), each split holding the ten classes in equal shares.
    """
    from sklearn.datasets import load_digits as load  # a second to import: only when asked for
    from sklearn.model_selection import train_test_split

    scanned = load()
    images = torch.from_numpy(np.stack([_scale_up(image) for image in scanned.images]))[:, None]
    labels = torch.from_numpy(scanned.target.astype(np.int64))
    rest, test = train_test_split(np.arange(len(labels)), test_size=TEST, stratify=labels, random_state=SEED)
    train, validation = train_test_split(rest, test_size=VALIDATION, stratify=labels[rest], random_state=SEED)
    return ImagesInMemory(
        name="digits",
        train=Split(images[train], labels[train]),
        validation=Split(images[validation], labels[validation]),
        test=Split(images[test], labels[test]),
        class_names=tuple("0123456789"),
        version=VERSION,
    )


def _scale_up(image: np.ndarray) -> np.ndarray:
    """Scales one (8, 8) image of 0..16 to (32, 32) bytes."""
    grey = Image.fromarray(np.round(image * (255 / 16)).astype(np.uint8))
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
