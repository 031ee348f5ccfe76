"""Any kind of pixels becomes the bytes that Pillow's own steps give, or a sentence."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from atoll.evaluators.sources.picture import LARGEST_PIXELS, decode_picture, quiet_pillow, resized_pixels
from atoll.evaluators.sources.reader import Unreadable
from PIL import Image, ImageOps

PIXELS = np.random.default_rng(0).integers(0, 256, (10, 14, 3), np.uint8)
COLOUR = Image.fromarray(PIXELS)


def stored(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    content = BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def channels_first(image: Image.Image) -> np.ndarray:
    values = np.asarray(image)
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


@pytest.mark.parametrize("form", ["PNG", "BMP", "PPM", "TIFF", "WEBP", "JPEG", "GIF"])
def test_it_is_what_pillow_decodes(form: str) -> None:
    content = stored(COLOUR, form)
    found = decode_picture(content, None, 3)
    assert np.array_equal(found.pixels, channels_first(Image.open(BytesIO(content)).convert("RGB")))
    assert found.pixels.flags.c_contiguous and found.came_as == (10, 14)


@pytest.mark.parametrize(
    ("mode", "own", "remark"),
    [
        ("L", 1, "grey ones made colour"),
        ("1", 1, "grey ones made colour"),
        ("LA", 1, "transparency left out"),
        ("P", 3, ""),
        ("RGB", 3, ""),
        ("RGBA", 3, "transparency left out"),
    ],
)
def test_grey_palette_and_transparent_ones(mode: str, own: int, remark: str) -> None:
    image = COLOUR.convert(mode)
    content = stored(image)
    assert len(decode_picture(content, None, None).pixels) == own
    as_colour = decode_picture(content, None, 3)
    assert np.array_equal(as_colour.pixels, channels_first(image.convert("RGB")))
    assert as_colour.remark == remark
    as_grey = decode_picture(content, None, 1)
    assert np.array_equal(as_grey.pixels, channels_first(image.convert("L")))
    with_alpha = decode_picture(content, None, 4)
    assert np.array_equal(with_alpha.pixels, channels_first(image.convert("RGBA")))


def test_a_grey_palette_is_grey() -> None:
    assert len(decode_picture(stored(COLOUR.convert("L").convert("P")), None, None).pixels) == 1


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk(form: str) -> None:
    content = stored(COLOUR.convert("CMYK"), form)
    expected = channels_first(Image.open(BytesIO(content)).convert("RGB"))
    found = decode_picture(content, None, None)
    assert np.array_equal(found.pixels, expected)
    assert np.abs(found.pixels.astype(int) - channels_first(COLOUR)).mean() < (40 if form == "JPEG" else 1)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bits_keep_their_grey(form: str) -> None:
    wide = np.array([[0, 128, 129, 256], [257 * 100, 257 * 100 + 129, 65406, 65535]], np.uint16)
    found = decode_picture(stored(Image.fromarray(wide), form), None, None)
    # what lies between two bytes goes to the nearer one
    assert found.pixels.tolist() == [[[0, 0, 1, 1], [100, 101, 254, 255]]]
    assert found.remark == "16 bits made 8"


@pytest.mark.parametrize("value", range(1, 9))
def test_exif_turns_it(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    found = decode_picture(stored(COLOUR, exif=exif), None, 3)
    turn = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p),
    }[value]
    assert np.array_equal(found.pixels.transpose(1, 2, 0), turn(PIXELS))


def test_broken_exif_breaks_no_picture() -> None:
    with quiet_pillow():
        found = decode_picture(stored(COLOUR, "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"), None, 3)
    assert np.array_equal(found.pixels, channels_first(COLOUR))


@pytest.mark.parametrize("size", [(5, 5), (10, 7), (20, 28), (3, 40)])
def test_another_size_covers_and_cuts_the_middle(size: tuple[int, int]) -> None:
    found = decode_picture(stored(COLOUR), size, 3).pixels
    height, width = size
    # the part of the picture with the same ratio of sides, around its middle
    scale = min(10 / height, 14 / width)
    left, top = (14 - width * scale) / 2, (10 - height * scale) / 2
    box = (left, top, 14 - left, 10 - top)
    expected = COLOUR.resize((width, height), Image.Resampling.BILINEAR, box=box)
    assert np.abs(found.astype(int) - channels_first(expected)).max() <= 1
    assert np.array_equal(resized_pixels(channels_first(COLOUR), size, 3), found)


def test_of_several_frames_the_first_counts() -> None:
    content = stored(COLOUR, "TIFF", save_all=True, append_images=[ImageOps.invert(COLOUR)])
    assert np.array_equal(decode_picture(content, None, 3).pixels, channels_first(COLOUR))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, data: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no picture in a format that is read"),
        (b"hello", "is no picture in a format that is read"),
        (stored(COLOUR)[:-100], "cannot be decoded"),
        (stored(COLOUR, "JPEG")[:-60], r"cannot be decoded \(image file is truncated"),
        (png(10**4, 10**4), f"has more pixels than allowed, {LARGEST_PIXELS:,}"),
        (png(10**6, 10**6), f"has more pixels than allowed, {LARGEST_PIXELS:,}"),
        (stored(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF"), "has floating-point pixels"),
        (stored(Image.fromarray(np.full((2, 2), 70_000, np.int32)), "TIFF"), "has pixels of 32 bits"),
        # Pillow would hand these to Ghostscript
        (stored(COLOUR, "EPS"), "is no picture in a format that is read"),
    ],
)
def test_what_cannot_be_read_is_said(content: bytes, said: str) -> None:
    with quiet_pillow(), pytest.raises(Unreadable, match=said):
        decode_picture(content, None, None)


def test_paths_that_are_no_files_are_said(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="is not there any more"):
        decode_picture(tmp_path / "gone.png", None, None)
    with pytest.raises(Unreadable, match="cannot be decoded"):
        decode_picture(tmp_path, None, None)


def test_damaged_bytes_are_pixels_or_a_sentence() -> None:
    generator = np.random.default_rng(1)
    for form in ("PNG", "GIF", "TIFF", "JPEG", "WEBP", "BMP"):
        whole = np.frombuffer(stored(COLOUR, form), np.uint8)
        for _ in range(60):
            damaged = whole.copy()
            damaged[generator.integers(0, len(whole), 4)] = generator.integers(0, 256, 4)
            with quiet_pillow():
                try:
                    found = decode_picture(damaged.tobytes(), (6, 6), 3)
                except Unreadable as error:
                    assert str(error).startswith(("is no", "cannot", "has "))
                else:
                    assert found.pixels.shape == (3, 6, 6)
