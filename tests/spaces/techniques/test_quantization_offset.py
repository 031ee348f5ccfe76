"""The offset against its closed form, and what it must not do: throw the outputs to the other side."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.recipes.order import refusal
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.technique.context import AfterStep, Batch, Loss
from atoll.spaces.techniques.quantization_offset import QuantizationOffset
from torch import Tensor, nn

SHAPE = (1, 16, 16)
NewContext = Callable[..., Any]


def bars(images: Tensor) -> Tensor:
    """Returns three numbers [B, 3] of each image: where its bar is, how bright it and the rest are."""
    rows = images[:, 0].mean(dim=2)
    return torch.stack([rows.argmax(dim=1) / 16, 3 + 2 * rows.amax(dim=1), rows.amin(dim=1) - 1], dim=1)


class Regression:
    """A world whose labels are numbers: all 128 images make one batch."""

    def __init__(
        self, images: Tensor, labels: Tensor, epochs: int = 100, learning_rate: float = 3e-3
    ) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.teacher = None
        self.epochs_left: float = epochs
        self._images, self._labels, self._learning_rate = images, labels, learning_rate

    def images(self, count: int) -> Tensor:
        return self._images[:count]

    def examples(self, count: int) -> tuple[Tensor, Tensor]:
        return self._images[:count], self._labels[:count]

    def judged(self, returned: Tensor) -> tuple[Tensor, ...]:
        return (returned,)

    def fit(
        self,
        model: nn.Module,
        *,
        epochs: float | None = None,
        objective: Loss,
        after_step: AfterStep | None = None,
        networks: int = 1,
    ) -> None:
        model.train()
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], self._learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, int(self.epochs_left))
        for _ in range(int(self.epochs_left)):
            value = objective(model, Batch(self._images, self._labels, lambda: self._labels))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()
        self.epochs_left = 0
        model.eval()


def squared_error(network: nn.Module, batch: Batch) -> Tensor:
    return nn.functional.mse_loss(network(batch.images), batch.labels)


@pytest.fixture
def images(new_context: NewContext) -> Tensor:
    return new_context(None).images(128)


@pytest.fixture
def signs(images: Tensor) -> nn.Module:
    """One layer of binary weights without a bias, of which only the three steps can move."""
    network = adopt(nn.Sequential(nn.Flatten(), nn.Linear(256, 3, bias=False)), SHAPE)
    network.get_submodule("1.weight").set(torch.randn(3, 256, generator=torch.Generator().manual_seed(1)))
    (step,) = Recipe.parse("binarize(first_last=binary)")
    binary, _ = step.apply(network, Regression(images, bars(images)))
    binary.get_submodule("1.weight").raw.requires_grad_(False)
    return binary


@pytest.fixture
def coarse(trained: dict[str, nn.Module], images: Tensor) -> tuple[nn.Module, Tensor]:
    """A regression network of two bits, and what the float one said."""
    with torch.no_grad():
        labels = trained["sequential"].eval()(images)
    (step,) = Recipe.parse("quantize(bits=2, first_last=same)")
    network, _ = step.apply(trained["sequential"], Regression(images, labels))
    return network, labels


@pytest.fixture
def beside(signs: nn.Module, images: Tensor) -> Tensor:
    """Targets half as steep as the binary layer's outputs, and three away from them."""
    with torch.no_grad():
        units = signs(images)
    return units / 2 + 3 * units.mean(dim=0).sign()


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_the_outputs_are_those_of_the_closed_form(
    strength: float, signs: nn.Module, images: Tensor, beside: Tensor
) -> None:
    """y = a u fitted to t: a minimises the mean of (a u - t)^2 plus strength (a mean(u) - mean(t))^2."""
    context = Regression(images, beside, epochs=250, learning_rate=0.05)
    learned, decisions = QuantizationOffset(strength=strength).apply(signs, context)
    with torch.no_grad():
        units = signs(images)
        mean, target = units.mean(dim=0), beside.mean(dim=0)
        a = ((units * beside).mean(dim=0) + strength * mean * target) / (
            units.square().mean(dim=0) + strength * mean.square()
        )
        assert torch.allclose(learned(images), a * units, atol=1e-2)
    expected = (a * mean - target).tolist()
    assert decisions["error_left"] == pytest.approx(expected, abs=1e-2)
    assert decisions["last_offset"] == pytest.approx([-strength * e for e in expected], abs=1e-2)
    assert decisions["error_before"] == pytest.approx((mean - target).tolist(), abs=1e-4)


def test_the_mean_error_is_smaller_than_without(signs: nn.Module, images: Tensor, beside: Tensor) -> None:
    """Of every output, where what can be trained does not suffice to centre them."""
    left = []
    for strength in (0.0, 0.5, 1.0):
        context = Regression(images, beside, epochs=250, learning_rate=0.05)
        _, decisions = QuantizationOffset(strength=strength).apply(signs, context)
        left.append(torch.tensor(decisions["error_left"]).abs())
    assert (left[2] < left[1] - 1e-3).all() and (left[1] < left[0] - 1e-3).all()


def test_strength_zero_is_plain_regression(coarse: tuple[nn.Module, Tensor], images: Tensor) -> None:
    network, labels = coarse
    learned, _ = QuantizationOffset(strength=0.0).apply(network, Regression(images, labels, epochs=3))
    expected = deepcopy(network)
    Regression(images, labels, epochs=3).fit(expected, objective=squared_error)
    assert all(torch.equal(t, expected.state_dict()[name]) for name, t in learned.state_dict().items())


def test_training_that_removes_the_error_itself_is_not_thrown_to_the_other_side(
    coarse: tuple[nn.Module, Tensor], images: Tensor
) -> None:
    """As an offset would that is kept as it was found: it leaves the whole error with the other sign."""
    network, labels = coarse
    network = deepcopy(network)
    with torch.no_grad():
        network.get_submodule("dense2").bias.add_(1.0)
    _, decisions = QuantizationOffset().apply(network, Regression(images[:32], labels[:32], 60, 3e-2))
    before, left = (torch.tensor(decisions[key]) for key in ("error_before", "error_left"))
    assert before.abs().max() > 0.5
    assert left.abs().max() < 0.3 * before.abs().max()


def test_a_classifier_is_brought_back_to_the_baseline_s_logits(
    trained: dict[str, nn.Module], new_context: NewContext
) -> None:
    teacher = trained["sequential"]
    (step,) = Recipe.parse("quantize(bits=2, first_last=same)")
    coarse, _ = step.apply(teacher, new_context(teacher))
    context = new_context(teacher, epochs=6)
    learned, decisions = QuantizationOffset().apply(coarse, context)
    assert context.epochs_left == 0
    with torch.no_grad():
        wanted, before, after = (n.eval()(context.images(128)) for n in (teacher, coarse, learned))
    assert (after - wanted).square().mean() < 0.5 * (before - wanted).square().mean()
    error = (before - wanted).mean(dim=0).tolist()
    assert decisions["error_before"] == pytest.approx(error, abs=1e-4)


def test_of_many_outputs_mean_and_spread_are_told(images: Tensor) -> None:
    network = adopt(nn.Sequential(nn.Flatten(), nn.Linear(256, 65)), SHAPE)
    labels = torch.zeros(128, 65)
    _, decisions = QuantizationOffset().apply(network, Regression(images, labels, epochs=1))
    with torch.no_grad():
        error = network(images).mean(dim=0)
    assert decisions["error_before"] == {
        "mean": pytest.approx(float(error.mean()), abs=1e-5),
        "spread": pytest.approx(float(error.std()), abs=1e-5),
    }


def test_maps_have_an_error_a_channel(images: Tensor) -> None:
    network = adopt(nn.Sequential(nn.Conv2d(1, 5, 3)), SHAPE)
    _, decisions = QuantizationOffset().apply(network, Regression(images, torch.zeros(128, 5, 14, 14), 1))
    with torch.no_grad():
        assert decisions["error_before"] == pytest.approx(network(images).mean((0, 2, 3)).tolist(), abs=1e-5)


def test_labels_of_another_shape_are_refused(coarse: tuple[nn.Module, Tensor], images: Tensor) -> None:
    with pytest.raises(AtollError, match=r"labels of shape \(128, 3\) for outputs of shape \(128, 4\)"):
        QuantizationOffset().apply(coarse[0], Regression(images, bars(images)))


def test_classes_without_a_baseline_are_told(
    coarse: tuple[nn.Module, Tensor], new_context: NewContext
) -> None:
    with pytest.raises(AtollError, match="there is no teacher, and the labels are classes"):
        QuantizationOffset().apply(coarse[0], new_context(None))


@pytest.mark.parametrize("before", ["quantize(bits=8)", "binarize"])
def test_it_comes_after_a_quantizer(before: str) -> None:
    (quantizer,) = Recipe.parse(before)
    (pruning,) = Recipe.parse("prune_weights")
    offset = QuantizationOffset()
    assert refusal((quantizer, offset)) is None
    assert refusal((quantizer, offset, pruning, offset)) is None
    for order in ((offset,), (offset, quantizer), (pruning, offset)):
        assert "needs a step of the stage 'numbers' before it" in str(refusal(order))
