"""Every technique on networks of every kind: it works and says what it left alone, or refuses in words."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.measuring.artifact import model_bytes
from atoll.evaluators.measuring.measure import parameter_count, payload_bytes
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.graph.heads import heads
from atoll.spaces.layers.structure import structure
from atoll.spaces.technique.context import Batch
from atoll.spaces.technique.targets import end_layers, targeted_layers
from atoll.spaces.technique.technique import Decisions, Technique
from atoll.spaces.techniques import TECHNIQUES
from torch import Tensor, nn

SHAPE = (1, 16, 16)
CLASSES = 4
IMAGES = torch.rand(24, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1
LABELS = torch.arange(24) % CLASSES


# The networks ----------------------------------------------------------------------------------------


class InvertedResidual(nn.Module):
    """An expanded depthwise block with a shortcut, BatchNorm before and after ReLU, functions throughout."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.bn0 = nn.BatchNorm2d(16)
        self.expand = nn.Conv2d(16, 32, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False)
        self.project = nn.Conv2d(32, 16, 1)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn0(F.relu(self.stem(x)))
        x = x + self.project(F.relu6(self.depthwise(F.relu6(self.bn1(self.expand(x))))))
        return self.head(F.dropout(x.mean((2, 3)), 0.2, self.training))


class Dense(nn.Module):
    """Every convolution reads what all before it made; torch's own flattening of the concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.bn = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 8, 1)
        self.dense1 = nn.Linear(40 * 16, 24)
        self.dense2 = nn.Linear(24, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.cat([x, torch.relu(self.conv2(x))], 1)
        x = torch.cat([x, self.conv3(self.bn(x))], 1)
        return self.dense2(torch.relu(self.dense1(F.avg_pool2d(x, 2).view(x.size(0), -1))))


class Squeezed(nn.Module):
    """Hard-swish, squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, stride=2)
        self.squeeze = nn.Conv2d(16, 8, 1)
        self.excite = nn.Conv2d(8, 16, 1)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.hardswish(self.conv1(x))
        x = x * torch.sigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1)))))
        x = F.silu(self.conv2(x))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class Grouped(nn.Module):
    """Grouped convolutions, one that makes two channels of each, a dilated one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=2, dilation=2)
        self.grouped = nn.Conv2d(16, 16, 3, padding=1, groups=4)
        self.bn = nn.BatchNorm2d(16)
        self.doubling = nn.Conv2d(16, 32, 3, groups=16, stride=2, padding=1)
        self.pointwise = nn.Conv2d(32, 16, 1)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(torch.relu(self.grouped(torch.relu(self.stem(x)))))
        return self.head(torch.relu(self.pointwise(self.doubling(x))).mean(dim=[2, 3]))


class Shared(nn.Module):
    """One convolution at two resolutions, one norm over two paths, one dense layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(1, 16, 3, padding=1)
        self.right = nn.Conv2d(1, 16, 3, padding=1, stride=2)
        self.norm = nn.BatchNorm2d(16)
        self.both = nn.Conv2d(16, 64, 3, padding=1)
        self.dense = nn.Linear(64, 64)
        self.head = nn.Linear(64, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        left = self.both(self.norm(torch.relu(self.left(x)))).mean((2, 3))
        right = self.both(self.norm(torch.relu(self.right(x)))).mean((2, 3))
        return self.head(torch.relu(self.dense(torch.relu(self.dense(left)))) + right)


class TwoHeads(nn.Module):
    """Classes and a box."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, stride=4)
        self.dense = nn.Linear(256, 32)
        self.classes = nn.Linear(32, CLASSES)
        self.box = nn.Linear(32, 2)

    def forward(self, x: Tensor) -> dict[str, Any]:
        x = torch.relu(self.dense(torch.relu(self.conv(x)).flatten(1)))
        return {"classes": self.classes(x), "rest": (self.box(x), x)}


def convolutions_only() -> nn.Module:
    """No dense layer: the last convolution makes the classes."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2), nn.BatchNorm2d(16), nn.LeakyReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(),
        nn.Conv2d(16, CLASSES, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def dense_only() -> nn.Module:
    """No convolution, and a normalisation of the flattened image."""
    return nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(256), nn.Linear(256, 64), nn.ReLU(), nn.BatchNorm1d(64),
        nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, CLASSES),
    )  # fmt: skip


def single() -> nn.Module:
    """One layer, the first and the last."""
    return nn.Sequential(nn.Flatten(), nn.Linear(256, CLASSES))


class Foreign(nn.Module):
    """What is more than convolutions: other norms, a transposed one, attention, rows of maps, a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.scale = nn.Parameter(torch.ones(16, 1, 1))
        self.group_norm = nn.GroupNorm(4, 16)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.down = nn.Conv2d(8, 16, 4, stride=4)
        self.attention = nn.TransformerEncoderLayer(16, 2, 16, batch_first=True)
        self.rows = nn.Linear(16, 16)
        self.layer_norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(torch.relu(self.up(self.group_norm(self.conv(x) * self.scale))))
        x = self.layer_norm(self.rows(self.attention(x.flatten(2).transpose(1, 2))))
        return self.head(x.mean(1))


class Primes(nn.Module):
    """Prime sizes, a tall window, no padding, a view whose size is written in the code."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 13, (5, 3), bias=False)
        self.conv2 = nn.Conv2d(13, 17, 3, stride=(2, 1))
        self.norm = nn.BatchNorm2d(17, affine=False)
        self.dense1 = nn.Linear(17 * 5 * 4, 31)
        self.dense2 = nn.Linear(31, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.norm(F.relu(self.conv2(F.relu(self.conv1(x))))), (1, 3))
        return self.dense2(F.elu(self.dense1(x.reshape(-1, 340))))


class Skipping(nn.Module):
    """A head that is never called, defined last, and a layer in the middle of it all."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 24, 3, stride=2)
        self.left_over = nn.Conv2d(24, 24, 3)
        self.second = nn.Conv2d(24, 24, 3, stride=2)
        self.head = nn.Linear(24, CLASSES)
        self.aux = nn.Sequential(nn.Conv2d(24, 64, 3), nn.BatchNorm2d(64), nn.Flatten(), nn.Linear(576, 64))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.second(torch.relu(self.conv(x)))).mean((2, 3)))


SKIPPED = ("left_over", "aux.0", "aux.1", "aux.3")


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "inverted-residual": InvertedResidual,
    "dense-blocks": Dense,
    "squeeze-excite": Squeezed,
    "grouped": Grouped,
    "shared": Shared,
    "two-heads": TwoHeads,
    "convolutions-only": convolutions_only,
    "dense-only": dense_only,
    "single": single,
    "foreign": Foreign,
    "primes": Primes,
    "skipping": Skipping,
}
SEVERAL_HEADS = ("two-heads",)


def summed_heads(model: nn.Module, batch: Batch) -> Tensor:
    """Returns a loss that every head has a part in."""
    answers: tuple[Tensor, ...] = heads(model(batch.images))
    return torch.stack([head.square().mean() for head in answers]).sum()


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    """The networks, adopted, their norms used to the images; nobody may change them."""
    found = {}
    for name, build in NETWORKS.items():
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            network = adopt(build(), SHAPE).train()
            for _ in range(3):
                network(torch.rand(24, *SHAPE) * 2 - 1)
        found[name] = network.eval()
    return found


# What holds on all of them ---------------------------------------------------------------------------


def outputs(network: nn.Module) -> tuple[Tensor, ...]:
    images = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.no_grad():
        return heads(network.eval()(images))


def a_sentence(text: str) -> bool:
    return len(text) > 8 and " " in text


def bits_and_macs(network: nn.Module) -> dict[str, tuple[int, int]]:
    """Returns the bytes of weights and the multiply-accumulates of every module that has a price."""
    found: dict[str, tuple[int, int]] = {}
    for row in layer_table(network, SHAPE).rows:
        stored, macs = found.get(row.path, (0, 0))
        found[row.path] = (stored + row.cost.weight_bytes, macs + row.cost.macs)
    return found


def check_plan(step: Technique, planned: nn.Module, after: nn.Module) -> None:
    """The plan is the structure of what was carried out, or in nothing dearer."""
    if step.plan_is_exact:
        assert structure(planned) == structure(after)
        return
    try:
        costs = bits_and_macs(after)
    except AtollError:
        return  # a network without a price, planned or not
    for path, (stored, macs) in bits_and_macs(planned).items():
        if path in costs:
            assert (stored <= costs[path][0], macs <= costs[path][1]) == (True, True), path


def check_left_alone(step: Technique, before: nn.Module, decisions: Decisions) -> None:
    """What was not touched is told, with a reason."""
    left = decisions.get("left_alone", {})
    assert isinstance(left, dict)
    assert all(a_sentence(reason) for reason in left.values()), left
    told = {path for paths in left for path in paths.split(", ")}
    for path, _ in targeted_layers(before, step.scope) if step.stage != "training" else []:
        assert path in decisions["structure"] or path in told, f"{path} was left alone without a word"


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.name)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_technique_works_or_refuses_in_words(
    name: str,
    technique: type[Technique],
    networks: dict[str, nn.Module],
    new_world: Callable[..., Any],
) -> None:
    step, before = technique(), networks[name]
    state = {key: tensor.clone() for key, tensor in before.state_dict().items()}
    try:
        after, decisions = step.apply(before, new_world(IMAGES, LABELS, before, objective=summed_heads))
    except AtollError as error:
        assert a_sentence(str(error))
        assert name in SEVERAL_HEADS and "heads" in str(error), str(error)
        return
    assert {key: tensor.tolist() for key, tensor in before.state_dict().items()} == {
        key: tensor.tolist() for key, tensor in state.items()
    }
    check_plan(step, step.plan(before), after)
    check_left_alone(step, before, decisions)
    found = outputs(after)
    assert [head.shape for head in found] == [head.shape for head in outputs(before)]
    assert all(head.isfinite().all() for head in found)
    rebuilt = step.rebuild(before, json.loads(json.dumps(decisions)))
    rebuilt.load_state_dict(after.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(outputs(rebuilt), found, strict=True))
    for price in (layer_table, model_bytes):
        try:
            assert price(after, SHAPE)
        except AtollError as error:
            assert a_sentence(str(error))


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.name)
def test_layers_that_are_never_called_are_left_alone_and_told(
    technique: type[Technique], networks: dict[str, nn.Module], new_world: Callable[..., Any]
) -> None:
    step, before = technique(), networks["skipping"]
    after, decisions = step.apply(before, new_world(IMAGES, LABELS, before))
    assert not set(SKIPPED) & set(decisions["structure"])
    state = after.state_dict()
    for name in SKIPPED:
        assert step.replaces_network or type(after.get_submodule(name)) is type(before.get_submodule(name))
        for key, tensor in before.state_dict().items():
            assert not key.startswith(f"{name}.") or step.replaces_network or torch.equal(state[key], tensor)
    told = decisions["left_alone"]
    if step.stage != "training":
        assert all(told[name].startswith("never called") for name in SKIPPED), told


def test_the_ends_of_a_network_and_its_figures_are_of_what_runs(networks: dict[str, nn.Module]) -> None:
    network = networks["skipping"]
    assert end_layers(network) == {"conv": "first", "head": "last"}
    weights = 24 * 9 + 24 * 24 * 9 + 24 * CLASSES
    assert parameter_count(network) == weights + 24 + 24 + CLASSES
    assert payload_bytes(network) == 4 * parameter_count(network)
    with pytest.raises(
        AtollError, match=r"'aux\.\*' means layers that the network never calls: aux.0, aux.1, "
    ):
        targeted_layers(network, "aux.*")


@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_have_a_price(name: str, networks: dict[str, nn.Module]) -> None:
    assert layer_table(networks[name], SHAPE).macs > 0
    assert model_bytes(networks[name], SHAPE) > 1000
