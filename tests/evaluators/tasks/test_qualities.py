"""What the qualities of the package count, by scikit-learn; tolerances; a user's function and its faults."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from atoll.evaluators.tasks.number_qualities import numbers_agree
from atoll.evaluators.tasks.own_quality import OwnQuality
from atoll.evaluators.tasks.qualities import quality_named
from atoll.evaluators.training.losses import loss_named
from atoll.spaces.errors import AtollError
from sklearn import metrics
from torch import Tensor, nn

CLASSES = 7


def outputs_and_classes(seed: int, shape: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
    """Logits that are right half of the time, of classes of unequal size, one of which no sample has."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES - 1, (40, *shape), generator=generator)
    labels = torch.where(torch.rand(labels.shape, generator=generator) < 0.5, 0, labels)
    outputs = torch.randn(40, CLASSES, *shape, generator=generator)
    return outputs.scatter_add(1, labels.unsqueeze(1), torch.full_like(outputs[:, :1], 1.5)), labels


@pytest.mark.parametrize("shape", [(), (3, 4)], ids=["samples", "maps"])
@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("accuracy", metrics.accuracy_score),
        ("balanced_accuracy", metrics.balanced_accuracy_score),
        ("f1", lambda y, x: metrics.f1_score(y, x, average="macro")),
        ("mean_iou", lambda y, x: metrics.jaccard_score(y, x, average="macro")),
    ],
)
def test_choices_are_judged_as_scikit_learn_does(
    name: str, oracle: Callable[..., float], shape: tuple[int, ...]
) -> None:
    for seed in range(5):
        outputs, labels = outputs_and_classes(seed, shape)
        chosen = outputs.max(1).indices
        wanted = oracle(labels.flatten().numpy(), chosen.flatten().numpy())
        assert quality_named(name).measure(outputs, labels) == pytest.approx(wanted, rel=1e-12)


def test_top5_is_judged_as_scikit_learn_does() -> None:
    outputs, labels = outputs_and_classes(0)
    wanted = metrics.top_k_accuracy_score(labels.numpy(), outputs.numpy(), k=5, labels=range(CLASSES))
    assert quality_named("top5").measure(outputs, labels) == pytest.approx(wanted)


@pytest.mark.parametrize("columns", [1, 3])
def test_numbers_are_judged_as_scikit_learn_does(columns: int) -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(40, columns, generator=generator) * 3 + 1
    outputs = targets + torch.randn(40, columns, generator=generator)
    known, found = targets.double().numpy(), outputs.double().numpy()
    wanted = {
        "mean_absolute_error": metrics.mean_absolute_error(known, found),
        "root_mean_squared_error": metrics.mean_squared_error(known, found) ** 0.5,
        "r2": metrics.r2_score(known, found),
    }
    for name, value in wanted.items():
        assert quality_named(name).measure(outputs, targets) == pytest.approx(value, rel=1e-12), name
        if columns == 1:  # one number a sample, with and without a dimension of its own
            assert quality_named(name).measure(outputs, targets[:, 0]) == pytest.approx(value, rel=1e-12)


def test_r2_of_a_target_that_never_changes_is_scikit_learns() -> None:
    targets = torch.tensor([[1.0, 2.0], [1.0, 3.0]])
    for outputs in (targets, targets + torch.tensor([1.0, 0.0])):
        wanted = metrics.r2_score(targets.numpy(), outputs.numpy())
        assert quality_named("r2").measure(outputs, targets) == pytest.approx(wanted)


def test_numbers_agree_within_a_hundredth_of_the_span_of_both() -> None:
    # 0 to 200: within 2
    outputs = torch.tensor([0.0, 100.0, 200.0, 50.0])
    assert numbers_agree(outputs, outputs + torch.tensor([0.0, 1.9, 0.0, -2.1])) == 0.75
    assert numbers_agree(outputs, outputs + torch.tensor([0.0, 1.9, 0.0, -2.1]), tolerance=2.5) == 1.0
    assert numbers_agree(outputs, outputs + 0.5, tolerance=0.25) == 0.0


@pytest.mark.parametrize("tolerance", [None, 0.3])
def test_numbers_agree_one_by_one_whatever_their_shape(tolerance: float | None) -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(5, 3, 2, 2, generator=generator)
    others = outputs + 0.2 * torch.randn(outputs.shape, generator=generator)
    first, second = outputs.flatten().tolist(), others.flatten().tolist()
    reach = 0.01 * (max(first + second) - min(first + second)) if tolerance is None else tolerance
    near = sum(abs(a - b) <= reach for a, b in zip(first, second, strict=True))
    assert 0 < near < 60
    for shape in ((5, 3, 2, 2), (5, 12), (60,)):
        assert numbers_agree(outputs.reshape(shape), others.reshape(shape), tolerance) == near / 60


def test_one_number_far_off_costs_its_own_share() -> None:
    outputs = torch.linspace(0, 1, 640).repeat(10, 1)
    others = outputs.clone()
    others[:, 7] += 0.5  # of every sample
    assert numbers_agree(outputs, others) == pytest.approx(639 / 640)


@pytest.mark.parametrize("name", ["mean_absolute_error", "root_mean_squared_error", "r2"])
def test_numbers_that_are_none_are_refused(name: str) -> None:
    quality, outputs = quality_named(name), torch.tensor([1.0, float("nan")])
    with pytest.raises(AtollError, match="a network's output is not finite"):
        quality.measure(outputs, torch.ones(2))
    with pytest.raises(AtollError, match="a network's output is not finite"):
        quality.agreement(torch.ones(2), outputs)
    with pytest.raises(AtollError, match=f"{name}: got labels of 2 that are classes, allowed is numbers"):
        quality.measure(torch.ones(2), torch.ones(2).long())


@pytest.mark.parametrize(
    ("name", "outputs", "targets", "said"),
    [
        (
            "top5",
            torch.zeros(2, 5),
            torch.zeros(2).long(),
            "got outputs of 2x5, allowed are more than 5 classes",
        ),
        ("f1", torch.zeros(2, 3), torch.tensor([0, 3]), "got labels 0 to 3, allowed are 0 to 2, one a class"),
        (
            "accuracy",
            torch.zeros(2, 3),
            torch.zeros(2),
            "got labels of 2 that are numbers, allowed is one class a choice",
        ),
    ],
)
def test_targets_that_no_class_fits_are_refused(
    name: str, outputs: Tensor, targets: Tensor, said: str
) -> None:
    with pytest.raises(AtollError, match=said):
        quality_named(name).measure(outputs, targets)


# A user's own -----------------------------------------------------------------------------------------------


def raising(outputs: Tensor, targets: Tensor) -> float:
    raise KeyError("no column 'age'")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (raising, "quality 'mine': its function raised KeyError: \"no column 'age'\""),
        (lambda o, t: exit(3), "quality 'mine': its function raised SystemExit: 3"),
        (lambda o, t: float("nan"), "quality 'mine': its function gave nan, allowed is a finite number"),
        (lambda o, t: o, "quality 'mine': its function gave Tensor, allowed is one number"),
        (lambda o, t: None, "quality 'mine': its function gave NoneType, allowed is one number"),
        (
            lambda o, t: 12.5,
            r"quality 'mine': its function gave 12.5, allowed of a share \(unit %\) is 0 to 1",
        ),
    ],
)
def test_what_is_wrong_with_a_users_function_is_said_in_a_sentence(
    function: Callable[[Tensor, Tensor], Any], said: str
) -> None:
    with pytest.raises(AtollError, match=f"^{said}$"):
        OwnQuality(function, "mine", "%").measure(torch.zeros(3, 2), torch.zeros(3))


def test_what_a_users_function_prints_is_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    def chatty(outputs: Tensor, targets: Tensor) -> Tensor:
        print("judging")
        return outputs.mean()

    quality = quality_named(chatty, higher_is_better=False, unit="mm")
    assert quality.measure(torch.full((3, 2), 1.5), torch.zeros(3)) == 1.5
    assert (quality.name, quality.unit, quality.higher_is_better) == ("chatty", "mm", False)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "judging\n")


@pytest.mark.parametrize(
    ("what", "options", "said"),
    [
        ("acuracy", {}, "unknown quality 'acuracy'. did you mean 'accuracy'"),
        (raising, {}, "quality 'raising': nothing says which way is better, needed is higher_is_better"),
        ("f1", {"higher_is_better": False}, "quality 'f1': got higher_is_better: False, its own is True"),
        ("accuracy", {"unit": "mm"}, "quality 'accuracy': got the unit 'mm', its own is '%'"),
        ("r2", {"unit": "mm"}, "quality 'r2': got the unit 'mm', its own is ''"),
        (
            "accuracy",
            {"tolerance": 0.5},
            "quality 'accuracy': got a tolerance, allowed is one where outputs are",
        ),
        ("r2", {"tolerance": -0.5}, "tolerance: got -0.5, allowed is a finite number of 0 or more"),
        (raising, {"higher_is_better": True, "tolerance": float("nan")}, "tolerance: got nan, allowed is"),
    ],
)
def test_what_names_no_quality_is_refused(what: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(AtollError, match=said):
        quality_named(what, **options)


def test_an_error_is_told_in_the_unit_of_its_targets() -> None:
    quality = quality_named("mean_absolute_error", unit="mm", tolerance=0.5)
    assert (quality.unit, quality.higher_is_better) == ("mm", False)
    assert quality.agreement(torch.tensor([0.0, 9.0]), torch.tensor([0.4, 8.0])) == 0.5
    assert quality_named("accuracy", unit="%", higher_is_better=True) == quality_named("accuracy")


def test_single_numbers_meet_a_users_function_element_by_element() -> None:
    """[N] beside [N, 1] would be combined as [N, N], without a word."""

    def off(outputs: Tensor, targets: Tensor) -> float:
        return float((outputs - targets).abs().mean())

    outputs, targets = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1.5, 2.0, 3.0])
    quality = quality_named(off, higher_is_better=False, of_classes=False)
    assert quality.measure(outputs, targets) == pytest.approx(0.5)
    assert float(loss_named(nn.functional.l1_loss)(outputs.requires_grad_(), targets)) == pytest.approx(0.5)
