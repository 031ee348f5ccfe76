"""The digits: sizes, strata, and that the images are scikit-learn's."""

import numpy as np
import pytest
import torch
from atoll.evaluators.datasets.digits import load_digits


def test_splits_partition_the_scans() -> None:
    from sklearn.datasets import load_digits as scanned

    dataset = load_digits()
    splits = (dataset.train, dataset.validation, dataset.test)
    assert [len(split) for split in splits] == [947, 500, 350]
    assert dataset.input_shape == (1, 32, 32)
    # Averaged down again by 4 the pictures are the scans, up to bilinear smoothing: compare total ink.
    ours = torch.cat([split.images for split in splits]).double().mean((1, 2, 3)).sort().values
    theirs = np.sort(scanned().images.mean((1, 2)) * (255 / 16))
    np.testing.assert_allclose(ours.numpy(), theirs, atol=6.0)


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_splits_are_stratified(name: str) -> None:
    dataset = load_digits()
    everything = torch.cat([s.labels for s in (dataset.train, dataset.validation, dataset.test)])
    split = getattr(dataset, name)
    expected = torch.bincount(everything) * (len(split) / len(everything))
    assert (torch.bincount(split.labels) - expected).abs().max() <= 1.0
