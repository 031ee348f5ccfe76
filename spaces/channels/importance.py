"""How much each channel of a group matters, by the criteria of the papers."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..importance.saliency import IMAGES, channel_saliency
from ..kernels.importance import channel_l1, relative
from ..kernels.nni_criteria import channel_geometric_median, channel_l2
from ..layers.norm import Norm
from ..technique.context import Context
from .channel_group import ChannelGroup
from .groups import group_importance

#: rates the channels of a group: [size], larger matters more
Scorer = Callable[[ChannelGroup], Tensor]
#: criteria that look at a layer's weights [out, ...] alone
_OF_WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {
    "l1": channel_l1,
    "l2": channel_l2,
    "geometric_median": channel_geometric_median,
}
CRITERIA = ("l1", "l2", "random", "geometric_median", "bn_scale", "taylor")


def scorer(criterion: str, network: nn.Module, groups: Sequence[ChannelGroup], context: Context) -> Scorer:
    """Returns what rates the channels of groups; scores of several layers of a group are relative, and added.

    Saliency is measured here, once, on the whole network; the other criteria read the network when a group is
    rated, so that what was removed from earlier groups no longer counts.

    Args:
        criterion: one of `CRITERIA`.
        network: left in evaluation mode.
        groups: those that will be rated.
        context: images for `taylor`, the generator for `random`.
    """
    if criterion == "random":
        return lambda group: torch.rand(group.size, generator=context.generator)
    if criterion == "taylor":
        return _by_saliency(network, groups, context)
    if criterion == "bn_scale":
        return lambda group: norm_importance(network, group)
    return lambda group: group_importance(network, group, _OF_WEIGHTS[criterion])


def has_norm(network: nn.Module, group: ChannelGroup) -> bool:
    """Whether a group's channels are normalised anywhere."""
    return bool(_norms(network, group))


def norm_importance(network: nn.Module, group: ChannelGroup) -> Tensor:
    """Returns [size]: |gamma| of the normalisations over a group's channels (Liu et al. 2017, slimming).

    Where gamma is fixed (as in the papers' networks, whose BatchNorm only shifts) it says nothing; the
    standard deviation that the normalisation divides by, which is how much the channel varies, takes its
    place. A group without a normalisation is rated by L1.
    """
    norms = _norms(network, group)
    if not norms:
        return group_importance(network, group)
    return torch.stack([relative(_scale(norm)) for norm in norms]).sum(dim=0)


def _norms(network: nn.Module, group: ChannelGroup) -> list[Norm]:
    modules = [network.get_submodule(path) for path in group.norms]
    return [module for module in modules if isinstance(module, Norm)]


def _scale(norm: Norm) -> Tensor:
    if norm.weight.requires_grad:
        return norm.weight.detach().abs()
    return norm.weight.detach().abs() * torch.sqrt(norm.running_var + norm.eps)


def _by_saliency(network: nn.Module, groups: Sequence[ChannelGroup], context: Context) -> Scorer:
    makers = [path for group in groups for path in group.makers]
    found = channel_saliency(network, makers, *context.examples(IMAGES), context.criterion)
    return lambda group: torch.stack([relative(found[path]) for path in group.makers]).sum(dim=0)
