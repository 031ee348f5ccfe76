"""How a task's networks are trained: what is allowed, and what a setting does."""

import math
from operator import lt
from typing import Any

import pytest
import torch
from atoll.evaluators.training.loop import fit, learning_rate_share
from atoll.evaluators.training.losses import labels_loss
from atoll.evaluators.training.patience import Patience
from atoll.evaluators.training.settings import Training
from atoll.spaces.errors import AtollError
from torch import Tensor, nn


def line(training: Training, epochs: float = 1.0, **more: Any) -> nn.Module:
    """Fits one weight to zero images of two classes, so that weight decay and momentum alone move it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    images = torch.randn(16, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    labels = (images.sum(dim=(1, 2, 3)) > 0).long()
    fit(model, images, labels, training, epochs=epochs, generator=torch.Generator().manual_seed(2), **more)
    return model


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"optimizer": "adamm"}, "optimizer: unknown 'adamm'"),
        ({"schedule": "cosin"}, "schedule: unknown 'cosin'"),
        ({"augment": ("mirrored",)}, "augment: unknown 'mirrored'"),
        ({"balance": "weight"}, "balance: unknown 'weight'"),
        ({"precision": "half"}, "precision: unknown 'half'"),
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0; allowed: 0 or more and below 1"),
        ({"momentum": math.nan}, "momentum is nan"),
        ({"clip_norm": 0.0}, "clip_norm is 0.0; allowed: above 0"),
        ({"patience": 0}, "patience is 0; allowed: 1 epoch or more"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(AtollError, match=said):
        Training(1e-3, 32, **settings)


def test_keys_are_made_of_what_is_not_at_its_default() -> None:
    assert Training(1e-3, 32).to_json() == {"learning_rate": 1e-3, "batch_size": 32}
    told = Training(1e-3, 32, optimizer="sgd", augment=("crop", "mirror")).to_json()
    assert told == {
        "learning_rate": 1e-3,
        "batch_size": 32,
        "optimizer": "sgd",
        "augment": ["mirror", "crop"],
    }


def test_a_step_of_sgd_is_the_formula() -> None:
    training = Training(0.1, 16, optimizer="sgd", schedule="constant", weight_decay=0.5, augment=())
    torch.manual_seed(0)
    start = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    images = torch.randn(16, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    labels = (images.sum(dim=(1, 2, 3)) > 0).long()
    scaled = images / 127.5 - 1  # the network says nothing of its scaling
    nn.functional.cross_entropy(start(scaled), labels).backward()
    weight, slope = start[1].weight, start[1].weight.grad
    assert slope is not None
    # Nesterov's first step goes 1 + momentum times the slope (Sutskever et al. 2013)
    expected = weight - 0.1 * 1.9 * (slope + 0.5 * weight)
    torch.testing.assert_close(line(training)[1].weight, expected)


def test_clipping_bounds_the_step() -> None:
    training = Training(
        1.0,
        16,
        optimizer="sgd",
        schedule="constant",
        weight_decay=0.0,
        momentum=0.0,
        clip_norm=1e-3,
        augment=(),
    )
    torch.manual_seed(0)
    start = nn.Linear(4, 2)
    moved = [
        float((a - b).detach().pow(2).sum())
        for a, b in zip(line(training).parameters(), start.parameters(), strict=True)
    ]
    assert sum(moved) ** 0.5 == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("schedule", "progress", "share"),
    [
        ("cosine", 0.05, 0.5),
        ("cosine", 0.1, 1.0),
        ("cosine", 0.55, 0.5),
        ("constant", 0.05, 0.5),
        ("constant", 1.0, 1.0),
    ],
)
def test_schedules(schedule: str, progress: float, share: float) -> None:
    assert learning_rate_share(schedule, 0.1, progress) == pytest.approx(share)


def test_resampling_draws_what_it_is_told() -> None:
    seen: list[Tensor] = []

    def recording(model: nn.Module, batch: Any) -> Tensor:
        seen.append(batch.images)
        return labels_loss()(model, batch)

    drawn = torch.zeros(16)
    drawn[3] = 1.0
    line(Training(1e-3, 8, augment=()), drawn=drawn, objective=recording)
    images = torch.randn(16, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(torch.cat(seen), (images[3] / 127.5 - 1).expand(16, 1, 2, 2))


def test_a_run_without_progress_ends_early_with_the_best_weights() -> None:
    model = nn.Linear(1, 1, bias=False)
    qualities = iter([0.5, 0.7, 0.6, 0.6, 0.9])
    patience = Patience(model, lambda: next(qualities), 2)
    ended = []
    for epoch in (1, 2, 3, 4):
        nn.init.constant_(model.weight, float(epoch))
        ended.append(patience(epoch, 0.0))
    patience.keep_best()
    assert ended == [False, False, False, True] and model.weight.item() == 2.0


def test_of_an_error_the_smallest_is_the_best_that_a_run_has_seen() -> None:
    model = nn.Linear(1, 1, bias=False)
    errors = iter([0.5, 0.3, 0.4])
    patience = Patience(model, lambda: next(errors), 1, lt)
    ended = []
    for epoch in (1, 2, 3):
        nn.init.constant_(model.weight, float(epoch))
        ended.append(patience(epoch, 0.0))
    patience.keep_best()
    assert ended == [False, False, True] and model.weight.item() == 2.0


def test_a_run_that_is_told_to_end_ends() -> None:
    record: list[int] = []

    def ending(epoch: int, loss: float) -> bool:
        record.append(epoch)
        return epoch == 2

    line(Training(1e-3, 8), epochs=5, on_epoch=ending)
    assert record == [1, 2]
