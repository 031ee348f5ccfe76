"""The distillation losses against their closed forms, and against autograd of the formulae written out."""

from collections.abc import Callable
from itertools import combinations, permutations

import pytest
import torch
from atoll.spaces.kernels.distillation import (
    angle_loss,
    distance_loss,
    feature_loss,
    relation_loss,
    response_loss,
)
from torch import Tensor

GENERATOR = torch.Generator().manual_seed(0)
STUDENT = torch.randn(5, 4, generator=GENERATOR, dtype=torch.float64)
TEACHER = torch.randn(5, 4, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.tensor([0, 3, 1, 1, 2])


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_gradient_is_that_of_the_formula(temperature: float, alpha: float) -> None:
    """alpha (p - y) + (1 - alpha) T (p_s^T - p_t^T), averaged over the batch (THESIS eq. 5, Hinton's T^2)."""
    student = STUDENT.clone().requires_grad_()
    response_loss(student, TEACHER, LABELS, temperature, alpha).backward()
    hard = STUDENT.softmax(1) - torch.eye(4, dtype=torch.float64)[LABELS]
    soft = (STUDENT / temperature).softmax(1) - (TEACHER / temperature).softmax(1)
    expected = (alpha * hard + (1 - alpha) * temperature * soft) / len(LABELS)
    assert student.grad is not None
    assert torch.allclose(student.grad, expected, atol=1e-12)


def test_the_value_is_that_of_the_formula() -> None:
    """Written out with logarithms at T = 2 and alpha = 0.25."""
    log_p = STUDENT.log_softmax(1)
    hard = -sum(float(log_p[n, label]) for n, label in enumerate(LABELS)) / 5
    soft = -float(((TEACHER / 2).softmax(1) * (STUDENT / 2).log_softmax(1)).sum()) / 5
    value = response_loss(STUDENT, TEACHER, LABELS, temperature=2.0, alpha=0.25)
    assert float(value) == pytest.approx(0.25 * hard + 0.75 * 4 * soft, rel=1e-12)


def test_the_gradient_does_not_fade_with_the_temperature() -> None:
    """At high temperature it tends to (s - t) / K of centred logits (Hinton et al. 2015, eq. 4)."""
    student = STUDENT.clone().requires_grad_()
    response_loss(student, TEACHER, LABELS, 1e4, 0.0).backward()
    centred = (STUDENT - STUDENT.mean(1, keepdim=True)) - (TEACHER - TEACHER.mean(1, keepdim=True))
    assert student.grad is not None
    assert torch.allclose(student.grad, centred / 4 / 5, atol=1e-3)


def test_a_student_that_equals_its_teacher_stands_still() -> None:
    student = TEACHER.clone().requires_grad_()
    response_loss(student, TEACHER, LABELS, 4.0, 0.0).backward()
    assert student.grad is not None
    assert student.grad.abs().max() < 1e-12


@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 1, 2, 3)])
def test_one_logit_is_taught_by_its_distance(shape: tuple[int, ...]) -> None:
    """Its softmax is 1 whatever it says, so that softened responses would teach nothing, without a word."""
    generator = torch.Generator().manual_seed(1)
    student, teacher = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    student.requires_grad_()
    response_loss(student, teacher, LABELS, 4.0, 0.0, lambda *_: torch.tensor(0.0)).backward()
    assert student.grad is not None
    assert torch.allclose(student.grad, 2 * (student.detach() - teacher) / teacher.numel(), atol=1e-12)


# Features --------------------------------------------------------------------------------------------

MAPS = torch.randn(5, 6, 3, 4, generator=GENERATOR, dtype=torch.float64)
OTHER_MAPS = torch.randn(5, 2, 3, 4, generator=GENERATOR, dtype=torch.float64)


def gradient(loss: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    point = at.clone().requires_grad_()
    loss(point).backward()
    assert point.grad is not None
    return point.grad


def attention_written_out(student: Tensor, teacher: Tensor) -> Tensor:
    total = torch.zeros((), dtype=student.dtype)
    for ours, theirs in zip(student, teacher, strict=True):
        q, p = (ours**2).sum(0), (theirs**2).sum(0)
        total = total + ((q / (q**2).sum().sqrt() - p / (p**2).sum().sqrt()) ** 2).sum()
    return total / len(student)


def test_attention_is_the_formula_and_so_is_its_gradient() -> None:
    assert torch.allclose(feature_loss(MAPS, OTHER_MAPS), attention_written_out(MAPS, OTHER_MAPS))
    assert torch.allclose(
        gradient(lambda maps: feature_loss(maps, OTHER_MAPS), MAPS),
        gradient(lambda maps: attention_written_out(maps, OTHER_MAPS), MAPS),
        atol=1e-12,
    )


def test_attention_asks_where_and_not_how_much_or_by_which_channel() -> None:
    assert feature_loss(MAPS, 3 * MAPS[:, torch.randperm(6, generator=GENERATOR)]) < 1e-24
    assert feature_loss(MAPS, MAPS) == 0
    assert feature_loss(MAPS, MAPS.flip(2)) > 1e-3


def test_vectors_are_compared_by_direction() -> None:
    """||a - b||^2 = 2 - 2 cos for vectors of length 1."""
    cosine = torch.nn.functional.cosine_similarity(STUDENT, TEACHER, dim=1)
    assert torch.allclose(feature_loss(STUDENT, TEACHER), (2 - 2 * cosine).mean())
    assert feature_loss(STUDENT, 5 * STUDENT) < 1e-24


# Relations -------------------------------------------------------------------------------------------


def huber(difference: Tensor) -> Tensor:
    size = difference.abs()
    return torch.where(size <= 1, size**2 / 2, size - 0.5)


def distances_written_out(student: Tensor, teacher: Tensor) -> Tensor:
    pairs = list(combinations(range(len(student)), 2))
    ours = torch.stack([((student[i] - student[j]) ** 2).sum().sqrt() for i, j in pairs])
    theirs = torch.stack([((teacher[i] - teacher[j]) ** 2).sum().sqrt() for i, j in pairs])
    return huber(ours / ours.mean() - theirs / theirs.mean()).mean()


def angles_written_out(student: Tensor, teacher: Tensor) -> Tensor:
    def cosine(x: Tensor, i: int, j: int, k: int) -> Tensor:
        first, second = x[i] - x[j], x[k] - x[j]
        return first @ second / (first.norm() * second.norm())

    triples = list(permutations(range(len(student)), 3))
    return torch.stack([huber(cosine(student, *t) - cosine(teacher, *t)) for t in triples]).mean()


@pytest.mark.parametrize(
    ("loss", "written_out"),
    [(distance_loss, distances_written_out), (angle_loss, angles_written_out)],
    ids=["distance", "angle"],
)
def test_relations_are_the_formula_and_so_is_their_gradient(
    loss: Callable[..., Tensor], written_out: Callable[..., Tensor]
) -> None:
    assert torch.allclose(loss(STUDENT, TEACHER), written_out(STUDENT, TEACHER), atol=1e-12)
    assert torch.allclose(
        gradient(lambda x: loss(x, TEACHER), STUDENT),
        gradient(lambda x: written_out(x, TEACHER), STUDENT),
        atol=1e-10,
    )


def test_both_relations_add_up_one_to_two() -> None:
    expected = distance_loss(STUDENT, TEACHER) + 2 * angle_loss(STUDENT, TEACHER)
    assert torch.equal(relation_loss(STUDENT, TEACHER), expected)


def test_relations_do_not_see_rotation_shift_and_scale() -> None:
    rotation, _ = torch.linalg.qr(torch.randn(4, 4, generator=GENERATOR, dtype=torch.float64))
    assert relation_loss(7 * TEACHER @ rotation + 3, TEACHER) < 1e-20
    assert relation_loss(TEACHER * torch.tensor([1.0, 1, 1, 4]), TEACHER) > 1e-3
    assert torch.allclose(
        relation_loss(STUDENT, TEACHER), relation_loss(0.1 * STUDENT @ rotation - 1, TEACHER)
    )


def test_relations_of_spaces_of_other_sizes_compare() -> None:
    wider = torch.cat([TEACHER, torch.zeros(5, 3, dtype=torch.float64)], dim=1)
    assert relation_loss(TEACHER, wider) < 1e-20


@pytest.mark.parametrize(
    "samples",
    [STUDENT[:1], STUDENT[:2], STUDENT[[0, 0, 1, 2]], STUDENT[[0, 0, 0]]],
    ids=["one", "two", "two-alike", "all-alike"],
)
def test_degenerate_batches_have_a_bounded_gradient(samples: Tensor) -> None:
    """Quantized outputs of two images may be equal, and a batch may have a single image."""
    moved = gradient(lambda x: relation_loss(x, TEACHER[: len(samples)]), samples)
    assert moved.isfinite().all()
    assert moved.abs().max() < 1e4 if len(samples.unique(dim=0)) > 1 else True
