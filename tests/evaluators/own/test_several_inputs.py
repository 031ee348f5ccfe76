"""A task of two inputs is prepared, read again without its code, and scaled channel by channel."""

from pathlib import Path

import numpy as np
import pytest
import torch
from atoll.evaluators.own.prepare import prepare
from atoll.evaluators.own.task import Task
from atoll.evaluators.tasks import load_task
from atoll.evaluators.tasks.given_network import adopted_network
from atoll.evaluators.training.prediction import predict_logits
from atoll.spaces.errors import AtollError
from atoll.spaces.layers.parts import split_row
from atoll.spaces.layers.structure import input_parts_of
from torch import Tensor, nn

PARTS = ((3, 6, 4), (5,))
RANDOM = np.random.default_rng(0)
DATA = (
    (RANDOM.normal(3, 2, (40, *PARTS[0])).astype(np.float32), RANDOM.normal(size=(40, 5)).astype(np.float32)),
    np.arange(40) % 2,
)


class Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.known = nn.Conv2d(3, 4, 3), nn.Linear(5, 4)
        self.head = nn.Linear(8, 2)

    def forward(self, image: Tensor, known: Tensor) -> Tensor:
        return self.head(torch.cat((self.image(image).mean((2, 3)), self.known(known)), 1))


def test_the_prepared_network_is_the_users_on_its_own_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    network = Both().eval()
    mean, std = (1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0), (2.0, 4.0, 8.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    task = Task(network=network, data=lambda: DATA, input={"mean": mean, "std": std})
    again = load_task(prepare(task, tmp_path, "both", say=lambda _: None).name)
    adopted = adopted_network(again)
    assert input_parts_of(adopted) == PARTS and again.input_shape == (3 * 6 * 4 + 5,)
    rows = again.load_dataset().validation.images
    image, known = split_row(rows, PARTS)
    scaled = (image - torch.tensor(mean[:3]).view(3, 1, 1)) / torch.tensor(std[:3]).view(3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(predict_logits(adopted, rows), network(scaled, known), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"input": {"mean": (0.0, 1.0), "std": (1.0, 1.0)}}, "2 means, allowed is one, or 8"),
        ({"network": "resnet8"}, "resnet8 for data of 2 inputs, allowed is a network that takes them"),
        ({"network": nn.Sequential(nn.Flatten(), nn.Linear(77, 2))}, "does not run on inputs of 6x4x3"),
    ],
)
def test_what_does_not_go_with_two_inputs_is_told(
    words: dict, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    with pytest.raises(AtollError, match=said):
        prepare(Task(**{"network": Both(), "data": lambda: DATA} | words), tmp_path, "both", lambda _: None)
