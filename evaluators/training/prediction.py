"""What a network says: logits of inputs, and of every view that training may show."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ...spaces.graph.heads import Outputs, as_outputs, heads, mapped
from ...spaces.layers.structure import scaling_of
from .accelerator import placed, training_device, whole_float32
from .augmentation import Views, channels_last

#: Inputs a batch where nothing is learnt from them: enough to fill the kernels, little memory.
PREDICTION_BATCH = 256
#: Answers to all views are kept where they take so much at most, bytes: a few dozen classes of a million
#: inputs, no maps of a thousand. A worker has 1.5 GB.
LARGEST_ANSWERS = 2**28


def predict_logits(model: nn.Module, images: Tensor, batch_size: int = PREDICTION_BATCH) -> Outputs:
    """Runs a network in eval mode; every part of it is given back its own mode afterwards.

    Args:
        model: takes inputs scaled as it says (`scaling_of`).
        images: (N, ...), as they are stored.
        batch_size: inputs at a time.

    Returns:
        Logits (N, K) on the CPU; of several heads a tuple of them.
    """
    picked = (images[start : start + batch_size] for start in range(0, max(1, len(images)), batch_size))
    return _answers(model, picked)


def predict_views(model: nn.Module, images: Tensor, views: Views) -> Outputs:
    """Runs a teacher on every view that training may show, so that `fit` need not ask it again.

    Args:
        model: takes inputs scaled as it says (`scaling_of`).
        images: (N, ...), as they are stored: the very ones that `fit` will be given.
        views: of them.

    Returns:
        Logits (views, N, K); of several heads a tuple of them.
    """

    def seen(view: int) -> Iterator[Tensor]:
        for picked in torch.arange(len(images)).split(PREDICTION_BATCH):
            yield views.show(images[picked], torch.full_like(picked, view), picked)

    said = [_answers(model, seen(view)) for view in range(views.count)]
    return mapped(lambda *answers: torch.stack(answers), *said)


def keeps_answers(model: nn.Module, images: Tensor, views: Views) -> bool:
    """Whether the answers to all views are few enough to be kept."""
    said: tuple[Tensor, ...] = heads(predict_logits(model, images[:1]))
    outputs = sum(head.numel() for head in said)
    return 4 * outputs * views.count * len(images) <= LARGEST_ANSWERS


def _answers(model: nn.Module, batches: Iterator[Tensor]) -> Outputs:
    scaling, device = scaling_of(model), training_device()
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        # placed first: parameters that are moved in inference mode could train no more
        with placed([model], device), whole_float32(device), torch.inference_mode():
            found = [
                mapped(Tensor.cpu, as_outputs(model(scaling.to_network(channels_last(part.to(device))))))
                for part in batches
            ]
    finally:
        for module, mode in modes:  # not `model.train`: a partly frozen network has some of both
            module.training = mode
    return mapped(lambda *parts: torch.cat(parts).clone(), *found)
