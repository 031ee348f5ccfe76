"""Losses by name are torch's own; what does not fit them, and a user's own with its faults."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.training.losses import (
    LOSS_OF_CLASSES,
    LOSS_OF_NUMBERS,
    LOSSES,
    cross_entropy,
    labels_loss,
    loss_named,
)
from atoll.spaces.errors import AtollError
from atoll.spaces.technique.context import Batch
from torch import Tensor, nn

GENERATOR = torch.Generator().manual_seed(0)
OUTPUTS = torch.randn(6, 3, generator=GENERATOR, requires_grad=True)
NUMBERS = torch.rand(6, 3, generator=GENERATOR)
CLASSES = torch.tensor([0, 1, 2, 0, 1, 2])
ORACLES: dict[str, Callable[..., Tensor]] = {
    "mean_squared_error": F.mse_loss,
    "l1": F.l1_loss,
    "huber": F.huber_loss,
    "binary_cross_entropy": F.binary_cross_entropy_with_logits,
}


@pytest.mark.parametrize("name", ORACLES)
def test_a_loss_of_numbers_is_torchs(name: str) -> None:
    assert torch.equal(loss_named(name)(OUTPUTS, NUMBERS), ORACLES[name](OUTPUTS, NUMBERS))
    # one number a sample, with and without a dimension of its own: nothing is broadcast to 6 x 6
    one, target = OUTPUTS[:, :1], NUMBERS[:, 0]
    assert torch.equal(loss_named(name)(one, target), ORACLES[name](one[:, 0], target))
    with pytest.raises(AtollError, match=f"loss {name}: got labels of shape"):
        loss_named(name)(OUTPUTS, target)
    with pytest.raises(AtollError, match=f"loss {name}: got labels that are classes, allowed are numbers"):
        loss_named(name)(OUTPUTS, CLASSES)


def test_the_loss_of_classes_is_torchs_with_labels_smoothed_where_asked() -> None:
    assert torch.equal(loss_named("cross_entropy")(OUTPUTS, CLASSES), F.cross_entropy(OUTPUTS, CLASSES))
    weights = torch.tensor([1.0, 2.0, 3.0])
    wanted = F.cross_entropy(OUTPUTS, CLASSES, weight=weights, label_smoothing=0.1)
    assert torch.equal(cross_entropy(OUTPUTS, CLASSES, 0.1, weights), wanted)
    with pytest.raises(AtollError, match="loss cross_entropy: got labels that are numbers"):
        loss_named("cross_entropy")(OUTPUTS, NUMBERS)


def test_every_loss_is_tried_here_and_one_is_the_default_of_each_kind() -> None:
    assert set(LOSSES) == {"cross_entropy", *ORACLES}
    assert {LOSS_OF_CLASSES, LOSS_OF_NUMBERS} <= LOSSES.keys()


def test_an_objective_asks_network_and_labels_alone() -> None:
    def no_teacher() -> Tensor:
        raise AssertionError

    network = nn.Linear(3, 3)
    batch = Batch(NUMBERS, CLASSES, no_teacher)
    assert labels_loss()(network, batch) == F.cross_entropy(network(NUMBERS), CLASSES)


def two_headed(returned: Any, labels: Tensor) -> Tensor:
    return F.mse_loss(returned["near"], labels) + F.mse_loss(returned["far"], labels)


def test_a_users_loss_sees_what_the_network_returned() -> None:
    heads = {"near": OUTPUTS, "far": 2 * OUTPUTS}
    wanted = F.mse_loss(OUTPUTS, NUMBERS) + F.mse_loss(2 * OUTPUTS, NUMBERS)
    assert torch.equal(loss_named(two_headed)(heads, NUMBERS), wanted)
    with pytest.raises(AtollError, match="got a network with 2 heads, allowed is one"):
        loss_named("l1")(heads, NUMBERS)


def test_what_names_no_loss_is_refused() -> None:
    with pytest.raises(AtollError, match=r"unknown loss 'crossentropy'\. did you mean 'cross_entropy'"):
        loss_named("crossentropy")


def failing(outputs: Tensor, labels: Tensor) -> Tensor:
    return outputs @ labels


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (failing, "loss 'failing': its function raised RuntimeError: "),
        (lambda outputs, labels: 0.5, "its function gave float, allowed is one number as a tensor"),
        (lambda outputs, labels: outputs, r"its function gave a tensor of \(6, 3\), allowed is one number"),
        (lambda outputs, labels: labels.sum(), r"gave a tensor of \(\), .* that depends on the outputs"),
    ],
)
def test_what_is_wrong_with_a_users_loss_is_said_in_a_sentence(
    function: Callable[[Any, Tensor], Any], said: str
) -> None:
    with pytest.raises(AtollError, match=said):
        loss_named(function)(OUTPUTS, NUMBERS)
