"""Judging the given network: under which scaling it is right, told from chance."""

import pytest
import torch
from atoll.evaluators.datasets.dataset import ImagesInMemory, Split
from atoll.evaluators.tasks.number_qualities import MeanAbsoluteError
from atoll.evaluators.tasks.task import Task
from atoll.evaluators.training.settings import Training
from atoll.search.first_steps import judged
from atoll.search.first_steps.judged import judge_given
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.scaling import Scaling
from atoll.spaces.layers.structure import scaling_of
from torch import nn

HALF = Scaling((127.5,), (127.5,))


def network(scaling: Scaling) -> nn.Module:
    """Tell bright from dark: a logit of the mean against one that is always nought."""
    layers = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=False))
    with torch.no_grad():
        layers[1].weight.copy_(torch.stack([torch.zeros(16), torch.full((16,), 1 / 16)]))
    return adopt(layers, (1, 4, 4), scaling).eval()


def task(count: int, **changes: object) -> Task:
    bright = torch.arange(count) % 2
    images = (
        torch.where(bright.bool(), 200, 50).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous()
    )
    labels = changes.pop("labels", bright)
    assert isinstance(labels, torch.Tensor)
    split = Split(images, labels)
    names = ("dark", "bright") if not labels.is_floating_point() else ()
    data = ImagesInMemory("made", split, split, split, names, "1")
    return Task("made", lambda: data, "made", (1, 4, 4), 2, Training(1e-3, 8), 1.0, **changes)  # type: ignore[arg-type]


def test_the_scaling_that_fits_is_found() -> None:
    wrong = network(Scaling((0.0,), (255.0,)))  # everything is bright
    found = judge_given(task(40), wrong, task(40).dataset())
    assert (found.quality, found.images, found.best_scaling) == (0.5, 40, "half")
    assert found.by_scaling == {"half": 1.0, "unit": 0.5, "none": 0.5}  # ImageNet's is for three channels
    assert scaling_of(wrong) == Scaling((0.0,), (255.0,)), "given back"
    right = judge_given(task(40), network(HALF), task(40).dataset())
    assert (right.quality, right.best_scaling) == (1.0, None)


def test_of_few_images_chance_is_no_scaling() -> None:
    few = task(6)
    wrong = network(Scaling((0.0,), (255.0,)))
    # three of six change sides: as likely as not by chance
    assert judge_given(few, wrong, few.dataset()).best_scaling is None
    assert judge_given(few, wrong, few.dataset(), expected=1.0).best_scaling == "half"


def test_an_error_is_the_better_the_smaller() -> None:
    outputs = torch.stack([torch.zeros(40), torch.where(torch.arange(40) % 2 == 1, 200, 50) / 127.5 - 1], 1)
    numbers = task(40, labels=outputs, judged_by=MeanAbsoluteError())
    wrong = network(Scaling((0.0,), (255.0,)))
    found = judge_given(numbers, wrong, numbers.dataset())
    assert found.best_scaling == "half" and found.by_scaling["half"] == pytest.approx(0, abs=1e-6)


def test_slow_networks_are_judged_on_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judged, "_LONGEST_S", 0.0)
    assert judge_given(task(40), network(HALF), task(40).dataset()).images == 16
