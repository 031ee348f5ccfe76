"""The generators of `examples/`: what they make has the shape and the meaning that their studies count on."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from atoll.search.study.study_file import read_values

EXAMPLES = Path(__file__).parents[1] / "examples"


def made_by(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / name))


@pytest.mark.parametrize(("kind", "bands"), [("low", {0, 1}), ("high", {3, 4, 5, 6, 7})])
def test_a_tone_is_loudest_in_its_band(kind: str, bands: set[int]) -> None:
    tones = made_by("tones/make_tones.py")
    # bands are 400 Hz wide; the loudest of several, since noise is louder than some tones
    sounds = [tones["sound"](kind, np.random.default_rng(seed)) for seed in range(8)]
    levels = [tones["spectrogram"](sound) for sound in sounds]
    assert {(level.shape, level.dtype.name) for level in levels} == {((1, 49, 10), "float32")}
    assert int(max(levels, key=np.ptp)[0].mean(axis=0).argmax()) in bands


def test_a_louder_machine_has_higher_levels() -> None:
    machine = made_by("machine_sounds/make_features.py")
    levels = machine["features"](np.random.default_rng(0))
    assert levels.shape == (640,) and levels.dtype == np.float32
    # harmonics end at 59 x 60 Hz = 3.5 kHz of 8: above is noise alone
    frames = levels.reshape(5, 128)
    assert frames[:, :16].mean() > frames[:, 64:].mean() + 10


@pytest.mark.parametrize("name", ["tones", "machine_sounds"])
def test_a_study_names_what_its_scripts_write(name: str) -> None:
    task = read_values(EXAMPLES / name / "study.yaml")["task"]
    scripts = "".join(path.read_text() for path in (EXAMPLES / name).glob("*.py"))
    assert f'"{task["data"]}"' in scripts and f'"{task["weights"]}"' in scripts
