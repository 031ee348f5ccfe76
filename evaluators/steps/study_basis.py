"""What all trials of a study stand on in one process: task, device, seed and budget."""

from functools import cached_property
from typing import Any

import torch
from torch import nn

from ...hw_models.devices.device import Device
from ...spaces.layers.statistics import LEAST
from ...spaces.layers.structure import input_shape_of, to_meta
from ...spaces.recipes.recipe import Recipe
from ..datasets.dataset import Dataset
from ..digests import digest_json, digest_tensors, library_versions
from ..measuring.measure import check_priced
from ..tasks import load_task
from ..tasks.given_network import adopted_network
from ..training.accelerator import accelerator_name
from .settings import Settings
from .step_cache import FORMAT

#: raised when the pipeline itself changes what a step gives
PIPELINE_VERSION = 1
#: how numbers are counted as alike, in the keys of tasks of numbers: until 2 all of a sample's had to be
NUMBERS_VERSION = 2
#: how images lie in memory that are not augmented, in the keys of their tasks: until 2 channel by channel,
#: with which convolutions are slower and give other last bits
LAYOUT_VERSION = 2
#: how one logit learns from a teacher's, in the keys of tasks of classes with such an output: until 2 by its
#: softmax, which is 1 whatever it says. All of theirs: the baseline, which every result is held against, may
#: have learnt so
ONE_LOGIT_VERSION = 2
#: what few training images are measured for, in the keys of tasks with no more: until 2 normalisations too
FEW_IMAGES_VERSION = 2
#: how networks on integers are evaluated, in the keys of theirs: until 2 without what their kernels round
INTEGERS_VERSION = 2


class StudyBasis:
    """What decides every result of a study, and the keys under which results are kept.

    Args:
        settings: of the study.

    Raises:
        AtollError: no task or device has the name in the settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        #: network, data, fine-tuning
        self.task = load_task(settings.task)
        #: predicts latency and memory; part of no key
        self.device = Device.load(settings.device)

    @cached_property
    def dataset(self) -> Dataset:
        """The task's data."""
        return self.task.dataset()

    @cached_property
    def given(self) -> nn.Module:
        """The network as it was given, adopted; not to be changed.

        Raises:
            AtollError: it has no price or no file, so that no trial of it can be measured.
        """
        network = self.new_given().eval()
        check_priced(network, self.device)
        return network

    def new_given(self) -> nn.Module:
        """Returns another copy of it."""
        return adopted_network(self.task)

    def step_key(self, prefix: Recipe) -> str:
        """Returns the key of what a recipe gives."""
        settings = self.settings
        own = {step.name: settings.epochs[step.name] for step in prefix if step.name in settings.epochs}
        return self.key(
            recipe=prefix.identity(),
            epochs_per_step=settings.epochs_per_step,
            baseline_epochs=settings.baseline_epochs,  # the teacher
            **({"loss": settings.loss} if settings.distilled else {}),
            **({"epochs": own} if own else {}),
            **({"integers": INTEGERS_VERSION} if any(step.stage == "numbers" for step in prefix) else {}),
        )

    def key(self, **what: Any) -> str:
        """Returns the key of something that is made of all this: what it is, as plain JSON."""
        return digest_json({**self._common, **what})

    @cached_property
    def _common(self) -> dict[str, Any]:
        """What belongs into every key."""
        return {
            "pipeline": PIPELINE_VERSION,
            "entries": FORMAT,
            "task": self.task.name.rpartition("@")[2],  # of a prepared one its digest, whatever it is called
            "network": digest_tensors(self.given.state_dict()),
            "data": self.dataset.version,
            **self.task.training.to_json(),
            "seed": self.settings.seed,
            "threads": self.settings.threads,
            "libraries": library_versions(),
            **({} if self.task.judged_by.of_classes else {"numbers": NUMBERS_VERSION}),
            **({"one_logit": ONE_LOGIT_VERSION} if self._teaches_one_logit else {}),
            **({"few_images": FEW_IMAGES_VERSION} if len(self.dataset.train) < LEAST else {}),
            **({"layout": LAYOUT_VERSION} if self._shows_images_as_they_are else {}),
            **({} if accelerator_name() is None else {"accelerator": accelerator_name()}),
        }

    @cached_property
    def _teaches_one_logit(self) -> bool:
        """Whether labels are classes and an output that is judged is one logit, or a map of one."""
        if self.dataset.train.labels.is_floating_point():
            return False
        images = torch.empty(1, *input_shape_of(self.given), device="meta")
        with torch.no_grad():
            judged = self.task.judged(to_meta(self.given).eval()(images))
        return any(output.dim() < 2 or output.shape[1] == 1 for output in judged)

    @property
    def _shows_images_as_they_are(self) -> bool:
        return self.task.training.augment == () and len(self.task.input_shape) == 3
