"""Renders one character as a camera might have seen it."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

#: Side of an image in pixels (PUB-III: 64x64 RGB).
SIDE = 64
#: The glyph is drawn this many times larger, then averaged down: no staircase after the warp.
OVERSAMPLING = 2

# How hard the images are. Chosen by trial, so that the baseline CNN ends between 80 and 95 % on families that
# it never saw, at ranges in which a reader still tells the characters apart.
GLYPH_HEIGHT = (0.5, 0.72)  # of a capital, share of the side
ROTATION_DEG = 14.0
SHEAR = 0.14
STRETCH = (0.85, 1.15)  # width over height
SHIFT = 0.05  # of the centre, share of the side
PERSPECTIVE = 0.07  # of each corner, share of the side
CONTRAST = (40.0, 165.0)  # luminance of glyph minus ground, levels of 255
BLUR_RADIUS_PX = (0.0, 1.4)
NOISE_STD = (2.0, 20.0)  # levels of 255
NEIGHBOUR_PROBABILITY = 0.3  # a second character looks in from the side
CLUTTER_SHAPES = 3  # lines and ellipses behind the glyph, at most
OCCLUSION_PROBABILITY = 0.4
OCCLUSION_SHARE = (0.04, 0.13)  # width of the bar over the glyph, share of the side


def render_character(character: str, font_path: Path, rng: np.random.Generator) -> np.ndarray:
    """Renders one character with rotation, perspective, blur, noise, clutter and occlusion.

    Args:
        character: one character.
        font_path: the font file.
        rng: the only source of randomness.

    Returns:
        (64, 64, 3) uint8, RGB.
    """
    mask = _warp(_glyph(character, font_path, rng), rng)
    ground, ink = _colours(rng)
    image = _background(ground, ink, font_path, rng)
    image.paste(tuple(ink), mask=mask)
    _occlude(image, ground, rng)
    blurred = image.filter(ImageFilter.GaussianBlur(rng.uniform(*BLUR_RADIUS_PX)))
    noise = rng.normal(0.0, rng.uniform(*NOISE_STD), (SIDE, SIDE, 3))
    return np.clip(np.rint(np.asarray(blurred) + noise), 0, 255).astype(np.uint8)


@lru_cache(maxsize=2048)
def _font(path: Path, size_px: int) -> ImageFont.FreeTypeFont:
    """Opens a font with the layout engine that Pillow itself carries."""
    return ImageFont.truetype(str(path), size_px, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=64)
def _size_for_height(path: Path) -> float:
    """Returns the font size over the height of a capital H."""
    _, top, _, bottom = _font(path, 200).getbbox("H")
    return 200 / (bottom - top)


def _glyph(character: str, font_path: Path, rng: np.random.Generator) -> Image.Image:
    """Draws the bare character, white on black, centred on the oversampled canvas."""
    side = SIDE * OVERSAMPLING
    size = round(side * rng.uniform(*GLYPH_HEIGHT) * _size_for_height(font_path))
    canvas = Image.new("L", (side, side))
    font = _font(font_path, size)
    left, top, right, bottom = font.getbbox(character)
    ImageDraw.Draw(canvas).text(
        ((side - left - right) / 2, (side - top - bottom) / 2), character, fill=255, font=font
    )
    return canvas


def _warp(canvas: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turns, shears, stretches, shifts and tilts the canvas, then averages it down to the image's size."""
    side = SIDE * OVERSAMPLING
    angle = np.deg2rad(rng.uniform(-ROTATION_DEG, ROTATION_DEG))
    shear = rng.uniform(-SHEAR, SHEAR)
    stretch = np.sqrt(rng.uniform(*STRETCH))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.array([[1.0, shear], [0.0, 1.0]]) @ np.diag([stretch, 1 / stretch])
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    moved = (
        corners @ linear.T + rng.uniform(-SHIFT, SHIFT, 2) + rng.uniform(-PERSPECTIVE, PERSPECTIVE, (4, 2))
    )
    coefficients = _homography((moved + 0.5) * side, (corners + 0.5) * side)
    warped = canvas.transform(
        canvas.size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR
    )
    return warped.reduce(OVERSAMPLING)


def _homography(source: np.ndarray, target: np.ndarray) -> tuple[float, ...]:
    """Solves for the eight coefficients of the projective map from four points to four points.

    Args:
        source: (4, 2), x and y.
        target: (4, 2).

    Returns:
        (a, b, c, d, e, f, g, h) of x' = (ax+by+c)/(gx+hy+1), y' = (dx+ey+f)/(gx+hy+1), rounded so that the
        last bits of the solver do not matter.
    """
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return tuple(round(float(value), 9) for value in np.linalg.solve(np.array(rows), np.array(values)))


def _colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws the colours of ground and glyph, which differ by a drawn contrast in luminance.

    Returns:
        Two (3,) integer arrays in 0..255.
    """
    contrast = rng.uniform(*CONTRAST)
    darker = rng.uniform(0.0, 255.0 - contrast)
    tints = rng.uniform(-30.0, 30.0, (2, 3))
    tints -= tints.mean(axis=1, keepdims=True)  # colour without a change of the mean level
    pair = np.array([[darker], [darker + contrast]]) + tints
    if rng.random() < 0.5:
        pair = pair[::-1]
    ground, ink = np.clip(np.rint(pair), 0, 255).astype(int).tolist()
    return np.array(ground), np.array(ink)


def _background(
    ground: np.ndarray, ink: np.ndarray, font_path: Path, rng: np.random.Generator
) -> Image.Image:
    """Draws the ground: a ramp of brightness, a few lines and ellipses, perhaps a neighbouring character."""
    slope = rng.uniform(-20.0, 20.0, 2)
    across = np.linspace(-0.5, 0.5, SIDE)
    ramp = slope[0] * across[:, None] + slope[1] * across[None, :]
    pixels = np.clip(np.rint(ground + ramp[:, :, None]), 0, 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(0, CLUTTER_SHAPES + 1)):
        mix = rng.uniform(0.15, 0.6)
        colour = tuple(np.rint((1 - mix) * ground + mix * ink).astype(int).tolist())
        x0, y0, x1, y1 = rng.uniform(-0.2, 1.2, 4) * SIDE
        if rng.random() < 0.6:
            draw.line((x0, y0, x1, y1), fill=colour, width=int(rng.integers(1, 4)))
        else:
            box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
            draw.ellipse(box, outline=colour, width=int(rng.integers(1, 4)))
    if rng.random() < NEIGHBOUR_PROBABILITY:
        _draw_neighbour(draw, ink, font_path, rng)
    return image


def _draw_neighbour(
    draw: ImageDraw.ImageDraw, ink: np.ndarray, font_path: Path, rng: np.random.Generator
) -> None:
    """Lets another character of the same line look in from the left or the right."""
    other = "ABCDEFGHKLMNPRSTUVXYZ23456789"[rng.integers(29)]
    size = round(SIDE * rng.uniform(*GLYPH_HEIGHT) * _size_for_height(font_path))
    middle = SIDE * rng.uniform(0.4, 0.6)
    edge = SIDE * rng.uniform(0.02, 0.14)
    font = _font(font_path, size)
    if rng.random() < 0.5:
        draw.text((edge, middle), other, fill=tuple(ink.tolist()), font=font, anchor="rm")
    else:
        draw.text((SIDE - edge, middle), other, fill=tuple(ink.tolist()), font=font, anchor="lm")


def _occlude(image: Image.Image, ground: np.ndarray, rng: np.random.Generator) -> None:
    """Lays a bar of about the ground's colour over the picture, in some of the images."""
    if rng.random() >= OCCLUSION_PROBABILITY:
        return
    colour = tuple(np.clip(ground + rng.integers(-40, 41), 0, 255).tolist())
    centre = rng.uniform(0.2, 0.8, 2) * SIDE
    angle = rng.uniform(0.0, np.pi)
    reach = SIDE * rng.uniform(0.2, 1.0) * np.array([np.cos(angle), np.sin(angle)])
    width = round(SIDE * rng.uniform(*OCCLUSION_SHARE))
    start, end = (centre - reach).tolist(), (centre + reach).tolist()
    ImageDraw.Draw(image).line((*start, *end), fill=colour, width=width)
