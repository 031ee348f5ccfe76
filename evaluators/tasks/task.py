"""A task: a network to compress, its data, and how it is trained and judged."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from ...spaces.errors import AtollError
from ...spaces.layers.scaling import PIXELS, Scaling
from ...spaces.networks import build_network
from ..datasets.dataset import Dataset, Split
from ..training.prediction import predict_logits
from ..training.settings import Training
from .quality import ACCURACY, Quality


@dataclass(frozen=True)
class Task:
    """One network, its data and its defaults for fine-tuning.

    Args:
        name: name of the task, and of its file of given weights.
        load_dataset: returns the data; cached by itself.
        network: name of the network in `spaces.networks`.
        input_shape: (channels, height, width) of an image.
        num_classes: number of logits.
        training: how its networks are fine-tuned.
        epochs_per_step: passes over the training split after every step of a recipe.
        scaling: what makes of stored images what the network takes.
        judged_by: what `quality` means for this task.
        check_data: raises an AtollError where the data cannot be made here; called before training; None
            where they always can.

    Raises:
        AtollError: less of the quality is better.
    """

    name: str
    load_dataset: Callable[[], Dataset]
    network: str
    input_shape: tuple[int, int, int]
    num_classes: int
    training: Training
    epochs_per_step: float
    scaling: Scaling = PIXELS
    judged_by: Quality = ACCURACY
    check_data: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        if not self.judged_by.higher_is_better:
            raise AtollError(
                f"task {self.name!r}: less of its quality {self.judged_by.name!r} is better, allowed is one "
                "of which more is: turn the sign of an error"
            )

    def dataset(self) -> Dataset:
        """Returns the data of the task.

        Raises:
            AtollError: the data cannot be loaded, or are not what the network takes and gives.
        """
        found = self.load_dataset()
        shape, classes = found.input_shape, len(found.class_names)
        if shape != self.input_shape or classes != self.num_classes:
            raise AtollError(
                f"task {self.name!r}: its data {found.name!r} have images of {shape} in {classes} classes, "
                f"allowed is what its network takes, {self.input_shape} and {self.num_classes}"
            )
        return found

    def new_network(self) -> nn.Module:
        """Builds the task's network with fresh weights (or none, under torch's meta device)."""
        return build_network(self.network, self.num_classes, self.input_shape)

    def quality(self, model: nn.Module, split: Split) -> float:
        """Judges a network on a split."""
        return self.judged_by.measure(predict_logits(model, split.images), split.labels)

    @property
    def quality_name(self) -> str:
        """What reports call the quality."""
        return self.judged_by.name
