"""The distillation loss against its closed forms."""

import pytest
import torch
from atoll.spaces.kernels.distillation import response_loss

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
