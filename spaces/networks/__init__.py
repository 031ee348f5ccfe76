"""The zoo: networks built from their configuration, without weights to download."""

from collections.abc import Callable

import torch
from torch import nn

from ..errors import AtollError
from ..nearest import known_names
from .baseline_cnn import baseline_cnn
from .compact_cnn import compact_cnn
from .convnext_tiny import convnext_tiny
from .dense_autoencoder import dense_autoencoder
from .densenet121 import densenet121
from .ds_cnn import ds_cnn
from .east_resnet50 import east_resnet50
from .efficientnet import efficientnet_b0, efficientnet_v2_s
from .efficientnet_edgetpu import efficientnet_edgetpu_s
from .fcn_1d import fcn_1d
from .ghostnet import ghostnet
from .inception_v1 import inception_v1
from .inception_v4 import inception_v4
from .initialization import initialize
from .mobilenet_v1 import mobilenet_v1, mobilenet_v1_025
from .mobilenet_v2 import mobilenet_v2
from .mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small, mobilenet_v3_small_full_se
from .repvgg import repvgg_a0, repvgg_a0_branches
from .resnet import resnet50_v1, resnet50_v2, resnet152_v2
from .resnet8 import resnet8
from .sensor_lstm import sensor_lstm
from .shufflenet_v2 import shufflenet_v2
from .squeezenet import squeezenet
from .text_recognition_unidentified import text_recognition_unidentified
from .torchvision_mobilenet_v2 import torchvision_mobilenet_v2
from .torchvision_resnet import resnet18, resnet34, resnet50
from .torchvision_vgg import vgg16_bn
from .unet import unet
from .vgg import vgg16, vgg19
from .vit_tiny import vit_tiny

#: Every network of the zoo: (name, function of the number of classes and the input shape).
NETWORKS: tuple[tuple[str, Callable[[int, tuple[int, ...]], nn.Module]], ...] = (
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
    ("resnet8", resnet8),
    ("mobilenet_v1_025", mobilenet_v1_025),
    ("ds_cnn", ds_cnn),
    ("dense_autoencoder", dense_autoencoder),
    ("resnet18", resnet18),
    ("resnet34", resnet34),
    ("resnet50", resnet50),
    ("vgg16_bn", vgg16_bn),
    ("torchvision_mobilenet_v2", torchvision_mobilenet_v2),
    ("mobilenet_v3_small", mobilenet_v3_small),
    ("mobilenet_v3_large", mobilenet_v3_large),
    ("shufflenet_v2", shufflenet_v2),
    ("efficientnet_b0", efficientnet_b0),
    ("efficientnet_v2_s", efficientnet_v2_s),
    ("convnext_tiny", convnext_tiny),
    ("repvgg_a0", repvgg_a0),
    ("repvgg_a0_branches", repvgg_a0_branches),
    ("ghostnet", ghostnet),
    ("unet", unet),
    ("fcn_1d", fcn_1d),
    ("vit_tiny", vit_tiny),
    ("sensor_lstm", sensor_lstm),
)
#: networks that stand in for ones which their publication does not define, chosen by size and count alone
SURROGATES = ("east_resnet50", "text_recognition_unidentified")


def build_network(
    name: str,
    num_classes: int,
    input_shape: tuple[int, ...],
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Builds a network of the zoo; the global random state is neither read nor moved.

    Args:
        name: one of `NETWORKS`.
        num_classes: number of logits, at least 2.
        input_shape: (channels, height, width); (channels, length) or (features,) where a network has such.
        generator: source of the initial weights; a fresh one with seed 0 if None. Without effect under
            `with torch.device("meta")`, where there are no weights to draw.

    Returns:
        The network in training mode. It maps images (N, channels, height, width), scaled to [-1, 1], to
        logits (N, num_classes), or to such for every pixel.

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
