"""The bigger teacher: the baseline twice as wide, trained once for a study."""

from pathlib import Path

import pytest
import torch
from atoll.evaluators.steps import teachers as teachers_module
from atoll.evaluators.steps.bigger_teacher import make_bigger_teacher
from atoll.evaluators.steps.pipeline import Pipeline
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.tasks.given_network import given_network
from atoll.evaluators.tasks.task import Task
from atoll.evaluators.training.augmentation import Views
from atoll.evaluators.training.prediction import predict_logits, predict_views
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.structure import named_layers
from atoll.spaces.recipes.recipe import Recipe
from torch import Tensor, nn


@pytest.fixture(scope="module")
def given(tiny_task: Task) -> nn.Module:
    return adopt(given_network(tiny_task), tiny_task.input_shape).eval()


@pytest.fixture(scope="module")
def answers(tiny_task: Task, given: nn.Module) -> Tensor:
    images = tiny_task.dataset().train.images
    return predict_views(given, images, Views(len(images), tiny_task.input_shape))


def new_pipeline(task: Task, folder: Path) -> Pipeline:
    return Pipeline(Settings(task.name, "coral-dev-board", 0, 0.2, 0.4), folder)


def outputs(network: nn.Module) -> list[int]:
    return [layer.outputs for _, layer in named_layers(network)]


def test_it_is_twice_as_wide_and_no_worse_for_its_training(
    tiny_task: Task, given: nn.Module, answers: Tensor
) -> None:
    dataset = tiny_task.dataset()
    before = {name: tensor.clone() for name, tensor in given.state_dict().items()}
    untrained = make_bigger_teacher(given, tiny_task, dataset, 0.0, 0, answers)
    trained = make_bigger_teacher(given, tiny_task, dataset, 3.0, 0, answers)
    *inner, last = outputs(given)
    assert outputs(trained) == outputs(untrained) == [*(2 * size for size in inner), last]
    # noise alone moves little: it starts from what the baseline knows
    assert (
        tiny_task.quality(untrained, dataset.validation) > tiny_task.quality(given, dataset.validation) - 0.05
    )
    images, labels = dataset.train.images, dataset.train.labels
    untaught, taught = (
        float(nn.functional.cross_entropy(predict_logits(network, images), labels))
        for network in (untrained, trained)
    )
    assert taught < untaught
    assert not trained.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in given.state_dict().items())


def test_the_seed_decides(tiny_task: Task, given: nn.Module, answers: Tensor) -> None:
    def made(seed: int) -> Tensor:
        network = make_bigger_teacher(given, tiny_task, tiny_task.dataset(), 0.1, seed, answers)
        return network.state_dict()["classifier.dense2.weight.raw"]

    torch.manual_seed(1)  # the global state decides nothing
    first = made(0)
    torch.manual_seed(2)
    assert torch.equal(first, made(0))
    assert not torch.equal(first, made(1))


def test_a_study_makes_it_once_and_only_where_a_step_asks(
    tiny_task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[nn.Module] = []

    def spied(*settings: object) -> nn.Module:
        made.append(make_bigger_teacher(*settings))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(teachers_module, "make_bigger_teacher", spied)
    new_pipeline(tiny_task, tmp_path).run(Recipe.parse("distill"))
    assert made == []
    for text in ("distill(teacher=bigger)", "prune_weights -> distill(teacher=bigger)"):
        result = new_pipeline(tiny_task, tmp_path).run(Recipe.parse(text))
        assert result.metrics.train_epochs == pytest.approx(0.2 * len(result.steps))
    assert len(made) == 1
    images = tiny_task.dataset().validation.images
    read = new_pipeline(tiny_task, tmp_path).teachers.bigger
    assert torch.equal(predict_logits(read, images), predict_logits(made[0], images))
    assert not read.training
