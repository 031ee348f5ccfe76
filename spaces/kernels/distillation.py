"""Distillation losses: what a network is told to copy of another one's response, features and relations."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

#: how much angles weigh against distances (Park et al. 2019, section 4: 50 against 25)
ANGLE_WEIGHT = 2.0
#: directions between samples nearer than this share of the mean distance fade out: their gradient would grow
#: without bound, and quantized outputs of two images can be equal (own choice)
NEAREST = 1e-3
#: keeps the division finite in a batch whose outputs are all alike (own choice)
LEAST_DISTANCE = 1e-6


def response_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    temperature: float,
    alpha: float,
    criterion: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> Tensor:
    """Returns alpha H(y, p_s) + (1 - alpha) T^2 H(p_t^T, p_s^T) averaged over the batch (THESIS eq. 5).

    Where labels are numbers, or outputs one logit, there are no probabilities to soften: the second term is
    then the mean squared difference of the outputs (Ba & Caruana 2014, eq. 1).

    Args:
        student, teacher: logits [B, K, ...] of classes, or numbers [B, ...].
        labels: [B, ...], classes or numbers.
        temperature: T > 0; the second term carries Hinton's factor T^2, so that its gradient does not fade.
        alpha: weight of the labels, 0 to 1; beta = 1 - alpha.
        criterion: the loss against labels, in place of H(y, p_s).
    """
    hard = criterion(student, labels)
    return responses_loss(hard, [(student, teacher)], labels.is_floating_point(), temperature, alpha)


def responses_loss(
    hard: Tensor, pairs: Sequence[tuple[Tensor, Tensor]], numbers: bool, temperature: float, alpha: float
) -> Tensor:
    """Returns the `response_loss` of several outputs: the mean of their second terms beside one loss of all.

    Args:
        hard: the loss against labels.
        pairs: what student and teacher say, output by output.
        numbers: whether labels are numbers.
        temperature, alpha: as of `response_loss`.
    """
    soft = [_taught(*pair, numbers, temperature, 1 - alpha) for pair in pairs]
    return alpha * hard + torch.stack(soft).mean()


def _taught(student: Tensor, teacher: Tensor, numbers: bool, temperature: float, weight: float) -> Tensor:
    # one logit, of two classes, has no others to be softened against: its softmax is 1 whatever it says
    if numbers or student.dim() < 2 or student.shape[1] == 1:
        return weight * F.mse_loss(student, teacher)
    wanted = F.softmax(teacher / temperature, dim=1)
    return weight * temperature**2 * F.cross_entropy(student / temperature, wanted)


def feature_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Returns ||q_s / ||q_s|| - q_t / ||q_t|| ||^2 averaged over the batch, between 0 and 4.

    Of maps, q is where the network looks: q_hw = sum_c a_chw^2 (attention transfer, Zagoruyko & Komodakis
    2017, section 3.1, with the squared distance of the authors' code), so that the channels may differ in
    number. Of vectors, q is the vector itself (the hint of FitNets, Romero et al. 2015, section 2.2, between
    normalised vectors and without a regressor).

    Args:
        student, teacher: [B, C, H, W] with the same H and W each, or [B, ...] of the same shape.
    """
    return (_direction(student) - _direction(teacher)).square().sum(dim=1).mean()


def _direction(features: Tensor) -> Tensor:
    """Returns what is compared of an activation, flat and of length 1: [B, H W] or [B, F]."""
    maps = features.square().sum(dim=1) if features.dim() == 4 else features
    return F.normalize(maps.flatten(1), dim=1)


def relation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Returns the loss of relational distillation: distances plus twice the angles (Park et al. 2019).

    Each is averaged over all pairs or triples of different samples. Both are zero where the student's
    outputs are the teacher's but for a rotation, a shift and a scale.

    Args:
        student, teacher: representations of the same samples, [B, K] and [B, L].
    """
    return distance_loss(student, teacher) + ANGLE_WEIGHT * angle_loss(student, teacher)


def distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Returns the mean Huber loss between d_ij / mean(d) of both, d_ij = ||x_i - x_j|| (section 3.2.1)."""
    if len(student) < 2:
        return student.sum() * 0
    return F.smooth_l1_loss(_relative(F.pdist(student)), _relative(F.pdist(teacher)))


def _relative(distances: Tensor) -> Tensor:
    return distances / distances.mean().clamp_min(LEAST_DISTANCE)


def angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Returns the mean Huber loss between the cosines at x_j of all triples i, j, k (section 3.2.2)."""
    count = len(student)
    if count < 3:
        return student.sum() * 0
    # where two of the three are one sample both cosines are the same, 0 or 1: they add nothing
    total = F.smooth_l1_loss(_cosines(student), _cosines(teacher), reduction="sum")
    return total / (count * (count - 1) * (count - 2))


def _cosines(samples: Tensor) -> Tensor:
    """Returns [B, B, B]: the cosine of the angle that samples i and k make at sample j, at [j, i, k]."""
    sides = samples[None, :, :] - samples[:, None, :]
    squares = sides.square().sum(dim=2)
    floor = (NEAREST * squares.detach().sqrt().mean()).clamp_min(LEAST_DISTANCE)
    # under the floor the length is a constant: no root of zero, whose gradient is infinite
    directions = sides / squares.clamp_min(floor.square()).sqrt()[:, :, None]
    return directions @ directions.transpose(1, 2)
