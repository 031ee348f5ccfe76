"""Random legal recipes over random small networks: every step is carried out, or refused in words."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from random import Random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.codebook import Codebook
from atoll.spaces.layers.mask import Mask
from atoll.spaces.layers.structure import named_factors, structure, to_meta
from atoll.spaces.recipes.order import repair, sample
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.technique.domains import Choice
from atoll.spaces.technique.technique import Technique
from atoll.spaces.techniques import TECHNIQUES
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

SHAPE = (1, 8, 8)
CLASSES = 3
IMAGES = torch.rand(12, *SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1
LABELS = torch.arange(12) % CLASSES
#: steps of the fits of decomposed layers, for time's sake
FIT_STEPS = 3


# Networks --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A convolution and what stands around it.

    Args:
        norm: none, before or after the ReLU.
        kind: plain, depthwise, grouped (where the channels divide), residual (where shapes agree), or
            concatenated with its input (likewise).
    """

    channels: int
    size: int
    stride: int
    bias: bool
    norm: str
    kind: str
    pooled: bool


class Small(nn.Module):
    """Blocks in a row, then the positions are averaged or flattened, then one or two dense layers."""

    def __init__(self, blocks: tuple[Block, ...], flat: bool, hidden: int) -> None:
        super().__init__()
        self.blocks, self.flat = blocks, flat
        self.ways: list[
            tuple[str, bool]
        ] = []  # what becomes of each block's result, and whether it is pooled
        channels, side = SHAPE[0], SHAPE[1]
        for n, block in enumerate(blocks):
            made = channels if block.kind == "depthwise" else block.channels
            groups = {"depthwise": channels, "grouped": _groups(channels, made)}.get(block.kind, 1)
            padding = block.size // 2
            conv = nn.Conv2d(channels, made, block.size, block.stride, padding, 1, groups, block.bias)
            self.add_module(f"conv{n}", conv)
            self.add_module(f"norm{n}", nn.Identity() if block.norm == "none" else nn.BatchNorm2d(made))
            alike = block.stride == 1 and (block.kind == "concatenated" or made == channels)
            way = block.kind if alike else "plain"
            channels = made + channels if way == "concatenated" else made
            side = (side - 1) // block.stride + 1
            pooled = block.pooled and side > 1
            side = side // 2 if pooled else side
            self.ways.append((way, pooled))
        features = channels * side * side if flat else channels
        self.dense = nn.Linear(features, hidden) if hidden else nn.Identity()
        self.head = nn.Linear(hidden or features, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        for n, (block, (way, pooled)) in enumerate(zip(self.blocks, self.ways, strict=True)):
            conv, norm = self.get_submodule(f"conv{n}"), self.get_submodule(f"norm{n}")
            y = torch.relu(norm(conv(x))) if block.norm == "before" else norm(torch.relu(conv(x)))
            if way == "residual":
                y = torch.relu(x + y)
            elif way == "concatenated":
                y = torch.cat([x, y], 1)
            x = F.max_pool2d(y, 2) if pooled else y
        x = x.flatten(1) if self.flat else x.mean((2, 3))
        return self.head(torch.relu(self.dense(x)))


def _groups(channels: int, made: int) -> int:
    return next((n for n in (4, 3, 2) if channels % n == 0 == made % n), 1)


def _seeded(blocks: tuple[Block, ...], flat: bool, hidden: int) -> Small:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Small(blocks, flat, hidden)


blocks = st.builds(
    Block,
    channels=st.sampled_from((3, 7, 8, 12, 16)),
    size=st.sampled_from((1, 3)),
    stride=st.sampled_from((1, 1, 2)),
    bias=st.booleans(),
    norm=st.sampled_from(("none", "before", "after")),
    kind=st.sampled_from(("plain", "depthwise", "grouped", "residual", "concatenated")),
    pooled=st.booleans(),
)
networks = st.builds(
    _seeded,
    blocks=st.lists(blocks, min_size=1, max_size=3).map(tuple),
    flat=st.booleans(),
    hidden=st.sampled_from((0, 5, 64)),
)
#: which layers a step touches; not every network has all of them
PATTERNS = ("*", "*", "*", "conv*", "dense|head", "conv0|dense")


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Draws legal recipes of up to three steps, their choices beyond the search grids, targeted or not."""
    random = Random(draw(st.integers(0, 2**32)))
    varied = [_varied(step, random) for step in sample(TECHNIQUES, random, max_steps=3)]
    return repair(varied)


def _varied(step: Technique, random: Random) -> Technique:
    """Draws some of the settings anew; fits of decomposed layers are short."""
    wanted = step.settings()
    for name, domain in step.domains().items():
        if isinstance(domain, Choice) and random.random() < 0.3:
            wanted[name] = random.choice(domain.values)
        elif name == "layers":
            wanted[name] = random.choice(PATTERNS)
        elif name == "fit_steps":
            wanted[name] = FIT_STEPS
    try:
        return step.from_settings(wanted)
    except AtollError:
        return step  # these settings do not go together


# What holds ------------------------------------------------------------------------------------------


def cost(network: nn.Module) -> dict[str, list[tuple[int, int]]]:
    """Returns weight bytes and multiply-accumulates of every operation, by module."""
    found: dict[str, list[tuple[int, int]]] = {}
    for row in layer_table(network, SHAPE).rows:
        found.setdefault(row.path, []).append((row.cost.weight_bytes, row.cost.macs))
    return found


def check_plan(step: Technique, planned: nn.Module, after: nn.Module) -> None:
    if step.plan_is_exact:
        assert structure(planned) == structure(after)
        assert cost(planned) == cost(after)
        return
    theirs = cost(after)
    for path, rows in cost(planned).items():
        for total in (0, 1):
            assert sum(row[total] for row in rows) <= sum(row[total] for row in theirs[path]), path


def check_promises(network: nn.Module) -> None:
    """Whatever is on a weight holds: zeros, shared values, whole steps from a zero point."""
    for name, factor in named_factors(network):
        weight, mask, codebook = factor.effective(), factor.find(Mask), factor.find(Codebook)
        assert weight.isfinite().all(), name
        alive = torch.ones_like(weight, dtype=torch.bool) if mask is None else mask.kept
        assert not weight[~alive].any(), name
        for value in () if codebook is None else codebook.index.unique():
            assert weight[(codebook.index == value) & alive].unique().numel() <= 1, name
        integers = factor.integers()
        if integers is not None:
            ones = [1] * (weight.dim() - 1)
            scale, zero = integers.scale.reshape(-1, *ones), integers.zero_point
            zero = torch.zeros(1) if zero is None else zero.float().reshape(-1, *ones)
            assert torch.equal((integers.values - zero) * scale, weight), name
            low, high = -(2 ** (integers.bits - 1)), 2 ** (integers.bits - 1) - 1
            assert low <= int(integers.values.min()) <= int(integers.values.max()) <= high, name


def train_a_step(network: nn.Module) -> None:
    """One large step of gradient descent: constraints hold by construction."""
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    F.cross_entropy(network.train()(IMAGES), LABELS).backward()
    optimizer.step()
    network.eval()


@settings(
    max_examples=40, phases=(Phase.explicit, Phase.generate)
)  # small already, and shrinking takes minutes
@given(network=networks, recipe=recipes())
def test_a_recipe_is_carried_out_or_refused_in_words(
    new_world: Callable[..., Any], network: nn.Module, recipe: Recipe
) -> None:
    model = teacher = adopt(network, SHAPE).eval()
    for step in recipe:
        before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        try:
            after, decisions = step.apply(model, new_world(IMAGES, LABELS, teacher, epochs=0))
        except AtollError as error:
            assert " " in str(error)
            return
        check_plan(step, step.plan(to_meta(model)), after)
        assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
        rebuilt = step.rebuild(model, decisions)
        rebuilt.load_state_dict(after.state_dict())
        with torch.no_grad():
            answers = after.eval()(IMAGES)
            assert answers.shape == (12, CLASSES)
            assert answers.isfinite().all()
            assert torch.equal(rebuilt.eval()(IMAGES), answers)
        model = after
    check_promises(model)
    assert layer_table(model, SHAPE).weight_bytes > 0
    train_a_step(model)
    check_promises(model)


def test_the_networks_are_varied() -> None:
    """The generator reaches what it was written for."""
    seen: set[str] = set()

    @settings(max_examples=100, database=None)
    @given(network=networks)
    def look(network: Small) -> None:
        convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
        seen.update(block.kind for block in network.blocks)
        seen.update(f"{way} in fact" for way, _ in network.ways)
        seen.update("grouped weights" for conv in convolutions if 1 < conv.groups < conv.in_channels)
        seen.update("spread" for _ in range(network.flat))
        assert prod(network(IMAGES).shape) == 12 * CLASSES

    look()
    kinds = ("plain", "depthwise", "grouped", "residual", "concatenated")
    assert {*kinds, *(f"{kind} in fact" for kind in kinds), "grouped weights", "spread"} == seen


@pytest.mark.parametrize("text", ["prune_channels(ratio=0.5, multiple=1) -> quantize(bits=8)"])
def test_a_known_recipe_is_no_refusal(text: str, new_world: Callable[..., Any]) -> None:
    """The property could be had by refusing everything."""
    model = teacher = adopt(Small((Block(8, 3, 1, True, "after", "plain", True),), True, 5), SHAPE).eval()
    for step in Recipe.parse(text):
        model, _ = step.apply(model, new_world(IMAGES, LABELS, teacher, epochs=0))
    assert structure(model)["conv0"]["outputs"] == 4
