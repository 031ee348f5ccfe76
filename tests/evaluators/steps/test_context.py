"""The world as a technique sees it: training images alone, one generator, an account of epochs."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.steps.context import TrainingContext
from atoll.evaluators.tasks.given_network import given_network
from atoll.evaluators.tasks.task import Task
from atoll.evaluators.training.augmentation import VIEWS, Views
from atoll.evaluators.training.losses import labels_loss
from atoll.evaluators.training.prediction import predict_logits, predict_views
from atoll.spaces.errors import AtollError
from atoll.spaces.layers.scaling import PIXELS
from atoll.spaces.technique.context import Batch
from torch import nn


def context(task: Task, seed: int = 0, epochs: float = 1.0, **more: Any) -> TrainingContext:
    return TrainingContext(task, task.dataset(), more.pop("teacher", None), seed, epochs, **more)


def test_images_are_spread_over_the_training_split(tiny_task: Task) -> None:
    train = tiny_task.dataset().train
    images = context(tiny_task).images(32)
    assert images.shape == (32, *tiny_task.input_shape)
    assert torch.equal(images[0], PIXELS.to_network(train.images[0]))
    assert torch.equal(images[-1], PIXELS.to_network(train.images[-1]))
    assert len(context(tiny_task).images(10_000)) == len(train)
    assert -1 <= images.min() < images.max() <= 1
    examples, labels = context(tiny_task).examples(32)
    assert torch.equal(examples, images)
    assert (labels[0], labels[-1]) == (train.labels[0], train.labels[-1])


def test_a_bigger_teacher_that_nobody_can_make_is_told(tiny_task: Task) -> None:
    with pytest.raises(AtollError, match="a bigger teacher is asked for"):
        context(tiny_task).bigger_teacher()
    wide = nn.Identity()
    assert context(tiny_task, bigger_teacher=lambda: wide).bigger_teacher() is wide


def test_epochs_are_taken_off_the_account(tiny_task: Task) -> None:
    world = context(tiny_task, epochs=1.0)
    network = given_network(tiny_task)
    world.fit(network, epochs=0.4)
    assert world.epochs_left == pytest.approx(0.6)
    assert world.epochs_spent == pytest.approx(0.4)
    world.fit(network)  # whatever is left
    assert (world.epochs_left, world.epochs_spent) == (0.0, pytest.approx(1.0))
    with pytest.raises(AtollError, match=r"got 0\.5 epochs, allowed are the 0 left"):
        world.fit(network, epochs=0.5)


def test_the_seed_decides_what_training_gives(tiny_task: Task) -> None:
    def trained(seed: int) -> torch.Tensor:
        network = given_network(tiny_task)
        context(tiny_task, seed, epochs=0.2).fit(network)
        return network.state_dict()["classifier.dense2.weight"]

    torch.manual_seed(1)  # the global state decides nothing
    first = trained(0)
    torch.manual_seed(2)
    assert torch.equal(first, trained(0))
    assert not torch.equal(first, trained(1))


def test_a_loss_hears_the_teacher_and_none_is_asked_without_a_loss(tiny_task: Task) -> None:
    asked = 0

    def answers() -> torch.Tensor:
        nonlocal asked
        asked += 1
        return torch.full((VIEWS, len(tiny_task.dataset().train), 10), 7.0)

    heard: list[Any] = []

    def objective(model: nn.Module, batch: Batch) -> torch.Tensor:
        heard.append(batch.teacher_logits())
        return labels_loss()(model, batch)

    world = context(tiny_task, teacher_logits=answers)
    world.fit(given_network(tiny_task), epochs=0.1)
    assert asked == 0
    world.fit(given_network(tiny_task), epochs=0.1, objective=objective)
    assert asked == len(heard) > 0  # whoever answers keeps the answers
    assert all(torch.equal(logits, torch.full((32, 10), 7.0)) for logits in heard)


def test_without_its_answers_the_teacher_itself_is_asked(tiny_task: Task) -> None:
    teacher = given_network(tiny_task)
    heard: list[Any] = []

    def objective(model: nn.Module, batch: Batch) -> torch.Tensor:
        heard.append(batch.teacher_logits())
        return labels_loss()(model, batch)

    context(tiny_task, teacher=teacher).fit(given_network(tiny_task), epochs=0.1, objective=objective)
    expected = predict_logits(teacher, tiny_task.dataset().train.images)
    assert heard[0].shape == (32, 10)
    assert heard[0].abs().max() <= 3 * expected.abs().max()


@pytest.mark.parametrize("kept", [True, False], ids=["answers kept", "teacher asked"])
def test_a_distilled_study_trains_every_step_on_labels_and_the_teacher_s_view(
    tiny_task: Task, kept: bool
) -> None:
    """As Hinton et al. 2015 write it, T = 4 and 0.3 for labels, on the very views that are shown."""
    teacher = given_network(tiny_task).eval()
    images = tiny_task.dataset().train.images
    answers = predict_views(teacher, images, Views(len(images), tiny_task.input_shape))

    def as_written(model: nn.Module, batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            wanted = F.log_softmax(teacher(batch.images) / 4, dim=1)
        said = model(batch.images)
        soft = F.kl_div(F.log_softmax(said / 4, dim=1), wanted, reduction="batchmean", log_target=True)
        return 0.3 * F.cross_entropy(said, batch.labels) + 0.7 * 16 * soft

    def trained(objective: Any, **more: Any) -> torch.Tensor:
        network = given_network(tiny_task)
        context(tiny_task, epochs=0.2, teacher=teacher, **more).fit(network, objective=objective)
        return network.state_dict()["classifier.dense2.weight"]

    told = {"teacher_logits": lambda: answers} if kept else {}
    found, expected = trained(None, distilled=True, **told), trained(as_written)
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(trained(None, **told), expected, atol=1e-4), "labels alone are something else"


def test_a_technique_s_own_loss_is_not_mixed_with_the_study_s(tiny_task: Task) -> None:
    def trained(distilled: bool) -> torch.Tensor:
        network = given_network(tiny_task)
        world = context(tiny_task, epochs=0.1, distilled=distilled)  # no teacher: none is asked
        world.fit(network, objective=labels_loss())
        return network.state_dict()["classifier.dense2.weight"]

    assert torch.equal(trained(True), trained(False))
    with pytest.raises(AtollError, match="asks for a teacher and there is none"):
        context(tiny_task, epochs=0.1, distilled=True).fit(given_network(tiny_task))


def test_two_networks_in_one_objective_share_the_epochs(tiny_task: Task) -> None:
    """Half of the passes are made, and each counts twice."""
    world = context(tiny_task, epochs=1.0)
    shares: list[float] = []
    both = nn.ModuleList([given_network(tiny_task), given_network(tiny_task)])

    def objective(model: nn.Module, batch: Batch) -> torch.Tensor:
        return sum((labels_loss()(one, batch) for one in model.children()), torch.zeros(()))

    world.fit(both, objective=objective, networks=2, after_step=shares.append)
    assert len(shares) == len(tiny_task.dataset().train) // tiny_task.training.batch_size // 2
    assert (world.epochs_left, world.epochs_spent) == (0.0, pytest.approx(1.0))
