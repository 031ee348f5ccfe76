"""torch's multi-head attention with the images first throughout; its own code has them second."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attends(module: nn.MultiheadAttention) -> Callable[..., Any]:
    """Returns a forward that computes what the module's own does; that one where an option is unusual.

    Source: Vaswani et al. 2017, "Attention is all you need", section 3.2.2.

    Args:
        module: in evaluation.
    """
    plain = module.in_proj_weight is not None and module.bias_k is None and not module.add_zero_attn
    return partial(_attend, module, module.forward) if plain else module.forward


def _attend(
    module: nn.MultiheadAttention,
    own: Callable[..., Any],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Any:
    if key_padding_mask is not None or need_weights or query.dim() != 3 or not module.batch_first:
        given = (key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal)
        return own(query, key, value, *given)
    if query is key and key is value:
        projected = F.linear(query, module.in_proj_weight, module.in_proj_bias).chunk(3, -1)
    else:
        weights = module.in_proj_weight.chunk(3)
        biases = (None,) * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
        projected = tuple(map(F.linear, (query, key, value), weights, biases))
    heads = [one.unflatten(-1, (module.num_heads, -1)).transpose(1, 2) for one in projected]
    mask = attn_mask
    if mask is not None and mask.dim() == 3:  # one for every image and head
        mask = mask.unflatten(0, (-1, module.num_heads))
    if mask is not None and mask.dtype is torch.bool:  # torch says there what may not be read
        mask = ~mask
    found = F.scaled_dot_product_attention(heads[0], heads[1], heads[2], attn_mask=mask)
    return module.out_proj(found.transpose(1, 2).flatten(2)), None
