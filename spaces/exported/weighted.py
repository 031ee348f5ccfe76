"""Calls with weights, as modules of torch's own: which kind, with which options and tensors."""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from ..layers.recurrence import CELLS
from .options import pair
from .reading import Constant, Site
from .recurrent import recurrent


def tensors_of(**named: Any) -> dict[str, Constant]:
    """Returns the tensors among what a call is given."""
    return {name: one for name, one in named.items() if one is not None}


def convolution(kind: type[nn.Module], axes: int, transposed: bool) -> Callable[[Site], fx.Node]:
    """Returns what reads a convolution over so many axes."""

    def read(site: Site) -> fx.Node:
        weight, bias, groups = site["weight"], site["bias"], site["groups"]
        first, second, *size = weight.tensor.shape
        channels = (first, second * groups) if transposed else (second * groups, first)
        padding = site["padding"]
        options = {
            "in_channels": channels[0],
            "out_channels": channels[1],
            "kernel_size": tuple(size),
            "stride": pair(site["stride"], axes),
            "padding": padding if isinstance(padding, str) else pair(padding, axes),
            "dilation": pair(site["dilation"], axes),
            "groups": groups,
            "bias": bias is not None,
        }
        if transposed:
            options["output_padding"] = pair(site["output_padding"], axes)
        return site.module(kind, options, tensors_of(weight=weight, bias=bias), site["input"])

    return read


def linear(site: Site) -> fx.Node:
    """Reads a dense layer."""
    weight, bias = site["weight"], site["bias"]
    outputs, inputs = weight.tensor.shape
    options = {"in_features": inputs, "out_features": outputs, "bias": bias is not None}
    return site.module(nn.Linear, options, tensors_of(weight=weight, bias=bias), site["input"])


def product(site: Site, value: Any, matrix: Constant, bias: Constant | None) -> fx.Node:
    """Reads value times matrix [inputs, outputs] plus bias as a dense layer."""
    inputs, outputs = matrix.tensor.shape
    turned = site.reading.turned(matrix)
    options = {"in_features": inputs, "out_features": outputs, "bias": bias is not None}
    return site.module(nn.Linear, options, tensors_of(weight=turned, bias=bias), value)


def batch_norm(site: Site) -> tuple[fx.Node]:
    """Reads a normalisation by what was seen in training."""
    mean = site["running_mean"]
    if not isinstance(mean, Constant):
        raise site.refused("normalises by statistics that are computed: allowed are those seen in training")
    weight, bias = site["weight"], site["bias"]
    features = mean.tensor.numel()
    if (weight is None) != (bias is None):
        device = mean.tensor.device
        weight = weight or Constant(torch.ones(features, device=device))
        bias = bias or Constant(torch.zeros(features, device=device).requires_grad_())
    options = {
        "num_features": features,
        "eps": site["eps"],
        "momentum": _momentum(site, mean),
        "affine": weight is not None,
    }
    counted = site.reading.held(f"{mean.name.rpartition('.')[0]}.num_batches_tracked")
    held = tensors_of(
        weight=weight,
        bias=bias,
        running_mean=mean,
        running_var=site["running_var"],
        num_batches_tracked=counted or Constant(torch.tensor(0, device=mean.tensor.device)),
    )
    kind = nn.BatchNorm2d if len(site.shape) == 4 else nn.BatchNorm1d
    if len(site.shape) > 4:
        raise site.refused(f"normalises values with {len(site.shape)} axes: allowed are up to 4")
    return (site.module(kind, options, held, site["input"]),)


def _momentum(site: Site, mean: Constant) -> float | None:
    """Returns the momentum of training, which evaluation does not know where it is an average."""
    try:
        module = site.reading.network.get_submodule(mean.name.rpartition(".")[0])
    except AttributeError:
        return float(site["momentum"])
    found = getattr(module, "momentum", site["momentum"])
    return found if found is None else float(found)


def layer_norm(site: Site) -> fx.Node:
    """Reads a normalisation over the last axes."""
    weight, bias = site["weight"], site["bias"]
    options = {
        "normalized_shape": tuple(site["normalized_shape"]),
        "eps": site["eps"],
        "elementwise_affine": weight is not None,
        "bias": bias is not None,
    }
    return site.module(nn.LayerNorm, options, tensors_of(weight=weight, bias=bias), site["input"])


def group_norm(site: Site) -> fx.Node:
    """Reads a normalisation over groups of channels."""
    weight, bias = site["weight"], site["bias"]
    options = {
        "num_groups": site["num_groups"],
        "num_channels": site.shape[1],
        "eps": site["eps"],
        "affine": weight is not None,
    }
    return site.module(nn.GroupNorm, options, tensors_of(weight=weight, bias=bias), site["input"])


def instance_norm(site: Site) -> fx.Node:
    """Reads a normalisation over the positions of each channel of each image."""
    if site["running_mean"] is not None:
        raise site.refused("has track_running_stats: allowed are instance norms without")
    weight, bias = site["weight"], site["bias"]
    options = {"num_features": site.shape[1], "eps": site["eps"], "affine": weight is not None}
    kind = nn.InstanceNorm2d if len(site.shape) == 4 else nn.InstanceNorm1d
    return site.module(kind, options, tensors_of(weight=weight, bias=bias), site["input"])


def prelu(site: Site) -> fx.Node:
    """Reads a rectifier with slopes that are trained."""
    weight = site["weight"]
    options = {"num_parameters": weight.tensor.numel()}
    if weight.tensor.dim() != 1:
        raise site.refused("has slopes that are computed: allowed is nn.PReLU")
    return site.module(nn.PReLU, options, {"weight": weight}, site["self"])


#: ATen operation with weights of its own -> what reads it
WEIGHTED: dict[str, Callable[[Site], Any]] = {
    "conv1d": convolution(nn.Conv1d, 1, transposed=False),
    "conv2d": convolution(nn.Conv2d, 2, transposed=False),
    "conv_transpose1d": convolution(nn.ConvTranspose1d, 1, transposed=True),
    "conv_transpose2d": convolution(nn.ConvTranspose2d, 2, transposed=True),
    "_native_batch_norm_legit_no_training": batch_norm,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "prelu": prelu,
    **dict.fromkeys(CELLS, recurrent),
}
