"""Pictures from files: any kind of pixels becomes bytes of one size and number of channels."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...spaces.errors import AtollError
from ...spaces.outside.foreign_file import read_bytes
from .reader import DAMAGE, Unreadable

if TYPE_CHECKING:  # a machine that only trains has no Pillow
    from PIL.Image import Image

#: what is opened; Pillow would hand PostScript to another program
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
#: how files of these formats end
ENDINGS = frozenset(
    f".{ending}"
    for ending in (
        *("avif", "bmp", "dib", "gif", "jp2", "j2k", "jfif", "jpe", "jpeg", "jpg"),
        *("mpo", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp"),
    )
)
#: Pillow's own warning: a quarter of a gigabyte of RGB
LARGEST_PIXELS = 89_478_485
#: of a file: an uncompressed picture of that many pixels with alpha
LARGEST_FILE_BYTES = 4 * LARGEST_PIXELS + 2**20
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_GREY = ("1", "L", "LA", "La", "I")
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Args:
        pixels: (channels, height, width), uint8.
        came_as: height and width in the file, turned as EXIF says.
        remark: what was done beyond decoding, empty for nothing.
    """

    pixels: np.ndarray
    came_as: tuple[int, int]
    remark: str


def decode_picture(content: Path | bytes, size: tuple[int, int] | None, channels: int | None) -> Picture:
    """Decodes a picture.

    It is turned as its EXIF data say. Another size is reached by scaling until the picture just covers it and
    cutting the middle out (bilinear with antialiasing; torchvision's `Resize` and `CenterCrop` without a
    margin). 16 bits become 8 by dividing by 257. Transparency is left out, as torchvision's and Keras'
    loaders do, so that a network sees what it was trained with. Of several frames the first counts.

    Args:
        content: a file or its bytes.
        size: height and width; None keeps them.
        channels: 1 (grey), 3 (RGB) or 4 (with alpha); None: 1 for grey ones, else 3.

    Raises:
        Unreadable: it is no picture that can be read.
        AtollError: Pillow is not installed.
    """
    Image = _pillow()
    try:
        data = read_bytes(content, LARGEST_FILE_BYTES) if isinstance(content, Path) else content
        with Image.open(BytesIO(data), formats=_formats()) as image:
            if image.width * image.height > LARGEST_PIXELS:
                raise Unreadable(f"has {image.width} x {image.height} pixels, allowed are {LARGEST_PIXELS:,}")
            image.load()
            turned = _turned(image)
            has_alpha = turned.mode in _ALPHA or "transparency" in turned.info
            grey = is_grey(turned)
            chosen = channels or (1 if grey else 3)
            plain, was_wide = _eight_bits(turned)
            came_as = (plain.height, plain.width)
            pixels = _fitted(plain, size or came_as, chosen)
    except AtollError as error:
        raise Unreadable(str(error)) from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise Unreadable(f"has more pixels than allowed, {LARGEST_PIXELS:,}") from error
    except FileNotFoundError as error:
        raise Unreadable("is not there any more, or is a link to nowhere") from error
    except (MemoryError, struct.error, *DAMAGE) as error:
        raise Unreadable(_why(error)) from error
    remark = ""
    if was_wide:
        remark = "16 bits made 8"
    elif has_alpha and chosen != 4:
        remark = "transparency left out"
    elif grey and chosen != 1:
        remark = "grey ones made colour"
    elif chosen == 1 and not grey:
        remark = "colour ones made grey"
    return Picture(pixels, came_as, remark)


def resized_pixels(pixels: np.ndarray, size: tuple[int, int], channels: int) -> np.ndarray:
    """Returns pixels (C, H, W) with C 1, 3 or 4, uint8, in another size and number of channels.

    As `decode_picture` has it.
    """
    Image = _pillow()
    layout = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    return _fitted(Image.fromarray(np.ascontiguousarray(layout)), size, channels)


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silences Pillow's warnings, except that of too many pixels, which is raised; for all threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(ImportError):  # arrays are decoded without it
            from PIL import Image

            warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def is_grey(image: "Image") -> bool:
    """Says whether a picture's kind of pixels, or its whole palette, has no colour."""
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode in _GREY or image.mode.startswith("I;")


def _turned(image: "Image") -> "Image":
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except (MemoryError, struct.error, *DAMAGE):
        return image  # broken notes on a picture are no broken picture


def _eight_bits(image: "Image") -> tuple["Image", bool]:
    from PIL import Image

    if image.mode != "I" and not image.mode.startswith("I;"):
        if image.mode == "F":
            raise Unreadable("has floating-point pixels, allowed are 8 or 16 bits; NumPy files take others")
        return image, False
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise Unreadable("has pixels of 32 bits, allowed are 8 or 16")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8)), True


def _fitted(image: "Image", size: tuple[int, int], channels: int) -> np.ndarray:
    """Returns (channels, *size), uint8: converted, scaled until it covers the size, its middle cut out."""
    from PIL import Image, ImageOps

    image = _as_mode(image, _MODES[channels])
    if (image.height, image.width) != size:
        image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(image, np.uint8).reshape(*size, channels).transpose(2, 0, 1))


def _as_mode(image: "Image", mode: str) -> "Image":
    if image.mode == mode:
        return image
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
        image = image.convert("RGB")
    return image.convert(mode)


def _pillow() -> Any:
    """Returns Pillow's module of images, which a machine that only trains may lack."""
    try:
        from PIL import Image
    except ImportError as error:
        raise AtollError(
            "data: pictures are decoded by Pillow, which is not installed: pip install pillow"
        ) from error
    return Image


def _formats() -> list[str]:
    from PIL import Image

    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _why(error: BaseException) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "is no picture in a format that is read"
    text = " ".join(str(error).split())[:200]
    return f"cannot be decoded ({text or type(error).__name__})"
