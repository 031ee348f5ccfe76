"""The papers' character data made anew: 35 classes, 64x64 RGB, rendered from fonts (PUB-III)."""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import version as package_version
from pathlib import Path

import numpy as np

from ..cache_dir import cache_dir
from . import render
from .dataset import Dataset
from .fonts import families_of, fonts_digest
from .parquet_file import read_parquet, write_parquet
from .render import render_character

#: 0-9 and A-Z without O, which no font tells from 0 (PUB-III).
CLASSES = "0123456789ABCDEFGHIJKLMNPQRSTUVWXYZ"
#: Images a class of each split: 5,950 / 1,050 / 1,750 in all (PUB-III: 7,000 to train and validate, 1,750).
IMAGES_PER_CLASS: tuple[tuple[str, int], ...] = (("train", 170), ("validation", 30), ("test", 50))
#: Decides every image together with its split, class and index.
SEED = 2023


@lru_cache(maxsize=1)
def load_characters() -> Dataset:
    """Loads the characters from the cache folder; renders them first where they are not there yet.

    Returns:
        5,950 / 1,050 / 1,750 images of (3, 64, 64), families of the splits disjoint.

    Raises:
        AtollError: a font package is missing, or the cache folder cannot be written.
    """
    version = dataset_version()
    path = cache_dir() / f"characters-{version}.parquet"
    if not path.is_file():
        _render_to(path)
    return read_parquet(path, "characters", tuple(CLASSES), version)


def dataset_version() -> str:
    """Returns 16 hexadecimal digits that change with the code, the fonts or the version of Pillow."""
    digest = hashlib.sha256()
    for source in (__file__, render.__file__):
        digest.update(Path(source).read_bytes())
    digest.update(fonts_digest().encode())
    digest.update(package_version("pillow").encode())
    return digest.hexdigest()[:16]


def render_image(split: str, label: int, index: int) -> np.ndarray:
    """Renders one image; the same arguments give the same image whatever was rendered before.

    Args:
        split: `train`, `validation` or `test`.
        label: index into `CLASSES`.
        index: number of the image within its class and split; families take turns.

    Returns:
        (64, 64, 3) uint8, RGB.
    """
    splits = [name for name, _ in IMAGES_PER_CLASS]
    rng = np.random.default_rng((SEED, splits.index(split), label, index))
    families = families_of(split)
    styles = families[index % len(families)].paths()
    return render_character(CLASSES[label], styles[rng.integers(len(styles))], rng)


def render_table(per_class: tuple[tuple[str, int], ...]) -> Iterator[dict[str, object]]:
    """Renders image after image, in the order of split, index and class.

    Args:
        per_class: images a class of each split.

    Yields:
        Rows with the keys `split`, `label` and `image` (64 * 64 * 3 bytes, row by row, RGB).
    """
    for split, count in per_class:
        for index in range(count):
            for label in range(len(CLASSES)):
                yield {"split": split, "label": label, "image": render_image(split, label, index).tobytes()}


def _render_to(path: Path) -> None:
    """Renders everything with a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import track

    total = len(CLASSES) * sum(count for _, count in IMAGES_PER_CLASS)
    rows = track(
        render_table(IMAGES_PER_CLASS),
        f"rendering {total:,} characters, once, into {path.parent}",
        total=total,
        console=Console(stderr=True),
    )
    write_parquet(path, iter(rows))
