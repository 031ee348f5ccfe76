"""Makes `machine_sounds.npz`: 640 levels in dB of a running machine, which are their own targets.

As in MLPerf Tiny, five frames of 128 bands; all machines are in order, so a network that makes its input
again learns what is normal, and its error tells what is not.

    python make_features.py
"""

from pathlib import Path
from typing import Any

import numpy as np

COUNT = 1_600
RATE_HZ, FRAME, HOP, FRAMES, BANDS = 16_000, 1_024, 512, 5, 128


def features(random: np.random.Generator) -> np.ndarray:
    """Returns the levels of a fan at a random speed, float32, (FRAMES * BANDS,), in dB."""
    seconds = np.arange(FRAME + (FRAMES - 1) * HOP) / RATE_HZ
    turns_hz = random.uniform(25, 60)
    heard = random.normal(0, 0.02, len(seconds))
    for harmonic in range(1, 60):
        # seven blades: every seventh is loud
        strength = (1.0 if harmonic % 7 == 0 else 0.2) / harmonic**0.5
        phase = random.uniform(0, 2 * np.pi)
        heard += strength * np.sin(2 * np.pi * turns_hz * harmonic * seconds + phase)
    heard *= random.uniform(0.3, 1.0)
    frames = np.lib.stride_tricks.sliding_window_view(heard, FRAME)[::HOP] * np.hanning(FRAME)
    energy = np.abs(np.fft.rfft(frames)[:, 1:]) ** 2
    bands = energy.reshape(FRAMES, BANDS, -1).mean(axis=2)
    return (10 * np.log10(bands + 1e-6)).astype(np.float32).reshape(-1)


if __name__ == "__main__":
    random = np.random.default_rng(0)
    inputs = np.stack([features(random) for _ in range(COUNT)])
    arrays: dict[str, Any] = {}
    for split, begin, end in (("train", 0, 1_120), ("val", 1_120, 1_360), ("test", 1_360, 1_600)):
        arrays |= {f"x_{split}": inputs[begin:end], f"y_{split}": inputs[begin:end]}
    np.savez(Path(__file__).with_name("machine_sounds.npz"), **arrays)
    print(f"machine_sounds.npz: {inputs.shape}, mean {inputs.mean():.2f} dB, std {inputs.std():.2f} dB")
