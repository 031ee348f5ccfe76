"""The contract of every quality, and what accuracy counts."""

import ast
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import atoll
import pytest
import torch
from atoll.evaluators.ranking.quality_terms import QualityTerms
from atoll.evaluators.tasks import TASKS
from atoll.evaluators.tasks.class_qualities import BalancedAccuracy, MacroF1, MeanIoU, TopK
from atoll.evaluators.tasks.number_qualities import R2, MeanAbsoluteError, RootMeanSquaredError
from atoll.evaluators.tasks.own_quality import OwnQuality
from atoll.evaluators.tasks.qualities import QUALITIES, quality_named
from atoll.evaluators.tasks.quality import ACCURACY, Quality, SameAnswer
from atoll.spaces.errors import AtollError
from torch import Tensor


@dataclass(frozen=True)
class Case:
    """A quality with outputs and targets of the shapes that it takes.

    Args:
        quality: under test.
        outputs: random ones of 12 samples, by seed.
        targets: what such outputs would be right on wholly.
        wrong: targets that fit no such outputs.
    """

    quality: Quality
    outputs: Callable[[int], Tensor]
    targets: Callable[[Tensor], Tensor]
    wrong: Tensor


def drawn(*shape: int) -> Callable[[int], Tensor]:
    return lambda seed: torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def chosen(outputs: Tensor) -> Tensor:
    return outputs.max(1).indices


def itself(outputs: Tensor) -> Tensor:
    return outputs


def closeness(outputs: Tensor, targets: Tensor) -> Tensor:
    """A user's function: it prints, changes what it was given, and returns a tensor."""
    print("judging")
    outputs -= targets
    return 1 / (1 + outputs.abs().max(dim=1).values.mean())


ONE, FEW = torch.zeros(1), torch.zeros(1).long()
# Every quality of the package stands here, once for every shape that it takes.
CASES = {
    "accuracy": Case(ACCURACY, drawn(12, 3), chosen, FEW),
    "accuracy of a map": Case(ACCURACY, drawn(12, 3, 4, 5), chosen, torch.zeros(12).long()),
    "same_answer": Case(SameAnswer(), drawn(12, 3), chosen, FEW),
    "balanced_accuracy": Case(BalancedAccuracy(), drawn(12, 3), chosen, FEW),
    "top5": Case(TopK(5), drawn(12, 40), chosen, FEW),
    "f1": Case(MacroF1(), drawn(12, 3), chosen, FEW),
    "mean_iou of a map": Case(MeanIoU(), drawn(12, 3, 4, 5), chosen, torch.zeros(12).long()),
    "mean_absolute_error": Case(MeanAbsoluteError(), drawn(12, 2), itself, ONE),
    "mean_absolute_error of a map": Case(MeanAbsoluteError(), drawn(12, 1, 4, 5), itself, ONE),
    "root_mean_squared_error": Case(RootMeanSquaredError(), drawn(12, 1), itself, ONE),
    "r2": Case(R2(), drawn(12, 2), itself, ONE),
    "a user's own": Case(OwnQuality(closeness, "closeness", of_classes=False), drawn(12, 2), itself, ONE),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_the_best_outputs_are_worth_the_most(case: Case) -> None:
    outputs = case.outputs(0)
    targets = case.targets(outputs)
    best = case.quality.measure(outputs, targets)
    others = [case.quality.measure(case.outputs(seed), targets) for seed in range(1, 20)]
    assert all(best > other if case.quality.higher_is_better else best < other for other in others)


def test_the_order_of_samples_changes_nothing(case: Case) -> None:
    outputs, others = case.outputs(0), case.outputs(1)
    targets, order = case.targets(outputs), torch.randperm(12, generator=torch.Generator().manual_seed(3))
    in_order = case.quality.measure(others, targets)
    # exactly where it counts; sums of floats depend on their order in the last digits
    assert case.quality.measure(others[order], targets[order]) == pytest.approx(in_order, rel=1e-12)
    assert case.quality.agreement(others[order], outputs[order]) == case.quality.agreement(others, outputs)


def test_arguments_are_left_as_they_are(case: Case) -> None:
    outputs, others = case.outputs(0), case.outputs(1)
    targets = case.targets(outputs)
    kept = [part.clone() for part in (outputs, others, targets)]
    first = case.quality.measure(others, targets), case.quality.agreement(outputs, others)
    assert first == (case.quality.measure(others, targets), case.quality.agreement(outputs, others))
    assert all(torch.equal(a, b) for a, b in zip(kept, (outputs, others, targets), strict=True))


def test_agreement_is_whole_with_itself_symmetric_and_a_share(case: Case) -> None:
    outputs = case.outputs(0)
    assert case.quality.agreement(outputs, outputs) == 1.0
    found = [case.quality.agreement(outputs, case.outputs(seed)) for seed in range(1, 20)]
    assert found == [case.quality.agreement(case.outputs(seed), outputs) for seed in range(1, 20)]
    assert all(0 <= share < 1 for share in found)


def test_what_does_not_fit_is_refused_and_never_broadcast(case: Case) -> None:
    outputs = case.outputs(0)
    with pytest.raises(AtollError, match=r"got labels of .* (allowed|needed) is"):
        case.quality.measure(outputs, case.wrong)
    with pytest.raises(AtollError, match=r"got outputs of .*, allowed is"):
        case.quality.agreement(outputs, outputs[:1])


def test_no_samples_are_refused(case: Case) -> None:
    outputs = case.outputs(0)
    with pytest.raises(AtollError, match=r"got outputs of 0x|outputs of 0, allowed"):
        case.quality.measure(outputs[:0], case.targets(outputs)[:0])
    with pytest.raises(AtollError, match="got outputs of 0x"):
        case.quality.agreement(outputs[:0], outputs[:0])


def test_its_terms_are_told(case: Case) -> None:
    terms = QualityTerms(case.quality.name, case.quality.unit, case.quality.higher_is_better)
    outputs = case.outputs(0)
    best, worse = (case.quality.measure(one, case.targets(outputs)) for one in (outputs, case.outputs(1)))
    assert terms.name
    assert terms.better(best, worse)
    assert not terms.is_share or 0 <= worse <= best <= 1


def test_it_survives_pickling(case: Case) -> None:
    assert pickle.loads(pickle.dumps(case.quality)) == case.quality


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_quality_of_every_task_is_tried_here(task) -> None:
    assert task.judged_by in [case.quality for case in CASES.values()]
    assert task.quality_name == task.judged_by.name


def test_accuracy_counts_right_choices() -> None:
    outputs = torch.tensor([[2.0, 1.0], [0.0, 1.0], [5.0, 4.0], [0.0, 9.0]])
    assert ACCURACY.measure(outputs, torch.tensor([0, 1, 1, 1])) == 0.75
    others = torch.tensor([[9.0, 1.0], [1.0, 0.0], [0.1, 0.0], [0.0, 0.5]])
    assert ACCURACY.agreement(outputs, others) == 0.75


def test_accuracy_of_a_map_counts_positions() -> None:
    outputs = torch.zeros(2, 3, 2, 2)
    outputs[:, 1] = 1.0
    targets = torch.ones(2, 2, 2).long()
    targets[0, 0, 0] = 2
    assert ACCURACY.measure(outputs, targets) == 7 / 8


def test_a_share_meets_a_bound_that_equals_it() -> None:
    """In float32 it would not: 190 of 200 are 0.949999988."""
    outputs = torch.eye(2)[torch.tensor([0] * 190 + [1] * 10)]
    assert ACCURACY.measure(outputs, torch.zeros(200).long()) == 0.95


def test_labels_of_one_sample_more_are_named_with_both_sizes() -> None:
    with pytest.raises(AtollError, match="got labels of 4x1, allowed is one a choice, 4"):
        ACCURACY.measure(torch.zeros(4, 2), torch.zeros(4, 1).long())


def test_every_quality_of_the_package_is_tried_here() -> None:
    assert {quality for quality in QUALITIES} <= {case.quality for case in CASES.values()}
    assert len({quality.name for quality in QUALITIES}) == len(QUALITIES)
    assert all(quality_named(quality.name) == quality for quality in QUALITIES)


def test_nobody_else_chooses_a_class() -> None:
    """Whoever writes arg-max judges; a quality alone does."""
    root = Path(atoll.__file__).parent
    found = {
        str(file.relative_to(root))
        for floor in ("spaces", "hw_models", "evaluators", "search")
        for file in (root / floor).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "argmax"
    }
    # the seats of a split are no choice of a network
    assert found - {"evaluators/datasets/split_making.py"} == {"evaluators/tasks/quality.py"}
