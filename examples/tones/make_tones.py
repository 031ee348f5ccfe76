"""Makes `tones.npz`: one second of a generated sound as a spectrogram of 49 frames by 10 bands, in 8 classes.

python make_tones.py
"""

from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ("noise", "low", "high", "rising", "falling", "warble", "pulses", "chord")
EACH = 240
RATE_HZ, FRAME, HOP, BANDS = 8_000, 320, 160, 10


def sound(kind: str, random: np.random.Generator) -> np.ndarray:
    """Returns one second of a class in noise, float64, RATE_HZ values."""
    seconds = np.arange(RATE_HZ) / RATE_HZ
    low, high = random.uniform(250, 700), random.uniform(1_500, 3_000)
    sweep = low + (high - low) * seconds
    hz = {"low": low + 0 * seconds, "high": high + 0 * seconds, "rising": sweep, "falling": sweep[::-1]}
    warble = 1_200 + 500 * np.sin(2 * np.pi * random.uniform(2, 5) * seconds)
    heard = np.sin(2 * np.pi * np.cumsum(hz.get(kind, warble)) / RATE_HZ + random.uniform(0, 2 * np.pi))
    if kind == "pulses":
        heard = np.sin(2 * np.pi * random.uniform(400, 2_500) * seconds)
        heard *= np.sin(2 * np.pi * random.uniform(2, 5) * seconds) > 0
    elif kind == "chord":
        heard = np.sin(2 * np.pi * low * seconds) + np.sin(2 * np.pi * high * seconds)
    elif kind == "noise":
        heard = 0 * seconds
    return random.uniform(0.1, 0.6) * heard + random.normal(0, random.uniform(0.1, 0.8), RATE_HZ)


def spectrogram(heard: np.ndarray) -> np.ndarray:
    """Returns the logarithm of the energy, float32, (1, frames, bands)."""
    frames = np.lib.stride_tricks.sliding_window_view(heard, FRAME)[::HOP] * np.hanning(FRAME)
    energy = np.abs(np.fft.rfft(frames)[:, 1:]) ** 2
    bands = energy.reshape(len(frames), BANDS, -1).mean(axis=2)
    return np.log(bands + 1e-6).astype(np.float32)[None]


if __name__ == "__main__":
    random = np.random.default_rng(0)
    labels = random.permutation(np.repeat(np.arange(len(CLASSES)), EACH))
    inputs = np.stack([spectrogram(sound(CLASSES[label], random)) for label in labels])
    arrays: dict[str, Any] = {"classes": np.array(CLASSES)}
    for split, begin, end in (("train", 0, 1_344), ("val", 1_344, 1_632), ("test", 1_632, 1_920)):
        arrays |= {f"x_{split}": inputs[begin:end], f"y_{split}": labels[begin:end]}
    np.savez(Path(__file__).with_name("tones.npz"), **arrays)
    print(f"tones.npz: {inputs.shape}, mean {inputs.mean():.2f}, std {inputs.std():.2f}")
