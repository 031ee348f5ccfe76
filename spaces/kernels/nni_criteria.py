"""Criteria of NNI's pruners, asked one weight matrix at a time."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from .importance import relative

#: who warns, harmlessly, while NNI is imported: torch's pytree registry and torchao, which comes along
_NOISY = ("torch.utils._pytree", "torchao")


def channel_l2(weight: Tensor) -> Tensor:
    """Returns [out], the L2 norm of every output channel by NNI's L2NormPruner, 1 on average.

    Args:
        weight: [out, ...].
    """
    return nni_scores("L2NormPruner", weight)


def channel_geometric_median(weight: Tensor) -> Tensor:
    """Returns [out], the sum of L2 distances to all other channels by NNI's FPGMPruner, 1 on average.

    A channel near the geometric median of all can be replaced by the others (He et al. 2019, FPGM).

    Args:
        weight: [out, ...].
    """
    return nni_scores("FPGMPruner", weight)


def nni_scores(pruner_name: str, weight: Tensor) -> Tensor:
    """Returns [out]: what a pruner of NNI ranks the output channels of a weight by, relative to their mean.

    Args:
        pruner_name: a class of `nni.compression.pruning` that ranks by weights alone.
        weight: [out, ...].
    """
    rows = weight.detach().flatten(1)
    stand_in = nn.Linear(rows.shape[1], rows.shape[0], bias=False)
    stand_in.weight = nn.Parameter(rows.cpu())
    pruner = _pruner(pruner_name)(nn.Sequential(stand_in), [{"op_names": ["0"], "sparse_ratio": 0.5}])
    return relative(pruner.scores().to(weight.device))


def _pruner(name: str) -> Any:
    """Returns a pruner class of NNI that also tells the scores which it makes its masks from.

    NNI is imported here: it takes seconds, and most recipes do without.
    """
    with _quiet():
        import nni
        from nni.compression import pruning
    nni.silence_stdout()  # results go there

    class Telling(getattr(pruning, name)):  # type: ignore[misc]
        def scores(self) -> Tensor:
            """Returns [out]."""
            return self._calculate_metrics(self._collect_data())["0"]["weight"].flatten()

    return Telling


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the warnings of NNI's import to itself."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
