"""Distillation by every kind and from every teacher."""

from collections.abc import Callable
from copy import deepcopy
from itertools import product
from typing import Any

import pytest
import torch
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.graph.feature_maps import comparable_layers, with_features
from atoll.spaces.kernels.distillation import feature_loss, relation_loss, response_loss
from atoll.spaces.networks import NETWORKS, build_network
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.technique.context import Batch
from atoll.spaces.technique.technique import Technique
from atoll.spaces.techniques.distill import Distill
from torch import Tensor, nn

KINDS = ("response", "feature", "relation")
TEACHERS = ("baseline", "self", "mutual", "bigger")
NewContext = Callable[..., Any]


def step(text: str) -> Technique:
    (found,) = Recipe.parse(text)
    return found


def changed(network: nn.Module, before: dict[str, Tensor]) -> bool:
    return any(not torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def copy_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def hooks(network: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


@pytest.fixture
def pruned(trained: dict[str, nn.Module], new_context: NewContext) -> nn.Module:
    """The sequential network without nine tenths of its weights."""
    network, _ = step("prune_weights(ratio=0.9)").apply(
        trained["sequential"], new_context(trained["sequential"])
    )
    return network


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("distill", "distill(temperature=4.0)"),
        ("distill(temperature=2.0, alpha=0.1)", "distill(temperature=2.0, alpha=0.1)"),
        ("distill(student=compact_cnn)", "distill(temperature=4.0, student=compact_cnn)"),
        ("distill(teacher=mutual, kind=relation)", "distill(temperature=4.0, kind=relation, teacher=mutual)"),
    ],
)
def test_texts_print_as_they_did(text: str, printed: str) -> None:
    assert str(step(text)) == printed
    assert step(printed) == step(text)


def test_every_network_of_the_zoo_is_a_student() -> None:
    domain = Distill.domains()["student"]
    assert domain.grid == ("none", "compact_cnn")
    for name, _ in NETWORKS:
        assert Distill(student=name).replaces_network


def test_the_defaults_are_plain_response_distillation(
    pruned: nn.Module, trained: dict[str, nn.Module], new_context: NewContext
) -> None:
    """Bit for bit the loop written out: the baseline's logits, THESIS eq. 5, nothing else."""
    learned, decisions = step("distill").apply(pruned, new_context(trained["sequential"]))

    def objective(network: nn.Module, batch: Batch) -> Tensor:
        return response_loss(network(batch.images), batch.teacher_logits(), batch.labels, 4.0, 0.3)

    expected = deepcopy(pruned)
    new_context(trained["sequential"]).fit(expected, objective=objective)
    assert not changed(learned, expected.state_dict())
    assert decisions == {"structure": {}, "left_alone": {}, "cut_from_given_network": False}


@pytest.mark.parametrize(("kind", "teacher"), list(product(KINDS, TEACHERS)))
def test_every_kind_learns_from_every_teacher(
    kind: str, teacher: str, pruned: nn.Module, trained: dict[str, nn.Module], new_context: NewContext
) -> None:
    given, taught = copy_of(pruned), copy_of(trained["sequential"])
    context = new_context(trained["sequential"], epochs=4)
    learned, decisions = step(f"distill(kind={kind}, teacher={teacher})").apply(pruned, context)
    assert context.epochs_left == 0
    assert changed(learned, given)
    assert context.loss(learned) < context.loss(pruned)
    assert not changed(pruned, given) and not changed(trained["sequential"], taught)
    assert hooks(learned) == hooks(pruned) == hooks(trained["sequential"]) == 0
    storages = {tensor.untyped_storage().data_ptr() for tensor in pruned.state_dict().values()}
    assert not storages & {tensor.untyped_storage().data_ptr() for tensor in learned.state_dict().values()}
    zeros = pruned.get_submodule("dense1").output_rows() == 0
    assert not learned.get_submodule("dense1").output_rows()[zeros].any()
    again, same = step(f"distill(kind={kind}, teacher={teacher})").apply(
        pruned, new_context(trained["sequential"], epochs=4)
    )
    assert not changed(again, learned.state_dict()) and same == decisions


@pytest.mark.parametrize("kind", ["feature", "relation"])
def test_the_extra_term_brings_what_it_compares_nearer(
    kind: str, pruned: nn.Module, trained: dict[str, nn.Module], new_context: NewContext
) -> None:
    """Against the same training without it."""
    teacher = trained["sequential"]
    layers = ["conv1", "conv2", "dense1"]

    def distance(weight: float) -> float:
        context = new_context(teacher, epochs=10)
        learned, _ = step(f"distill(alpha=1.0, kind={kind}, weight={weight})").apply(pruned, context)
        with torch.no_grad():
            ours, theirs = (with_features(one, layers, context.images(64)) for one in (learned, teacher))
        if kind == "relation":
            return float(relation_loss(ours[0], theirs[0]))
        return float(sum(feature_loss(ours[1][name], theirs[1][name]) for name in layers))

    assert distance(100.0) < 0.8 * distance(0.0)


def test_feature_says_which_layers_it_compares(
    trained: dict[str, nn.Module], new_context: NewContext
) -> None:
    teacher = trained["sequential"]
    smaller, _ = step("prune_channels(ratio=0.5)").apply(teacher, new_context(teacher))
    _, decisions = step("distill(kind=feature)").apply(smaller, new_context(teacher))
    assert decisions["compared"] == ["conv1", "conv2"]
    assert decisions["not_compared"] == {
        "dense1": "32 features, the teacher's has 64",
        "dense2": "the network's output",
    }


def test_layers_compare_by_name_and_size() -> None:
    student, teacher = (
        adopt(nn.Sequential(*layers), (1, 8, 8))
        for layers in (
            (nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 2, 4), nn.Flatten(), nn.Linear(2, 3)),
            (nn.Conv2d(1, 6, 3), nn.Conv2d(6, 4, 1), nn.Conv2d(4, 2, 6), nn.Flatten(), nn.Linear(2, 3)),
        )
    )
    assert comparable_layers(student, teacher) == (
        ["0"],
        {
            "1": "a map of 4x4, the teacher's has 6x6",
            "2": "a map of one position",
            "4": "the network's output",
        },
    )


def test_networks_without_a_common_layer_are_told(
    trained: dict[str, nn.Module], new_context: NewContext
) -> None:
    student = step("distill(student=compact_cnn, kind=feature)")
    with pytest.raises(AtollError, match=r"no layer has a counterpart.*features\.conv1 \(the teacher has no"):
        student.apply(trained["sequential"], new_context(trained["sequential"]))


@pytest.mark.parametrize("teacher", ["baseline", "bigger"])
def test_a_teacher_that_is_missing_is_told(
    teacher: str, trained: dict[str, nn.Module], new_context: NewContext
) -> None:
    with pytest.raises(AtollError, match="there is no teacher"):
        step(f"distill(teacher={teacher})").apply(trained["sequential"], new_context(None))


@pytest.mark.parametrize("teacher", ["self", "mutual"])
def test_who_teaches_itself_needs_no_baseline(
    teacher: str, pruned: nn.Module, new_context: NewContext
) -> None:
    context = new_context(None, epochs=2)
    learned, _ = step(f"distill(teacher={teacher})").apply(pruned, context)
    assert context.loss(learned) < context.loss(pruned)


def test_the_bigger_teacher_is_the_one_that_is_asked(
    pruned: nn.Module, trained: dict[str, nn.Module], new_context: NewContext
) -> None:
    """One whose outputs are turned round teaches the opposite."""
    bigger = deepcopy(trained["sequential"])
    with torch.no_grad():
        for parameter in bigger.get_submodule("dense2").parameters():
            parameter.neg_()
    context = new_context(trained["sequential"], epochs=6)
    context.bigger_teacher = lambda: bigger
    learned, _ = step("distill(alpha=0.0, teacher=bigger)").apply(pruned, context)
    with torch.no_grad():
        ours, theirs = learned(context.images(64)), trained["sequential"].eval()(context.images(64))
    assert float((ours.argmax(1) == theirs.argmax(1)).float().mean()) < 0.3


# Mutual learning -------------------------------------------------------------------------------------


def test_two_that_learn_together_share_the_budget(
    pruned: nn.Module, new_context: NewContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the optimiser steps, both networks in each."""
    context = new_context(None, epochs=4)
    asked: list[Any] = []
    real = context.fit

    def fit(model: nn.Module, **settings: Any) -> None:
        real(model, after_step=lambda share: asked.append(share), **settings)

    monkeypatch.setattr(context, "fit", fit)
    step("distill(teacher=mutual)").apply(pruned, context)
    assert len(asked) == 8  # of 16
    assert context.epochs_left == 0


def test_the_better_of_two_stays(
    pruned: nn.Module, new_context: NewContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judged on training images; a second network that was wrecked after training never stays."""
    context = new_context(None, epochs=2)
    learned, decisions = step("distill(teacher=mutual)").apply(pruned, context)
    losses = decisions["training_losses"]
    assert len(losses) == 2 and losses[0] != losses[1]
    assert context.loss(learned) == pytest.approx(min(losses), rel=1e-5)
    real = context.fit
    for wrecked in (0, 1):

        def fit(model: nn.Module, wrecked: int = wrecked, **settings: Any) -> None:
            real(model, epochs=0, objective=settings["objective"], networks=settings["networks"])
            with torch.no_grad():
                for parameter in model[wrecked].parameters():
                    parameter.neg_()

        monkeypatch.setattr(context, "fit", fit)
        kept, decisions = step("distill(teacher=mutual)").apply(pruned, context)
        losses = decisions["training_losses"]
        assert losses[wrecked] > losses[1 - wrecked]
        assert context.loss(kept) == pytest.approx(losses[1 - wrecked], rel=1e-5)


def test_each_of_two_is_taught_by_the_other_alone(pruned: nn.Module, new_context: NewContext) -> None:
    """The gradient of one network is that of its own loss with the other's answers held still."""
    technique = Distill(teacher="mutual", alpha=0.5)
    context = new_context(None, epochs=0)
    caught: list[Any] = []
    context.fit = lambda model, **settings: caught.append((model, settings["objective"]))
    technique.apply(pruned, context)
    ((both, objective),) = caught
    images, labels = context.examples(32)
    both.train()
    objective(both, Batch(images, labels, lambda: images)).backward()
    weight = both[0].get_submodule("dense2.weight").raw
    found = weight.grad.clone()
    both.zero_grad()
    response_loss(both[0](images), both[1](images).detach(), labels, 4.0, 0.5).backward()
    assert torch.allclose(found, weight.grad, atol=1e-6)


# Students --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("teacher", TEACHERS)
def test_a_student_learns_from_every_teacher(teacher: str, new_context: NewContext) -> None:
    given = adopt(build_network("baseline_cnn", 4, (1, 16, 16)), (1, 16, 16)).eval()
    technique = step(f"distill(student=compact_cnn, kind=feature, teacher={teacher})")
    context = new_context(given)
    student, decisions = technique.apply(given, context)
    assert decisions["cut_from_given_network"]
    rebuilt = technique.rebuild(given, decisions)
    rebuilt.load_state_dict(student.state_dict())
    with torch.no_grad():
        assert torch.equal(rebuilt.eval()(context.images(4)), student.eval()(context.images(4)))
