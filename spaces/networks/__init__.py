"""The zoo: networks built from their configuration, without weights to download."""

from collections.abc import Callable

import torch
from torch import nn

from ..errors import AtollError
from ..nearest import known_names
from .baseline_cnn import baseline_cnn
from .compact_cnn import compact_cnn
from .densenet121 import densenet121
from .east_resnet50 import east_resnet50
from .efficientnet_edgetpu import efficientnet_edgetpu_s
from .inception_v1 import inception_v1
from .inception_v4 import inception_v4
from .initialization import initialize
from .mobilenet_v1 import mobilenet_v1
from .mobilenet_v2 import mobilenet_v2
from .mobilenet_v3 import mobilenet_v3_small_full_se
from .resnet import resnet50_v1, resnet50_v2, resnet152_v2
from .squeezenet import squeezenet
from .text_recognition_unidentified import text_recognition_unidentified
from .vgg import vgg16, vgg19

#: Every network of the zoo: (name, function of the number of classes and the input shape).
NETWORKS: tuple[tuple[str, Callable[[int, tuple[int, int, int]], nn.Module]], ...] = (
    ("baseline_cnn", baseline_cnn),
    ("compact_cnn", compact_cnn),
    ("mobilenet_v1", mobilenet_v1),
    ("mobilenet_v2", mobilenet_v2),
    ("mobilenet_v3_small_full_se", mobilenet_v3_small_full_se),
    ("efficientnet_edgetpu_s", efficientnet_edgetpu_s),
    ("squeezenet", squeezenet),
    ("vgg16", vgg16),
    ("vgg19", vgg19),
    ("resnet50_v1", resnet50_v1),
    ("resnet50_v2", resnet50_v2),
    ("resnet152_v2", resnet152_v2),
    ("inception_v1", inception_v1),
    ("inception_v4", inception_v4),
    ("densenet121", densenet121),
    ("east_resnet50", east_resnet50),
    ("text_recognition_unidentified", text_recognition_unidentified),
)
#: networks that stand in for ones which their publication does not define, chosen by size and count alone
SURROGATES = ("east_resnet50", "text_recognition_unidentified")


def build_network(
    name: str,
    num_classes: int,
    input_shape: tuple[int, int, int],
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Builds a network of the zoo; the global random state is neither read nor moved.

    Args:
        name: one of `NETWORKS`.
        num_classes: number of logits, at least 2.
        input_shape: (channels, height, width).
        generator: source of the initial weights; a fresh one with seed 0 if None. Without effect under
            `with torch.device("meta")`, where there are no weights to draw.

    Returns:
        The network in training mode. It maps images (N, channels, height, width), scaled to [-1, 1], to
        logits (N, num_classes).

    Raises:
        AtollError: the name is unknown or the configuration makes no network.
    """
    for known, build in NETWORKS:
        if known == name:
            with torch.random.fork_rng(devices=[]):  # the constructors of torch draw from the global state
                model = build(num_classes, input_shape)
            initialize(model, generator or torch.Generator().manual_seed(0))
            return model
    raise AtollError(f"unknown network {name!r}. {known_names(name, (known for known, _ in NETWORKS))}")
