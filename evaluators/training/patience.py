"""Early stopping: a run ends where the validation split no longer gets better, with the best weights seen."""

from collections.abc import Callable
from operator import gt

from torch import Tensor, nn

Better = Callable[[float, float], bool]


class Patience:
    """Told of every epoch; says when to end.

    Args:
        model: that is trained.
        quality: judges it on the validation split.
        epochs: without a better validation before the run ends, at least 1.
        better: whether the first of two qualities is the better one.
    """

    def __init__(
        self, model: nn.Module, quality: Callable[[], float], epochs: int, better: Better = gt
    ) -> None:
        self._model, self._quality, self._epochs, self._better = model, quality, epochs, better
        self._best: tuple[float, int, dict[str, Tensor]] | None = None

    def __call__(self, epoch: int, loss: float) -> bool:
        """Returns whether the run ends after this epoch."""
        quality = self._quality()
        if self._best is None or self._better(quality, self._best[0]):
            state = {name: tensor.detach().clone() for name, tensor in self._model.state_dict().items()}
            self._best = (quality, epoch, state)
        return epoch - self._best[1] >= self._epochs

    def keep_best(self) -> None:
        """Gives the model the best weights seen."""
        if self._best is not None:
            self._model.load_state_dict(self._best[2])
