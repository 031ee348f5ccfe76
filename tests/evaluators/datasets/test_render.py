"""Rendering: the same arguments give the same image, and the homography maps what it should."""

import numpy as np
import pytest
from atoll.evaluators.datasets import render
from atoll.evaluators.datasets.characters import CLASSES, render_image


def test_an_image_depends_on_its_own_arguments_alone() -> None:
    wanted = [("train", 0, 3), ("validation", 17, 1), ("test", 34, 0)]
    forwards = [render_image(*arguments) for arguments in wanted]
    backwards = [render_image(*arguments) for arguments in reversed(wanted)][::-1]
    for one, other in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.shape == (64, 64, 3) and one.dtype == np.uint8


def test_split_class_and_index_each_change_the_image() -> None:
    images = [render_image(*a) for a in [("train", 1, 0), ("test", 1, 0), ("train", 2, 0), ("train", 1, 1)]]
    for number, one in enumerate(images):
        for other in images[:number]:
            assert not np.array_equal(one, other)


def test_homography_maps_the_corners() -> None:
    source = np.array([[3.0, 1.0], [60.0, 5.0], [55.0, 62.0], [2.0, 58.0]])
    target = np.array([[0.0, 0.0], [64.0, 0.0], [64.0, 64.0], [0.0, 64.0]])
    a, b, c, d, e, f, g, h = render._homography(source, target)
    x, y = source.T
    scale = g * x + h * y + 1
    mapped = np.stack([(a * x + b * y + c) / scale, (d * x + e * y + f) / scale], axis=1)
    np.testing.assert_allclose(mapped, target, atol=1e-4)  # nine decimals are kept


@pytest.mark.parametrize("label", [0, 10, 34])
def test_the_character_is_in_the_picture(label: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without disturbances, at full contrast, ink covers a fair share of the middle and none of the rim."""
    plain = {
        "ROTATION_DEG": 0.0,
        "SHEAR": 0.0,
        "SHIFT": 0.0,
        "PERSPECTIVE": 0.0,
        "STRETCH": (1.0, 1.0),
        "CONTRAST": (250.0, 250.0),
        "BLUR_RADIUS_PX": (0.0, 0.0),
        "NOISE_STD": (0.0, 0.0),
        "NEIGHBOUR_PROBABILITY": 0.0,
        "CLUTTER_SHAPES": 0,
        "OCCLUSION_PROBABILITY": 0.0,
    }
    for name, value in plain.items():
        monkeypatch.setattr(render, name, value)
    level = render_image("train", label, 0).astype(float).mean(axis=2)
    ground = np.median(np.concatenate([level[0], level[-1], level[:, 0], level[:, -1]]))
    ink = np.abs(level - ground) > 100
    assert 0.03 < ink.mean() < 0.4
    assert not ink[:4].any() and not ink[-4:].any() and not ink[:, :4].any() and not ink[:, -4:].any()


def test_classes_are_those_of_the_papers() -> None:
    assert len(CLASSES) == 35 and len(set(CLASSES)) == 35 and "O" not in CLASSES
