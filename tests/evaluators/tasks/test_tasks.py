"""The built-in tasks: names, shapes that fit their data, a pickle round trip."""

import pickle

import pytest
import torch
from atoll.evaluators.tasks import TASKS, load_task
from atoll.spaces.errors import AtollError
from atoll.spaces.networks.baseline_cnn import baseline_cnn


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_survives_pickling(task) -> None:
    assert pickle.loads(pickle.dumps(task)) == task


def test_names_are_unique() -> None:
    assert len({task.name for task in TASKS}) == len(TASKS)


def test_characters_have_the_papers_network() -> None:
    with torch.device("meta"):
        network, papers = load_task("characters").new_network(), baseline_cnn(35, (3, 64, 64))
    assert {name: p.shape for name, p in network.named_parameters()} == {
        name: p.shape for name, p in papers.named_parameters()
    }


def test_digits_fit_their_network() -> None:
    task = load_task("digits")
    dataset = task.dataset()
    assert dataset.input_shape == task.input_shape
    assert len(dataset.class_names) == task.num_classes


def test_unknown_task_names_the_nearest() -> None:
    with pytest.raises(AtollError, match=r"unknown task 'digit'. did you mean 'digits'.*characters, digits"):
        load_task("digit")
