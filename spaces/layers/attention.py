"""Multi-head attention from its parts, each of which techniques reach and the runtime has."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import AtollError


class Attention(nn.Module):
    """What `nn.MultiheadAttention` computes, the batch first (Vaswani et al. 2017, section 3.2.2).

    Args:
        whole: what it takes the place of, without an added token or zeros.
    """

    def __init__(self, whole: nn.MultiheadAttention) -> None:
        super().__init__()
        self.heads, self.dropout, self.batch_first = whole.num_heads, whole.dropout, whole.batch_first
        self.scale = whole.head_dim**-0.5
        if whole.in_proj_weight is None:
            weights = [whole.q_proj_weight, whole.k_proj_weight, whole.v_proj_weight]
        else:
            weights = list(whole.in_proj_weight.chunk(3))
        biases = [None] * 3 if whole.in_proj_bias is None else list(whole.in_proj_bias.chunk(3))
        parts = [_linear(weight, bias) for weight, bias in zip(weights, biases, strict=True)]
        self.queries, self.keys, self.values = parts
        self.out_proj = _linear(whole.out_proj.weight, whole.out_proj.bias)
        self.train(whole.training)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, None]:
        """Returns what is attended to; the weights of attention are not given.

        Raises:
            AtollError: there is a mask.
        """
        if key_padding_mask is not None or attn_mask is not None or is_causal:
            raise AtollError("got an attention with a mask: allowed is one without")
        if not self.batch_first:
            query, key, value = (part.transpose(0, 1) for part in (query, key, value))
        q, k, v = (
            layer(part).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, part in ((self.queries, query), (self.keys, key), (self.values, value))
        )
        weights = torch.softmax(torch.matmul(q * self.scale, k.transpose(2, 3)), -1)
        weights = F.dropout(weights, self.dropout, self.training)
        found = self.out_proj(torch.matmul(weights, v).transpose(1, 2).flatten(2))
        return (found if self.batch_first else found.transpose(0, 1)), None


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    layer.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer


class EncoderLayer(nn.Module):
    """What `nn.TransformerEncoderLayer` computes: attention, then a perceptron, each beside a way around.

    Args:
        whole: what it takes the place of; it keeps its parts but attention.
    """

    def __init__(self, whole: nn.TransformerEncoderLayer) -> None:
        super().__init__()
        self.self_attn = Attention(whole.self_attn)
        self.linear1, self.dropout, self.linear2 = whole.linear1, whole.dropout, whole.linear2
        self.norm1, self.norm2 = whole.norm1, whole.norm2
        self.dropout1, self.dropout2 = whole.dropout1, whole.dropout2
        self.norm_first, self.activation = whole.norm_first, whole.activation
        self.training = whole.training

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Returns rows that attended to each other.

        Raises:
            AtollError: there is a mask.
        """
        masks = {"key_padding_mask": src_key_padding_mask, "attn_mask": src_mask, "is_causal": is_causal}

        def attended(x: Tensor) -> Tensor:
            return self.dropout1(self.self_attn(x, x, x, **masks)[0])

        def fed_forward(x: Tensor) -> Tensor:
            return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))

        if self.norm_first:
            src = src + attended(self.norm1(src))
            return src + fed_forward(self.norm2(src))
        src = self.norm1(src + attended(src))
        return self.norm2(src + fed_forward(src))


#: torch's module -> that which has its parts, the outer ones first
_IN_PARTS = ((nn.TransformerEncoderLayer, EncoderLayer), (nn.MultiheadAttention, Attention))


def attention_in_parts(network: nn.Module) -> nn.Module:
    """Returns a copy with attention in parts where that is the same; the network itself without any."""
    kinds = tuple(whole for whole, _ in _IN_PARTS)
    if not any(isinstance(module, kinds) for module in network.modules()):
        return network
    copy = deepcopy(network)
    for whole, parts in _IN_PARTS:
        for name in [name for name, module in copy.named_modules() if name and type(module) is whole]:
            module = copy.get_submodule(name)
            if all(_has_parts(inner) for inner in module.modules()):
                parent, _, last = name.rpartition(".")
                setattr(copy.get_submodule(parent), last, parts(module))  # type: ignore[arg-type]
    return copy


def _has_parts(module: nn.Module) -> bool:
    """Whether a module is no attention, or one without an added token or zeros."""
    return not isinstance(module, nn.MultiheadAttention) or (
        module.bias_k is None and not module.add_zero_attn
    )
