"""The training loop: what it is a function of, what it moves, how it fails."""

import math
from typing import Any

import pytest
import torch
from atoll.evaluators.datasets.dataset import Split
from atoll.evaluators.tasks.digits import DIGITS
from atoll.evaluators.training.augmentation import Views
from atoll.evaluators.training.loop import (
    FitRecord,
    TrainingDiverged,
    fit,
    learning_rate_share,
)
from atoll.evaluators.training.losses import labels_loss
from atoll.evaluators.training.prediction import predict_logits, predict_views
from atoll.evaluators.training.settings import Training
from atoll.spaces.errors import AtollError
from atoll.spaces.layers.scaling import PIXELS
from atoll.spaces.networks import build_network
from atoll.spaces.technique.context import Batch
from torch import Tensor, nn


def toy_data(count: int = 64) -> tuple[Tensor, Tensor]:
    """Three classes of 8x8 pictures that differ in their mean level, with noise."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.arange(count) % 3
    noise = torch.randint(0, 40, (count, 1, 8, 8), generator=generator)
    return (noise + 80 * labels[:, None, None, None]).to(torch.uint8), labels


def toy_network() -> Any:
    return build_network("compact_cnn", 3, (1, 8, 8), torch.Generator().manual_seed(1))


def trained(**settings: Any) -> tuple[nn.Module, FitRecord]:
    model = toy_network()
    images, labels = toy_data()
    chosen: dict[str, Any] = {"epochs": 2, "learning_rate": 1e-2, "batch_size": 16, **settings}
    fields = {name: chosen.pop(name) for name in list(chosen) if name in Training.__dataclass_fields__}
    generator = torch.Generator().manual_seed(7)
    record = fit(model, images, labels, Training(**fields), generator=generator, **chosen)
    return model, record


def test_training_learns_and_comes_back_in_eval_mode() -> None:
    model, record = trained(epochs=12)
    assert DIGITS.quality(model, Split(*toy_data())) > 0.9
    assert not model.training
    assert record.epochs == 12 and record.seconds > 0 and record.final_loss < math.log(3)


def test_the_generator_alone_decides_the_result() -> None:
    torch.manual_seed(0)
    one, _ = trained()
    before = torch.get_rng_state()
    torch.manual_seed(99)
    middle = torch.get_rng_state()
    other, _ = trained()
    assert torch.equal(torch.get_rng_state(), middle) and not torch.equal(before, middle)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_only_what_requires_a_gradient_moves() -> None:
    model = toy_network()
    model.features.conv2.weight.requires_grad_(False)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    fit(
        model,
        *toy_data(),
        Training(1e-2, 16),
        epochs=1,
        generator=torch.Generator().manual_seed(0),
    )
    for name, parameter in model.named_parameters():
        moved = not torch.equal(parameter, start[name])
        assert moved == parameter.requires_grad, name


@pytest.mark.parametrize(("epochs", "steps"), [(0.5, 2), (1.75, 7), (0.01, 1), (0, 0)])
def test_fractions_of_an_epoch_are_whole_steps(epochs: float, steps: int) -> None:
    seen: list[int] = []

    def counting(model: nn.Module, batch: Batch) -> Tensor:
        seen.append(len(batch.labels))
        return labels_loss()(model, batch)

    _, record = trained(epochs=epochs, objective=counting)
    assert seen == [16] * steps
    assert record.epochs == steps / 4


def test_the_teacher_sees_the_students_images() -> None:
    batches: dict[str, list[Tensor]] = {"student": [], "teacher": []}
    student, teacher = toy_network(), toy_network()
    student.register_forward_pre_hook(lambda _, inputs: batches["student"].append(inputs[0].clone()))
    teacher.register_forward_pre_hook(lambda _, inputs: batches["teacher"].append(inputs[0].clone()))
    taught: list[Tensor] = []

    def match_teacher(model: nn.Module, batch: Batch) -> Tensor:
        taught.append(batch.teacher_logits())
        return nn.functional.mse_loss(model(batch.images), taught[-1])

    start = {name: t.clone() for name, t in teacher.state_dict().items()}
    fit(
        student,
        *toy_data(),
        Training(1e-3, 16),
        epochs=1,
        generator=torch.Generator().manual_seed(0),
        objective=match_teacher,
        teacher=teacher,
    )
    assert len(taught) == 4 and not taught[0].requires_grad
    for one, other in zip(batches["student"], batches["teacher"], strict=True):
        assert torch.equal(one, other)
    assert all(torch.equal(start[name], t) for name, t in teacher.state_dict().items())


def test_logits_computed_once_teach_the_same_as_the_teacher_itself() -> None:
    teacher, images = toy_network(), toy_data()[0]

    def seen_by_loss(of: nn.Module | Tensor) -> list[Tensor]:
        seen: list[Tensor] = []

        def record(model: nn.Module, batch: Batch) -> Tensor:
            seen.append(batch.teacher_logits())
            return nn.functional.mse_loss(model(batch.images), seen[-1])

        trained(objective=record, teacher=of)
        return seen

    live, once = (
        seen_by_loss(teacher),
        seen_by_loss(predict_views(teacher, images, Views(len(images), (1, 8, 8)))),
    )
    assert len(live) == len(once) == 8
    for one, other in zip(live, once, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_logits_of_other_images_are_refused() -> None:
    with pytest.raises(
        AtollError, match=r"teacher logits have shape \(4, 63, 3\); needed: \(4, 64, classes\)"
    ):
        trained(teacher=torch.zeros(4, 63, 3))


def test_an_objective_that_asks_nobody_is_refused() -> None:
    with pytest.raises(AtollError, match="asks for a teacher and there is none"):
        trained(objective=lambda model, batch: batch.teacher_logits().sum())


def test_the_share_done_is_told_after_every_step() -> None:
    told: list[float] = []
    trained(epochs=1.25, after_step=told.append)
    assert told == [n / 5 for n in range(1, 6)]


def test_epochs_are_reported() -> None:
    told: list[tuple[int, float]] = []
    trained(epochs=2.5, on_epoch=lambda epoch, loss: told.append((epoch, loss)))
    assert [epoch for epoch, _ in told] == [1, 2, 3]
    assert all(math.isfinite(loss) for _, loss in told)


def test_divergence_is_an_error_that_says_where() -> None:
    with pytest.raises(TrainingDiverged, match=r"loss became nan in step 1 of 8 \(epoch 1.0, learning rate"):
        trained(objective=lambda model, batch: model(batch.images).sum() * math.nan)


def test_broken_weights_are_found_though_the_loss_was_finite() -> None:
    def poison_last_step(model: nn.Module, batch: Batch) -> Tensor:
        # 0 * inf in the backward pass alone: sqrt(0) is finite, its slope is not.
        student = model(batch.images)
        return (student - student.detach()).abs().sum().sqrt()

    with pytest.raises(TrainingDiverged, match="holds infinite or NaN"):
        trained(epochs=0.25, objective=poison_last_step)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": -1}, "epochs is -1; allowed: 0 or more"),
        ({"epochs": math.inf}, "epochs is inf"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; allowed: positive"),
        ({"batch_size": 1}, "batch_size is 1; allowed: 2 or more"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(AtollError, match=message):
        trained(**settings)


def test_predictions_do_not_depend_on_the_batches() -> None:
    model, images = toy_network(), toy_data()[0]
    whole = model.eval()(PIXELS.to_network(images)).detach()
    model.train()
    torch.testing.assert_close(predict_logits(model, images, batch_size=7), whole, rtol=1e-5, atol=1e-5)
    assert model.training


def test_a_partly_frozen_network_keeps_which_parts_were_frozen() -> None:
    model, images = toy_network(), toy_data()[0]
    model.train()
    for part in list(model.modules())[2::2]:
        part.training = False
    before = [part.training for part in model.modules()]
    predict_logits(model, images)
    assert [part.training for part in model.modules()] == before
    assert {True, False} == set(before)


def test_quality_is_the_share_of_right_answers() -> None:
    class Constant(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.tensor([0.0, 1.0, 0.0]).expand(len(images), 3)

    images, labels = toy_data(30)
    assert DIGITS.quality(Constant(), Split(images, labels)) == 10 / 30


def test_the_cycle_rises_peaks_and_ends_at_zero() -> None:
    values = [learning_rate_share("one_cycle", 0.15, step / 1000) for step in range(1001)]
    assert values[0] == pytest.approx(1 / 25) and values[-1] == pytest.approx(0.0)
    peak = values.index(max(values))
    assert peak == 150 and max(values) == pytest.approx(1.0)
    assert values[:peak] == sorted(values[:peak]) and values[peak:] == sorted(values[peak:], reverse=True)
