"""Gradual pruning: how much of the final ratio is reached at each stage."""

#: stages of `iterative` and `agp`; each but the last is followed by training. Zhu & Gupta 2017 change masks
#: every 100 to 1000 optimiser steps: with the few epochs of a step, more stages would leave less than that
#: between them (own choice).
STAGES = 4

#: the schedules that a technique may offer
SCHEDULES = ("one_shot", "iterative", "agp")


def cumulative_shares(schedule: str, stages: int = STAGES) -> tuple[float, ...]:
    """Returns the share of the final pruning ratio that is reached after each stage; the last is 1.

    * `iterative`: equal increments, t / n (Han et al. 2015).
    * `agp`: 1 - (1 - t / n)^3, fast at first, when much is redundant (Zhu & Gupta 2017, eq. 1, from ratio 0).
    * any other word: everything at once.

    Args:
        schedule: how the ratio grows.
        stages: n, at least 1.

    >>> cumulative_shares("iterative", 4), cumulative_shares("agp", 2), cumulative_shares("one_shot")
    ((0.25, 0.5, 0.75, 1.0), (0.875, 1.0), (1.0,))
    """
    if schedule == "iterative":
        return tuple(t / stages for t in range(1, stages + 1))
    if schedule == "agp":
        return tuple(1 - (1 - t / stages) ** 3 for t in range(1, stages + 1))
    return (1.0,)
