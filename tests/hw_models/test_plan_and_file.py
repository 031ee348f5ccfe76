"""A network's plan and its file have the same operators and the same price, for random small networks."""

import operator
from random import Random

import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert.lower import lower
from atoll.hw_models.devices.device import Device
from atoll.hw_models.tables.file_table import layer_table_of
from atoll.hw_models.tables.network_table import layer_table
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import World
from torch import Tensor, nn

SHAPE = (3, 12, 12)
DEVICES = ("coral-dev-board", "coral-edge-tpu", "host")
RECIPES = (
    "baseline",
    "quantize(bits=8)",
    "quantize(bits=4)",
    "quantize(bits=8, activations=dynamic)",
    "quantize(bits=8, activations=float)",
    "tensor_train(rank=4)",
    "tensor_train(rank=4) -> quantize(bits=8)",
    "tucker(rank=0.5) -> quantize(bits=8)",
    "cp(rank=4)",
    "svd",
    "prune_channels(ratio=0.5)",
    "prune_channels(ratio=0.5) -> quantize(bits=8)",
    "binarize",
    "binarize(activations=binary)",
)
FUNCTIONS = {
    "none": lambda x: x,
    "relu": torch.relu,
    "relu6": F.relu6,
    "silu": F.silu,
    "hard_swish": F.hardswish,
    "hard_sigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
}
COMBINED = {"sum": operator.add, "difference": operator.sub, "product": operator.mul}


class Small(nn.Module):
    """Up to four blocks of convolution, norm, function, way around and pooling; then dense layers."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        random = Random(seed)
        torch.manual_seed(seed)
        self.ways: list[tuple[str, str, str, str, bool]] = []
        channels, side = SHAPE[0], SHAPE[1]
        for n in range(random.randint(1, 4)):
            way = random.choice(
                ("plain", "plain", "depthwise", "grouped", "concatenated", "gated", *COMBINED)
            )
            alike, plain = way in COMBINED or way == "depthwise", way == "plain"
            made = channels if alike else random.choice((4, 8, 12))
            groups = {"depthwise": channels, "grouped": 2 if channels % 2 == 0 else 1}.get(way, 1)
            size, stride = random.choice((1, 3, 5)), random.choice((1, 1, 2)) if plain else 1
            size = 3 if way == "depthwise" else size
            padding = random.choice((0, size // 2)) if plain and side > size else size // 2
            self.add_module(
                f"conv{n}",
                nn.Conv2d(channels, made, size, stride, padding, groups=groups, bias=random.random() < 0.5),
            )
            self.add_module(f"norm{n}", nn.BatchNorm2d(made))
            if way == "gated":
                self.add_module(f"down{n}", nn.Conv2d(made, 4, 1))
                self.add_module(f"up{n}", nn.Conv2d(4, made, 1))
            channels = channels + made if way == "concatenated" else made
            side = (side + 2 * padding - size) // stride + 1
            norm, function = random.choice(("none", "before", "after")), random.choice(list(FUNCTIONS))
            pool = random.choice(("none", "max", "average", "up")) if side >= 4 else "none"
            pool = (
                "padded" if pool == "max" and (function, norm, way) == ("relu", "before", "plain") else pool
            )
            side = {
                "max": side // 2,
                "average": side // 2,
                "padded": (side - 1) // 2 + 1,
                "up": 2 * side,
            }.get(pool, side)
            self.ways.append((way, norm, function, pool, random.random() < 0.5))
        self.end = random.choice(("flat", "mean", "pooled"))
        features = channels * side * side if self.end == "flat" else channels
        hidden = random.choice((0, 12, 32))
        self.dense = nn.Linear(features, hidden) if hidden else nn.Identity()
        self.normed = bool(hidden) and random.random() < 0.5
        self.dense_norm = nn.BatchNorm1d(hidden or 1)
        self.last_function = random.choice(("none", "relu", "tanh")) if hidden else "none"
        self.head = nn.Linear(hidden or features, 5)
        self.softmax = nn.Softmax(1) if random.random() < 0.3 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        for n, (way, norm, function, pool, rectified) in enumerate(self.ways):
            y = self.get_submodule(f"conv{n}")(x)
            y = self.get_submodule(f"norm{n}")(y) if norm == "before" else y
            y = FUNCTIONS[function](y)
            y = self.get_submodule(f"norm{n}")(y) if norm == "after" else y
            if way in COMBINED:
                y = COMBINED[way](x, y)
                y = torch.relu(y) if rectified else y
            elif way == "concatenated":
                y = torch.cat([x, y], 1)
            elif way == "gated":
                gate = torch.relu(self.get_submodule(f"down{n}")(F.adaptive_avg_pool2d(y, 1)))
                y = y * torch.sigmoid(self.get_submodule(f"up{n}")(gate))
            if pool in ("max", "padded"):
                y = F.max_pool2d(y, 2) if pool == "max" else F.max_pool2d(y, 3, 2, 1)
            elif pool != "none":
                y = F.avg_pool2d(y, 2) if pool == "average" else F.interpolate(y, scale_factor=2)
            x = y
        if self.end == "flat":
            x = torch.flatten(x, 1)
        else:
            x = x.mean((2, 3)) if self.end == "mean" else torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        x = self.dense(x)
        x = self.dense_norm(x) if self.normed else x
        return self.softmax(self.head(FUNCTIONS[self.last_function](x)))


def world() -> World:
    """What the steps may ask for: ten images, no training."""
    images = torch.rand(10, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return World(images, torch.arange(10) % 5, None, epochs=0)


def both(network, recipe):
    """The table of the compressed network, that of its file, the file."""
    model = adopt(network.eval(), SHAPE).eval()
    for step in Recipe.parse(recipe):
        model, _ = step.apply(model, world())
    content = lower(model.eval(), SHAPE)
    plan = layer_table(model, SHAPE, "plan")
    return plan, layer_table_of(TfliteFile.parse(content), "file"), content


def check(plan, file, content):
    planned, written = ([(row.cost, row.live_bytes) for row in table.rows] for table in (plan, file))
    assert planned == written
    for name in DEVICES:
        device = Device.load(name)
        expected = device.predict(file, model_bytes=len(content))
        for quantity, found in device.predict(plan, model_bytes=len(content)).items():
            assert found.value == pytest.approx(expected[quantity].value, rel=0.005), (name, quantity)


@pytest.mark.parametrize("recipe", RECIPES)
def test_plan_and_file_are_alike(recipe):
    for seed in range(4):
        check(*both(Small(seed), recipe))


@pytest.mark.long
@pytest.mark.parametrize("recipe", RECIPES)
def test_many_plans_and_files_are_alike(recipe):
    for seed in range(4, 40):
        check(*both(Small(seed), recipe))


@pytest.mark.parametrize("combine", [operator.add, operator.sub, operator.mul])
def test_a_relu_behind_two_values_is_fused_in_both(combine):
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
            self.head = nn.Linear(4 * 144, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.flatten(torch.relu(combine(self.a(x), self.b(x))), 1))

    plan, file, content = both(Two(), "baseline")
    assert len(plan.rows) == 4  # two convolutions, what combines them, the dense layer
    check(plan, file, content)
