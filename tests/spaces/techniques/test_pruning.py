"""Pruning: kept sets by brute force, exact counts, stages, groups driven to zero, and what is left alone."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from atoll.spaces.channels.groups import channel_groups
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.importance.saliency import IMAGES, channel_saliency, weight_saliency
from atoll.spaces.kernels.schedules import STAGES
from atoll.spaces.layers.factor import Factor
from atoll.spaces.layers.layer import Layer
from atoll.spaces.layers.mask import Mask
from atoll.spaces.layers.structure import named_factors, named_layers, structure
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.technique.technique import Decisions, Technique
from torch import Tensor, nn

SHAPE = (1, 16, 16)
CONVOLUTIONS = ("conv1.weight", "conv2.weight")
CHANNEL_CRITERIA = ("l1", "l2", "random", "geometric_median", "bn_scale", "taylor")
CHANNEL_SCHEDULES = ("one_shot", "iterative", "agp", "oto")
WEIGHT_CRITERIA = ("l1", "random", "taylor")
WEIGHT_SCHEDULES = ("one_shot", "iterative", "agp")


def step(text: str) -> Technique:
    (found,) = Recipe.parse(text).steps
    return found


def pruned(text: str, network: nn.Module, context: Any) -> tuple[nn.Module, Decisions]:
    """Carries out a recipe without training after its steps; returns the last decisions too."""
    decisions: Decisions = {}
    for each in Recipe.parse(text):
        network, decisions = each.apply(network, context)
    return network, decisions


def masks(network: nn.Module) -> dict[str, Tensor]:
    found = {name: factor.find(Mask) for name, factor in named_factors(network)}
    return {name: mask.kept for name, mask in found.items() if mask is not None}


class Watched:
    """A context that remembers what the network looked like whenever it was trained."""

    def __init__(self, context: Any, look: Callable[[nn.Module], Any]) -> None:
        self._context, self._look = context, look
        self.seen: list[Any] = []
        self.epochs: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def fit(self, model: nn.Module, **how: Any) -> None:
        self.seen.append(self._look(model))
        self.epochs.append(how["epochs"])
        self._context.fit(model, **how)


# Single weights --------------------------------------------------------------------------------------


def weights_by_loop(criterion: str, network: nn.Module, context: Any) -> dict[str, Tensor]:
    factors = dict(named_factors(network))
    if criterion == "l1":
        return {name: factor.effective().abs() for name, factor in factors.items()}
    images, labels = context.examples(IMAGES)
    return weight_saliency(network, factors, images, labels, context.criterion)


@pytest.mark.parametrize("criterion", ["l1", "taylor"])
def test_the_least_important_weights_of_every_layer_go(
    criterion: str, network: nn.Module, new_context: Callable[..., Any]
) -> None:
    after, _ = pruned(f"prune_weights(ratio=0.8, criterion={criterion})", network, new_context(network))
    scores = weights_by_loop(criterion, network, new_context(network))
    for name, kept in masks(after).items():
        flat = scores[name].flatten().tolist()
        count = len(flat) - round(0.8 * len(flat))
        expected = sorted(range(len(flat)), key=lambda n: (-flat[n], n))[:count]
        assert kept.flatten().nonzero().flatten().tolist() == sorted(expected)


@pytest.mark.parametrize("criterion", ["l1", "taylor"])
def test_one_threshold_over_all_layers_is_that_of_sorting_all_weights(
    criterion: str, network: nn.Module, new_context: Callable[..., Any]
) -> None:
    text = f"prune_weights(ratio=0.9, criterion={criterion}, spread=global)"
    after, _ = pruned(text, network, new_context(network))
    scores = weights_by_loop(criterion, network, new_context(network))
    everything = sorted((float(s) for part in scores.values() for s in part.flatten()), reverse=True)
    threshold = everything[len(everything) - round(0.9 * len(everything)) - 1]
    found = masks(after)
    assert all(torch.equal(kept, scores[name] >= threshold) for name, kept in found.items())
    shares = {round(float(kept.float().mean()), 2) for kept in found.values()}
    assert len(shares) > 1  # not the same share everywhere


@pytest.mark.parametrize("spread", ["per_layer", "global"])
def test_each_type_of_layer_has_its_own_ratio(
    spread: str, trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["sequential"]
    text = f"prune_weights(ratio=0.5, spread={spread}, dense_ratio=0.9, conv_ratio=0.3)"
    after, _ = pruned(text, network, new_context(network))
    gone: dict[float, list[tuple[int, int]]] = {0.3: [], 0.9: []}
    for name, kept in masks(after).items():
        gone[0.3 if name in CONVOLUTIONS else 0.9].append((int((~kept).sum()), kept.numel()))
    for ratio, counts in gone.items():
        if spread == "per_layer":
            assert all(pruned_away == round(ratio * size) for pruned_away, size in counts)
        assert sum(n for n, _ in counts) == round(ratio * sum(size for _, size in counts))


def test_the_other_type_keeps_the_common_ratio(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["sequential"]
    after, _ = pruned("prune_weights(ratio=0.5, conv_ratio=0.25)", network, new_context(network))
    for name, kept in masks(after).items():
        assert int((~kept).sum()) == round((0.25 if name in CONVOLUTIONS else 0.5) * kept.numel())


@pytest.mark.parametrize("spread", ["per_layer", "global"])
def test_no_layer_loses_its_last_weight(
    spread: str, network: nn.Module, new_context: Callable[..., Any]
) -> None:
    text = f"prune_weights(ratio=0.9999, spread={spread})"
    after, _ = pruned(text, network, new_context(network))
    assert all(kept.any() for kept in masks(after).values())


def test_random_weights_are_drawn_and_earlier_zeros_count(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["sequential"]
    first, _ = pruned("prune_weights(ratio=0.5, criterion=random)", network, new_context(network, seed=1))
    other, _ = pruned("prune_weights(ratio=0.5, criterion=random)", network, new_context(network, seed=2))
    more, _ = pruned("prune_weights(ratio=0.75, criterion=random)", first, new_context(network, seed=3))
    for name, kept in masks(first).items():
        assert int(kept.sum()) == kept.numel() - round(0.5 * kept.numel())
        later = masks(more)[name]
        assert int(later.sum()) == kept.numel() - round(0.75 * kept.numel())
        assert not (later & ~kept).any()
    assert not torch.equal(masks(first)["dense1.weight"], masks(other)["dense1.weight"])


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [("iterative", [t / STAGES for t in range(1, STAGES)]),
     ("agp", [1 - (1 - t / STAGES) ** 3 for t in range(1, STAGES)])],
)  # fmt: skip
def test_weights_go_in_stages_with_training_between(
    schedule: str, shares: list[float], trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["sequential"]
    context = Watched(new_context(network, epochs=4), masks)
    after, _ = pruned(f"prune_weights(ratio=0.8, schedule={schedule})", network, context)
    assert len(context.seen) == len(shares)
    for earlier, later in zip(context.seen, [*context.seen[1:], masks(after)], strict=True):
        assert all(not (later[name] & ~kept).any() for name, kept in earlier.items()), "a zero came back"
    for seen, share in zip(context.seen, shares, strict=True):
        for kept in seen.values():
            assert int((~kept).sum()) == round(0.8 * share * kept.numel())
    for kept in masks(after).values():
        assert int((~kept).sum()) == round(0.8 * kept.numel())
    # evenly divided, and the last part is left for after the final mask
    assert context.epochs == [4 / STAGES] * (STAGES - 1)
    assert context.epochs_left == pytest.approx(4 / STAGES)


def test_weights_change_between_stages(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    """What was small may have grown: the masks are found anew, not counted off one list."""
    network = trained["sequential"]
    at_once, _ = pruned("prune_weights(ratio=0.5)", network, new_context(network))
    staged, _ = pruned("prune_weights(ratio=0.5, schedule=agp)", network, new_context(network, epochs=8))
    name = "dense1.weight"
    assert int(masks(at_once)[name].sum()) == int(masks(staged)[name].sum())
    assert not torch.equal(masks(at_once)[name], masks(staged)[name])


@pytest.mark.parametrize("signs", ["binarize", "ternarize"])
def test_of_signs_those_with_small_weights_under_them_go(
    signs: str, trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["sequential"]
    signed, _ = pruned(signs, network, new_context(network))
    after, _ = pruned("prune_weights(ratio=0.7)", signed, new_context(network))
    raw = dict(named_factors(signed))["conv2.weight"].raw
    assert raw is not None
    kept = masks(after)["conv2.weight"]
    assert raw.abs()[kept].min() >= raw.abs()[~kept].max()


def test_layers_that_are_not_meant_keep_their_weights(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["sequential"]
    after, _ = pruned('prune_weights(spread=global, layers="conv*")', network, new_context(network))
    assert set(masks(after)) == set(CONVOLUTIONS)
    with pytest.raises(AtollError, match="no layer matches 'nothing'"):
        pruned("prune_weights(layers=nothing)", network, new_context(network))


# Channels --------------------------------------------------------------------------------------------


def rows_of(network: nn.Module, path: str) -> Tensor:
    layer = network.get_submodule(path)
    assert isinstance(layer, Layer)
    return layer.output_rows()


def channels_by_loop(criterion: str, network: nn.Module, path: str, norm: str, context: Any) -> list[float]:
    """Rates the channels of one layer that goes with no other."""
    rows = [row.flatten() for row in rows_of(network, path)]
    if criterion == "l1":
        return [sum(abs(float(w)) for w in row) for row in rows]
    if criterion == "l2":
        return [sum(float(w) ** 2 for w in row) ** 0.5 for row in rows]
    if criterion == "geometric_median":
        return [sum(float((row - other).norm()) for other in rows) for row in rows]
    if criterion == "bn_scale":
        return network.get_submodule(norm).weight.abs().tolist()
    if criterion == "random":
        return torch.rand(len(rows), generator=context.generator).tolist()
    images, labels = context.examples(IMAGES)
    return channel_saliency(network, [path], images, labels, context.criterion)[path].tolist()


@pytest.mark.parametrize("criterion", CHANNEL_CRITERIA)
def test_the_least_important_channels_go(
    criterion: str, trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["sequential"]
    text = f"prune_channels(ratio=0.3, multiple=1, criterion={criterion}, layers=conv1)"
    after, _ = pruned(text, network, new_context(network))
    scores = channels_by_loop(criterion, network.eval(), "conv1", "bn1", new_context(network))
    expected = sorted(sorted(range(16), key=lambda n: -scores[n])[:11])
    assert torch.equal(rows_of(after, "conv1"), rows_of(network, "conv1")[expected])
    assert torch.equal(after.get_submodule("bn1").weight, network.get_submodule("bn1").weight[expected])


@pytest.mark.parametrize(("criterion", "schedule"), list(product(CHANNEL_CRITERIA, CHANNEL_SCHEDULES)))
def test_the_plan_is_what_is_carried_out(
    criterion: str, schedule: str, network: nn.Module, new_context: Callable[..., Any]
) -> None:
    """The same for the same seed, too, and built again from the decisions alone."""
    each = step(f"prune_channels(ratio=0.6, multiple=4, criterion={criterion}, schedule={schedule})")
    after, decisions = each.apply(network, new_context(network, epochs=2))
    assert each.plan_is_exact
    assert structure(each.plan(network)) == structure(after) == structure(each.rebuild(network, decisions))
    again, same = each.apply(network, new_context(network, epochs=2))
    assert same == decisions
    assert all(torch.equal(t, again.state_dict()[name]) for name, t in after.state_dict().items())


@pytest.mark.parametrize(
    ("criterion", "spread", "schedule"),
    list(product(WEIGHT_CRITERIA, ("per_layer", "global"), WEIGHT_SCHEDULES)),
)
def test_the_plan_of_masks_is_what_is_carried_out(
    criterion: str, spread: str, schedule: str, network: nn.Module, new_context: Callable[..., Any]
) -> None:
    each = step(f"prune_weights(criterion={criterion}, spread={spread}, schedule={schedule})")
    after, decisions = each.apply(network, new_context(network, epochs=2))
    assert each.plan_is_exact
    assert structure(each.plan(network)) == structure(after) == structure(each.rebuild(network, decisions))
    again, same = each.apply(network, new_context(network, epochs=2))
    assert same == decisions
    assert all(torch.equal(t, again.state_dict()[name]) for name, t in after.state_dict().items())


def counts(network: nn.Module) -> dict[str, int]:
    return {name: layer.outputs for name, layer in named_layers(network)}


def test_channels_go_in_stages_with_training_between(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["residual"]
    context = Watched(new_context(network, epochs=4), counts)
    after, _ = pruned("prune_channels(ratio=0.5, multiple=1, schedule=agp)", network, context)
    shares = [1 - (1 - t / STAGES) ** 3 for t in range(1, STAGES + 1)]
    for seen, share in zip([*context.seen, counts(after)], shares, strict=True):
        expected = {16: round(16 * (1 - 0.5 * share)), 64: round(64 * (1 - 0.5 * share)), 4: 4}
        assert seen == {name: expected[size] for name, size in counts(network).items()}
    assert context.epochs == [4 / STAGES] * (STAGES - 1)
    assert context.epochs_left == pytest.approx(4 / STAGES)


def test_groups_are_driven_to_zero_within_half_the_budget(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["residual"]
    context = Watched(new_context(network, epochs=4), counts)
    after, _ = pruned("prune_channels(ratio=0.5, schedule=oto)", network, context)
    assert context.seen == [counts(network)]  # all channels are there while they fade
    assert context.epochs == [2.0]
    assert context.epochs_left == 2.0
    assert counts(after)["stem"] == 8


def test_erasing_driven_groups_costs_less_than_cutting(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    """The same channels go; the network that faded them out needs no repair."""
    for network in trained.values():
        text = "prune_channels(ratio=0.5, criterion=random, schedule="
        faded, _ = pruned(text + "oto)", network, new_context(network, epochs=8))
        cut, _ = pruned(text + "one_shot)", network, new_context(network, epochs=8))
        context = new_context(network)
        assert context.loss(faded) < context.loss(cut)


@pytest.mark.parametrize(
    "before",
    [
        "prune_weights(ratio=0.75)",
        "cluster(clusters=8)",
        "quantize(bits=8)",
        "binarize",
        "tensor_train(rank=4, fit_steps=0)",
    ],
)
@pytest.mark.parametrize("schedule", ["agp", "oto"])
def test_every_schedule_works_under_every_constraint(
    before: str, schedule: str, network: nn.Module, new_context: Callable[..., Any]
) -> None:
    compressed, _ = pruned(before, network, new_context(network))
    for criterion in ("taylor", "geometric_median"):
        each = step(f"prune_channels(ratio=0.5, criterion={criterion}, schedule={schedule})")
        after, _ = each.apply(compressed, new_context(network))
        assert structure(after) == structure(each.plan(compressed))
        kinds = {name: set(factor.constraints) for name, factor in named_factors(compressed)}
        assert {name: set(factor.constraints) for name, factor in named_factors(after)} == kinds


@pytest.mark.parametrize("before", ["cluster(clusters=8)", "quantize(bits=4)", "binarize", "ternarize"])
@pytest.mark.parametrize("criterion", WEIGHT_CRITERIA)
def test_weights_go_under_every_constraint(
    before: str, criterion: str, network: nn.Module, new_context: Callable[..., Any]
) -> None:
    compressed, _ = pruned(before, network, new_context(network))
    text = f"prune_weights(ratio=0.5, criterion={criterion}, spread=global, schedule=iterative)"
    after, _ = pruned(text, compressed, new_context(network))
    for name, factor in named_factors(after):
        assert isinstance(factor, Factor)
        assert not factor.effective()[~masks(after)[name]].any()


class Odd(nn.Module):
    """Channels concatenated, grouped, multiplied, normalised together, and a convolution that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(1, 16, 3, padding=1, stride=2)
        self.right = nn.Conv2d(1, 16, 3, padding=1, stride=2)
        self.both = nn.BatchNorm2d(32)
        self.mix = nn.Conv2d(32, 16, 1)
        self.twice = nn.Conv2d(16, 16, 3, padding=1)
        self.excite = nn.Conv2d(16, 16, 1)
        self.grouped = nn.Conv2d(16, 16, 3, groups=4)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mix(self.both(torch.cat([torch.sigmoid(self.left(x)), self.right(x)], 1)))
        x = torch.relu(self.twice(torch.relu(self.twice(x))))
        x = x * torch.sigmoid(self.excite(x.mean((2, 3), keepdim=True)))
        return self.head(self.grouped(x).mean((2, 3)))


@pytest.mark.parametrize("schedule", CHANNEL_SCHEDULES)
@pytest.mark.parametrize("criterion", CHANNEL_CRITERIA)
def test_networks_of_every_kind_lose_channels(
    criterion: str, schedule: str, new_context: Callable[..., Any]
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = adopt(Odd(), SHAPE)
    each = step(f"prune_channels(ratio=0.5, multiple=4, criterion={criterion}, schedule={schedule})")
    after, decisions = each.apply(network, new_context(network))
    assert structure(after) == structure(each.plan(network))
    assert counts(after) == {**dict.fromkeys(counts(network), 16), "left": 8, "right": 8, "head": 4}
    assert decisions["left_alone"] == {
        **dict.fromkeys(("mix", "twice", "excite"), "read by the grouped convolution grouped"),
        "grouped": "made by a grouped convolution",
        "head": "the network's output",
    }


def test_the_scale_criterion_says_where_it_fell_back(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["residual"]
    _, decisions = pruned("prune_channels(criterion=bn_scale)", network, new_context(network))
    assert decisions["rated_by_l1"] == {"dense1": "no normalisation over its channels"}
    _, decisions = pruned("prune_channels(criterion=l1)", network, new_context(network))
    assert "rated_by_l1" not in decisions


@pytest.mark.parametrize(
    ("text", "left_alone"),
    [
        ("prune_channels", {"dense2": "the network's output"}),
        ("prune_channels(layers=dense1)", {}),
        (
            "prune_channels(layers=stem)",
            {"stem": "its channels go together with those of pointwise, not targeted"},
        ),
        (
            "prune_channels(layers=dense1|depthwise)",
            {"depthwise": "its channels go together with those of stem, pointwise, not targeted"},
        ),
        ("prune_channels(layers=stem|pointwise)", {}),
        (
            "prune_channels(ratio=0.1)",
            {
                **dict.fromkeys(("stem", "depthwise", "pointwise"), "too few channels to round down"),
                "dense2": "the network's output",
            },
        ),
    ],
)
def test_targeted_layers_left_alone_say_why(
    text: str, left_alone: dict[str, str], trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["residual"]
    after, decisions = pruned(text, network, new_context(network))
    assert decisions["left_alone"] == left_alone
    assert all(counts(after)[name] == counts(network)[name] for name in left_alone)
    fixed = [group for group in channel_groups(network, SHAPE) if group.fixed]
    assert [group.makers for group in fixed] == [["dense2"]]


def test_channels_of_no_layer_are_refused(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["residual"]
    with pytest.raises(AtollError, match="no layer matches 'conv9'"):
        pruned("prune_channels(layers=conv9)", network, new_context(network))
    with pytest.raises(AtollError, match="prune_channels: criterion: got 'l3', allowed is one of l1, l2"):
        step("prune_channels(criterion=l3)")


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3)
        self.first, self.second = nn.Linear(16, 4), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.conv(x)).mean((2, 3))
        return self.first(x), self.second(x)


@pytest.mark.parametrize("name", ["prune_channels", "prune_weights"])
def test_labels_say_nothing_about_several_heads(name: str, new_context: Callable[..., Any]) -> None:
    network = adopt(TwoHeads(), SHAPE)
    pruned(f"{name}(criterion=l1)", network, new_context(network))
    with pytest.raises(AtollError, match="training on labels: got a network with 2 heads, allowed is one"):
        pruned(f"{name}(criterion=taylor)", network, new_context(network))
