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


@pytest.mark.parametrize(
    ("script", "decides", "kind", "area"),
    [
        ("small_pictures/make_pictures.py", "is_inside", "disc", np.pi),
        ("small_pictures/make_pictures.py", "is_inside", "ring", np.pi * (1 - 0.6**2)),
        ("small_pictures/make_pictures.py", "is_inside", "frame", 1.8**2 - 1),
        ("small_pictures/make_pictures.py", "is_inside", "triangle", 3 * 3**0.5 * 0.55**2),
        ("small_pictures/make_pictures.py", "is_inside", "plus", 2 * (2 * 0.6) - 0.6**2),
        ("parts/make_parts.py", "is_part", "washer", np.pi * (0.85**2 - 0.45**2)),
        ("parts/make_parts.py", "is_part", "nut", 2 * 3**0.5 * 0.8**2 - np.pi * 0.45**2),
        ("parts/make_parts.py", "is_part", "gear", np.pi * ((0.97**2 + 0.73**2) / 2 - 0.25**2)),
    ],
)
def test_a_shape_has_its_area(script: str, decides: str, kind: str, area: float) -> None:
    points = (np.arange(600) + 0.5) / 200 - 1.5
    inside = made_by(script)[decides](kind, *np.meshgrid(points, points))
    assert inside.sum() / 200**2 == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize(
    ("script", "shape"),
    [("small_pictures/make_pictures.py", (3, 32, 32)), ("parts/make_parts.py", (96, 96, 3))],
)
def test_every_class_has_pictures_that_differ(script: str, shape: tuple[int, ...]) -> None:
    made = made_by(script)
    for kind in made["CLASSES"]:
        random = np.random.default_rng(0)
        one, other = made["picture"](kind, random), made["picture"](kind, random)
        assert (one.shape, one.dtype) == (shape, np.uint8)
        # beyond noise, whose deviation is at most 30
        assert np.abs(one.astype(int) - other).mean() > 20


@pytest.mark.parametrize("name", ["tones", "machine_sounds", "small_pictures", "parts"])
def test_a_study_names_what_its_scripts_write(name: str) -> None:
    task = read_values(EXAMPLES / name / "study.yaml")["task"]
    scripts = "".join(path.read_text() for path in (EXAMPLES / name).glob("*.py"))
    data = Path(task["data"]).name
    assert f'"{data}"' in scripts and f'"{task["weights"]}"' in scripts
