"""Data that are made for benches: pictures of shapes, and levels of keywords over time and frequency."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from atoll.evaluators.datasets.dataset import Split

ROOT = Path(__file__).parents[2]
#: raised where the data change
VERSION = 1
#: a keyword is two sweeps, each from one of these pitches to another, Hz
PITCHES_HZ = (400.0, 900.0, 1_700.0, 3_000.0)
KEYWORDS = [(a, b, c) for a in range(4) for b in range(4) for c in range(4) if len({a, b, c}) == 3][:12]
#: as MLPerf Tiny hears a second: 49 steps of ten bands
RATE_HZ, STEPS, BANDS = 8_000, 49, 10


def pictures(count: int, side: int, seed: int) -> Split:
    """Returns pictures of shapes in ten classes, uint8 (count, 3, side, side), as the example makes them."""
    place = ROOT / "examples" / "small_pictures" / "make_pictures.py"
    spec = importlib.util.spec_from_file_location("make_pictures", place)
    assert spec is not None and spec.loader is not None
    example: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    example.SIDE = side
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(count) % len(example.CLASSES))
    images = np.stack([example.picture(example.CLASSES[label], random) for label in labels])
    return Split(torch.from_numpy(images), torch.from_numpy(labels))


def keywords(count: int, seed: int) -> Split:
    """Returns levels of two sweeps of pitch under noise in twelve classes, uint8 (count, 1, 49, 10)."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(count) % len(KEYWORDS))
    levels = np.stack([_levels(KEYWORDS[label], random) for label in labels])
    return Split(torch.from_numpy(levels[:, None]), torch.from_numpy(labels))


def _levels(keyword: tuple[int, int, int], random: np.random.Generator) -> np.ndarray:
    """Returns the levels of one keyword, uint8 (STEPS, BANDS), half a decibel a step."""
    begin, turn, end = (PITCHES_HZ[pitch] * random.uniform(0.85, 1.15) for pitch in keyword)
    seconds = np.arange(RATE_HZ) / RATE_HZ
    first, middle, last = np.sort(random.uniform(0.05, 0.95, 3) * [0.4, 0.75, 1.0] + [0.0, 0.2, 0.0])
    pitch = np.interp(seconds, [first, middle, last], [begin, turn, end])
    heard = np.sin(2 * np.pi * np.cumsum(pitch) / RATE_HZ) * ((seconds > first) & (seconds < last))
    heard = heard * random.uniform(0.2, 1.0) + random.normal(0, random.uniform(0.1, 0.6), len(heard))
    frames = np.lib.stride_tricks.sliding_window_view(heard, 320)[:: (RATE_HZ - 320) // (STEPS - 1)][:STEPS]
    energy = np.abs(np.fft.rfft(frames * np.hanning(320)))[:, 1:] ** 2
    bands = np.stack([part.mean(axis=1) for part in np.array_split(energy, BANDS, axis=1)], axis=1)
    return (4 * (10 * np.log10(bands + 1e-6)) + 60).clip(0, 255).astype(np.uint8)
