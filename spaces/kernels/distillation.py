"""Distillation losses."""

import torch.nn.functional as F
from torch import Tensor


def response_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, alpha: float
) -> Tensor:
    """Returns alpha H(y, p_s) + (1 - alpha) T^2 H(p_t^T, p_s^T) averaged over the batch (THESIS eq. 5).

    Args:
        student, teacher: logits [B, K].
        labels: [B].
        temperature: T > 0; the second term carries Hinton's factor T^2, so that its gradient does not fade.
        alpha: weight of the labels, 0 to 1; beta = 1 - alpha.
    """
    hard = F.cross_entropy(student, labels)
    soft = F.cross_entropy(student / temperature, F.softmax(teacher / temperature, dim=1))
    return alpha * hard + (1 - alpha) * temperature**2 * soft
