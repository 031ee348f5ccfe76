"""Small characters are the first of the characters, a pixel the mean of four."""

import numpy as np
import pytest
from atoll.evaluators.datasets.characters import load_characters
from atoll.evaluators.datasets.small_characters import load_small_characters


@pytest.mark.slow
def test_every_pixel_is_the_mean_of_four_of_the_same_character() -> None:
    small, characters = load_small_characters(), load_characters()
    for name, per_class in (("train", 70), ("validation", 30), ("test", 15)):
        given, whole = getattr(small, name), getattr(characters, name)
        assert len(given) == 35 * per_class
        assert np.array_equal(np.bincount(given.labels), [per_class] * 35)
        for row in (0, 36, len(given) - 1):
            assert given.labels[row] == whole.labels[row]
            blocks = whole.images[row].numpy().reshape(3, 32, 2, 32, 2).astype(float)
            assert np.abs(given.images[row].numpy() - blocks.mean((2, 4))).max() <= 0.5


@pytest.mark.slow
def test_it_is_told_from_the_characters() -> None:
    assert load_small_characters().version != load_characters().version
