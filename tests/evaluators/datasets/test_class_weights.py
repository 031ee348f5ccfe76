"""Weights of classes are scikit-learn's, and every class weighs the same with them."""

import numpy as np
import pytest
import torch
from atoll.evaluators.datasets.class_weights import class_weights
from atoll.evaluators.datasets.dataset import Split
from sklearn.utils.class_weight import compute_class_weight


def split_of(labels: list[int]) -> Split:
    return Split(torch.zeros(len(labels), 1), torch.tensor(labels))


def test_they_are_those_of_scikit_learn() -> None:
    labels = [0] * 50 + [1] * 3 + [2] * 7
    found = class_weights(split_of(labels), 3)
    known = compute_class_weight("balanced", classes=np.arange(3), y=np.array(labels))
    assert found.tolist() == pytest.approx(known.tolist())
    assert found[torch.tensor(labels)].mean().item() == pytest.approx(1)
    weighed = torch.bincount(torch.tensor(labels)) * found
    assert weighed.tolist() == pytest.approx([20] * 3)


def test_a_class_without_images_weighs_nothing_and_moves_nothing() -> None:
    labels = [0] * 9 + [2] * 3
    found = class_weights(split_of(labels), 4)
    assert found.tolist() == pytest.approx([12 / 18, 0, 2, 0])
