"""Two tiny networks and a tiny world to compress them in."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import pytest
import torch
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.flatten import ChannelsLastFlatten
from atoll.spaces.technique.context import AfterStep, Batch, Loss
from torch import Tensor, nn

INPUT_SHAPE = (1, 16, 16)
CLASSES = 4
STEPS_PER_EPOCH = 4


def sequential() -> nn.Module:
    """Two convolutions with BatchNorm after ReLU, as in the papers, and a dense layer worth a train."""
    parts = OrderedDict(
        conv1=nn.Conv2d(1, 16, 3, padding="same", bias=False),
        relu1=nn.ReLU(),
        bn1=nn.BatchNorm2d(16),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(16, 16, 3, padding=1),
        relu2=nn.ReLU(),
        bn2=nn.BatchNorm2d(16),
        pool2=nn.MaxPool2d(2),
        flatten=ChannelsLastFlatten(),
        dense1=nn.Linear(256, 64, bias=False),
        bn3=nn.BatchNorm1d(64),
        dense2=nn.Linear(64, CLASSES),
    )
    return nn.Sequential(parts)


class Residual(nn.Module):
    """A depthwise separable block with a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.pointwise = nn.Conv2d(16, 16, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.pool = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.dense1 = nn.Linear(256, 64)
        self.dense2 = nn.Linear(64, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        y = torch.relu(self.bn1(self.depthwise(x)))
        x = self.pool(torch.relu(x + self.bn2(self.pointwise(y))))
        return self.dense2(torch.relu(self.dense1(self.flatten(x))))


def toy_images(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Returns noisy bars at four places (count, 1, 16, 16) in [-1, 1], and which place it is (count,)."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    images = torch.randn(count, *INPUT_SHAPE, generator=generator) * 0.3 - 0.5
    for place in range(CLASSES):
        images[labels == place, :, 4 * place : 4 * place + 4] += 0.7
    return images.clamp(-1, 1), labels


def labels_only(model: nn.Module, batch: Batch) -> Tensor:
    """Returns the cross-entropy against the labels."""
    return nn.functional.cross_entropy(model(batch.images), batch.labels)


class World:
    """The world as a technique sees it: a few images, a real training loop of a few batches.

    Args:
        images: float32 [N, C, H, W]; 32 of them, drawn anew, make a batch.
        labels: int64 [N], every class among them.
        teacher: answers for itself and for a bigger one.
        epochs: that may be spent; without any, training leaves everything as it is.
        objective: where the technique has none.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        teacher: nn.Module | None,
        seed: int = 0,
        epochs: float = 1,
        objective: Loss = labels_only,
    ) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.input_shape = tuple(images.shape[1:])
        self.num_classes = int(labels.max()) + 1
        self.teacher = teacher
        self.epochs_left = epochs
        self._images, self._labels, self._objective = images, labels, objective

    def images(self, count: int) -> Tensor:
        return self._images[:count]

    def examples(self, count: int) -> tuple[Tensor, Tensor]:
        return self._images[:count], self._labels[:count]

    def bigger_teacher(self) -> nn.Module:
        assert self.teacher is not None
        return self.teacher

    def fit(
        self,
        model: nn.Module,
        *,
        epochs: float | None = None,
        objective: Loss | None = None,
        after_step: AfterStep | None = None,
        networks: int = 1,
    ) -> None:
        epochs = self.epochs_left if epochs is None else epochs
        assert epochs <= self.epochs_left + 1e-9, "more is spent than is left"
        self.epochs_left = max(0.0, self.epochs_left - epochs)
        model.train()
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=2e-3)
        count, steps = len(self._images), round(STEPS_PER_EPOCH * epochs / networks)
        for step in range(steps):
            chosen = torch.randint(count, (min(32, count),), generator=self.generator)
            batch = Batch(self._images[chosen], self._labels[chosen], partial(self._answer, chosen))
            value = (objective or self._objective)(model, batch)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            if after_step is not None:
                after_step((step + 1) / steps)
        model.eval()

    @torch.no_grad()
    def _answer(self, chosen: Tensor) -> Tensor:
        assert self.teacher is not None
        return self.teacher(self._images[chosen])

    @torch.no_grad()
    def loss(self, model: nn.Module) -> float:
        """Returns the mean cross-entropy over all images, in evaluation."""
        return float(nn.functional.cross_entropy(model.eval()(self._images), self._labels))


def tiny_world(teacher: nn.Module | None, seed: int = 0, epochs: float = 1) -> World:
    """Returns a world of 128 images of bars."""
    return World(*toy_images(128, seed=7), teacher, seed, epochs)


NETWORKS: dict[str, Callable[[], nn.Module]] = {"sequential": sequential, "residual": Residual}


@pytest.fixture(scope="session")
def trained() -> dict[str, nn.Module]:
    """The tiny networks, adopted and trained a little; nobody may change them."""
    networks = {}
    for name, build in NETWORKS.items():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = adopt(build(), INPUT_SHAPE)
        tiny_world(None, epochs=6).fit(network)
        networks[name] = network
    return networks


@pytest.fixture(params=list(NETWORKS))
def network(request: pytest.FixtureRequest, trained: dict[str, nn.Module]) -> nn.Module:
    """Each of the tiny networks in turn."""
    return trained[request.param]


@pytest.fixture(scope="session")
def new_world() -> type[World]:
    """A world of any images: see `World`."""
    return World


@pytest.fixture(scope="session")
def new_context() -> Callable[..., World]:
    """The tiny world of bars: call it with the teacher, and a seed or epochs."""
    return tiny_world
