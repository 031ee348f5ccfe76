"""A task: a network to compress, its data, and how it is trained and judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ...spaces.errors import AtollError
from ...spaces.graph.heads import heads
from ...spaces.layers.scaling import PIXELS, Scaling
from ...spaces.layers.shape import InputShape
from ...spaces.networks import build_network
from ...spaces.technique.context import Criterion
from ..datasets.dataset import Dataset, Split
from ..ranking.quality_terms import QualityTerms
from ..training.judged_outputs import JudgedOutputs
from ..training.losses import LOSS_OF_CLASSES, LOSS_OF_NUMBERS
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
        input_shape: of one input.
        num_classes: number of logits; of numbers, where the quality is of numbers.
        training: how its networks are fine-tuned.
        epochs_per_step: passes over the training split after every step of a recipe.
        scaling: what makes of stored images what the network takes.
        judged_by: what `quality` means for this task.
        loss: what training minimises: a name of `LOSSES`, or a function of what the network returns and the
            targets; where it is None the cross-entropy of classes, the mean squared error of numbers.
        check_data: raises an AtollError where the data cannot be made here; called before training; None
            where they always can.
        given: of a prepared task, returns the adopted network with its weights.
        graph: of a prepared task, the structure of that network as JSON.
        code: SHA-256 of the user's code that it needs, None where it needs none.
        code_files: that code's files.
        outputs: which outputs of the network are judged, where it has several; `judged_by` reads them.

    Raises:
        AtollError: training is to smooth or balance classes, and the loss is not of classes.
    """

    name: str
    load_dataset: Callable[[], Dataset]
    network: str
    input_shape: InputShape
    num_classes: int
    training: Training
    epochs_per_step: float
    scaling: Scaling = PIXELS
    judged_by: Quality = ACCURACY
    loss: str | Criterion | None = None
    check_data: Callable[[], object] | None = None
    given: Callable[[], nn.Module] | None = None
    graph: Mapping[str, Any] | None = None
    code: str | None = None
    code_files: tuple[str, ...] = ()
    outputs: JudgedOutputs | None = None

    def __post_init__(self) -> None:
        balance, smoothing = self.training.balance, self.training.label_smoothing
        if self.loss_or_default != "cross_entropy" and (balance == "weights" or smoothing):
            got = "balance: weights" if balance == "weights" else f"label_smoothing: {smoothing:g}"
            raise AtollError(f"task {self.name!r}: got {got}, allowed is that with loss cross_entropy alone")
        if not self.judged_by.of_classes and balance == "resample":
            raise AtollError(f"task {self.name!r}: got balance: resample, and its targets are no classes")

    @property
    def loss_or_default(self) -> str | Criterion:
        """What training minimises, by name or as a function."""
        return self.loss or (LOSS_OF_CLASSES if self.judged_by.of_classes else LOSS_OF_NUMBERS)

    @property
    def quality_terms(self) -> QualityTerms:
        """How the quality is read."""
        judge = self.judged_by
        return QualityTerms(judge.name, judge.unit, judge.higher_is_better)

    def dataset(self) -> Dataset:
        """Returns the data of the task.

        Raises:
            AtollError: the data cannot be loaded, or are not what the network takes and gives.
        """
        found = self.load_dataset()
        shape, classes = found.input_shape, len(found.class_names)
        has_classes = not found.train.labels.is_floating_point()
        if shape != self.input_shape or (has_classes and classes != self.num_classes):
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

    def judged(self, returned: Any) -> tuple[Tensor, ...]:
        """Returns the outputs that are judged of what a network returned."""
        found: tuple[Tensor, ...] = heads(returned)
        return found if self.outputs is None else self.outputs.judged(found)

    @property
    def quality_name(self) -> str:
        """What reports call the quality."""
        return self.judged_by.name
