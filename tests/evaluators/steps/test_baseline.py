"""The baseline: the best on validation of given, plain and self-distilled; never worse than the given one."""

from dataclasses import replace

import pytest
import torch
from atoll.evaluators.steps import baseline
from atoll.evaluators.steps.baseline import make_baseline, turns
from atoll.evaluators.steps.pipeline import Pipeline
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.tasks.given_network import given_network
from atoll.evaluators.tasks.task import Task
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.recipes.recipe import Recipe
from torch import nn


@pytest.fixture
def given(tiny_task: Task) -> nn.Module:
    return adopt(given_network(tiny_task), tiny_task.input_shape).eval()


def test_it_is_the_best_of_three_and_never_worse_than_given(tiny_task: Task, given: nn.Module) -> None:
    before = {name: tensor.clone() for name, tensor in given.state_dict().items()}
    dataset = tiny_task.dataset()
    network, qualities = make_baseline(given, tiny_task, dataset, epochs=0.5, seed=0)
    assert set(qualities) == {"given", "plain", "self_distilled"}
    assert tiny_task.quality(network, dataset.validation) == max(qualities.values()) >= qualities["given"]
    assert qualities["given"] == tiny_task.quality(given, dataset.validation)
    assert all(torch.equal(tensor, before[name]) for name, tensor in given.state_dict().items())


@pytest.mark.parametrize("best", ["given", "plain", "self_distilled"])
def test_whichever_validates_best_is_taken_and_recorded(
    tiny_task: Task,
    best: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The judge is told what to say, in the order in which the networks are made."""
    order = ["given", "plain", "self_distilled"]
    seen: list[nn.Module] = []

    def judge(_task: Task, network: nn.Module, _split: object) -> float:
        seen.append(network)
        return 0.9 if order[len(seen) - 1] == best else 0.5

    monkeypatch.setattr(Task, "quality", judge)
    pipeline = Pipeline(
        Settings(tiny_task.name, "coral-dev-board", 0, 0.1, 0.2), tmp_path_factory.mktemp("cache")
    )
    result = pipeline.run(Recipe())
    chosen = seen[order.index(best)]
    assert all(
        torch.equal(tensor, chosen.state_dict()[name]) for name, tensor in result.network.state_dict().items()
    )
    assert result.steps[0].notes["chosen"] == best
    assert result.steps[0].notes["quality"] == {name: 0.9 if name == best else 0.5 for name in order}
    assert result.steps[0].epochs == result.metrics.train_epochs == (0.0 if best == "given" else 0.2)


def test_where_nothing_improves_the_given_network_stays(
    tiny_task: Task, given: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Task, "quality", lambda task, network, split: 0.5)
    network, _ = make_baseline(given, tiny_task, tiny_task.dataset(), epochs=0.1, seed=0)
    assert network is given


def test_the_seed_decides_it(tiny_task: Task, given: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(seed: int) -> torch.Tensor:
        network, _ = make_baseline(given, tiny_task, tiny_task.dataset(), 0.1, seed)
        return network.state_dict()["classifier.dense2.weight.raw"]

    qualities = iter([0.1, 0.9, 0.5] * 3)
    monkeypatch.setattr(Task, "quality", lambda task, network, split: next(qualities))
    first = made(0)
    assert torch.equal(first, made(0))
    assert not torch.equal(first, made(1))


@pytest.mark.parametrize("best", ["plain", "self_distilled"])
def test_runs_at_a_time_give_the_same_bits(
    tiny_task: Task, given: nn.Module, best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlapped: list[bool] = []
    side_by_side = baseline.side_by_side

    def watched(*runs: object) -> None:
        overlapped.append(True)
        side_by_side(*runs)

    monkeypatch.setattr(baseline, "side_by_side", watched)
    names = ["given", "plain", "self_distilled"]
    qualities = iter([0.9 if name == best else 0.1 for name in names] * 2)
    monkeypatch.setattr(Task, "quality", lambda task, network, split: next(qualities))
    told: list[list[tuple[float, float]]] = [[], []]

    def made(at_once: int) -> dict[str, torch.Tensor]:
        def hear(done: float, epochs: float) -> None:
            told[at_once - 1].append((done, epochs))

        return make_baseline(given, tiny_task, tiny_task.dataset(), 0.3, 0, at_once, hear)[0].state_dict()

    one, two = made(1), made(2)
    assert overlapped == [True]
    for heard, epochs in zip(told, (0.6, 0.3), strict=True):
        assert max(heard) == pytest.approx((epochs, epochs))
    assert told[0] == sorted(told[0]), "one run after the other"
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def test_what_shares_a_generator_or_code_trains_in_turns(tiny_task: Task, given: nn.Module) -> None:
    images = tiny_task.dataset().train.images
    state = torch.get_rng_state()
    assert baseline._are_independent(given, tiny_task, images)
    assert not baseline._are_independent(nn.Sequential(nn.Dropout(), given), tiny_task, images)
    assert not baseline._are_independent(given, replace(tiny_task, code="0" * 64), images)
    assert torch.equal(state, torch.get_rng_state())


def test_a_baseline_takes_twice_its_budget_or_once(tiny_task: Task, given: nn.Module) -> None:
    def turns_of(network: nn.Module) -> list[int]:
        return [turns(network, tiny_task, tiny_task.dataset(), at_once) for at_once in (1, 2, 16)]

    assert turns_of(given) == [2, 1, 1]
    assert turns_of(nn.Sequential(nn.Dropout(), given)) == [2, 2, 2]
