"""Values from one value or two, element by element or as products, in their one spelling."""

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from .options import Read, trimmed
from .reading import Constant, Site
from .weighted import linear, product

# One value from one value ----------------------------------------------------------------------------


def same(function: Callable[..., Any], *options: tuple[str, Any]) -> Read:
    """Returns what reads a function of one value, with options and their defaults."""

    def read(site: Site) -> fx.Node:
        given = trimmed(*(site[name] for name, _ in options), defaults=tuple(one for _, one in options))
        return site.call(function, site[next(iter(site.given))], *given)

    return read


def passed_on(site: Site) -> Any:
    """Reads what changes nothing in evaluation."""
    return site[next(iter(site.given))]


def cast(site: Site) -> Any:
    """Reads a cast, to the type that a value has."""
    before, after = site.node.all_input_nodes[0].meta["val"], site.node.meta["val"]
    if before.dtype != after.dtype:
        raise site.refused(f"makes {after.dtype} of {before.dtype}: allowed is one type throughout, float32")
    return site[next(iter(site.given))]


def cut_off(low: str, high: str) -> Read:
    """Returns what reads a value cut off below and above."""

    def read(site: Site) -> fx.Node:
        value, bounds = site["self"], tuple(site.given.get(name) for name in (low, high))
        if bounds == (0, 6):
            return site.call(F.relu6, value)
        if bounds == (0, None):
            return site.call(F.relu, value)
        if None in bounds or site.operation != "hardtanh":
            return site.call(torch.clamp, value, *trimmed(*bounds, defaults=(None,)))
        return site.call(F.hardtanh, value, *bounds)

    return read


def gelu(site: Site) -> fx.Node:
    options = {} if site["approximate"] == "none" else {"approximate": site["approximate"]}
    return site.call(F.gelu, site["self"], **options)


def elu(site: Site) -> fx.Node:
    """Reads an ELU, or a CELU, which is one of a scaled value; torch writes SELU as one that is scaled."""
    value, alpha, scale = site["self"], site["alpha"], site.given.get("scale", 1)
    slope = site.given.get("input_scale", 1 / alpha)
    if (alpha, slope) == (1, 1):
        found = site.call(F.elu, value)
    else:  # what is above zero and what is below, which the runtime has for a factor of 1 alone
        above = site.call(F.relu, value)
        below = site.call(torch.neg, site.call(F.relu, site.call(torch.neg, value)))
        below = site.call(F.elu, below if slope == 1 else site.call(operator.mul, below, slope))
        found = site.call(operator.add, above, site.call(operator.mul, below, alpha))
    return found if scale == 1 else site.call(operator.mul, found, scale)


def softplus(site: Site) -> fx.Node:
    """Reads log(1 + exp(b x)) / b, as max(x, 0) + log(1 + exp(-|b x|)) / b: nothing in it can overflow.

    From a threshold on torch gives x itself, which this is there to float's precision.
    """
    return _soft(site, site["self"], site["beta"])


def mish(site: Site) -> fx.Node:
    """Reads x tanh(softplus(x)) (Misra 2020, eq. 1)."""
    return site.call(operator.mul, site["self"], site.call(torch.tanh, _soft(site, site["self"], 1)))


def _soft(site: Site, value: Any, beta: float) -> fx.Node:
    far = site.call(torch.neg, site.call(torch.abs, value))
    far = far if beta == 1 else site.call(operator.mul, far, beta)
    bend = site.call(torch.log, site.call(operator.add, site.call(torch.exp, far), 1.0))
    bend = bend if beta == 1 else site.call(operator.truediv, bend, beta)
    return site.call(operator.add, site.call(F.relu, value), bend)


def glu(site: Site) -> fx.Node:
    axis = site["dim"] % len(site.shape)
    half = site.shape[axis] // 2
    value, gate = (site.call(torch.narrow, site["self"], axis, at, half) for at in (0, half))
    return site.call(operator.mul, value, site.call(torch.sigmoid, gate))


# One value from two ----------------------------------------------------------------------------------


def combined(function: Callable[..., Any], turned: bool = False) -> Read:
    """Returns what reads a function of two values that are spread over each other, or of one and a number."""

    def read(site: Site) -> fx.Node:
        left, right = list(site.given.values())[:2]
        if site.given.get("rounding_mode") is not None:
            raise site.refused("divides and rounds: allowed is plain division")
        if site.given.get("alpha", 1) != 1:
            right = site.call(operator.mul, right, site["alpha"])
        return site.call(function, *(unspread(site, (right, left) if turned else (left, right))))

    return read


def unspread(site: Site, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns values of which constants are not repeated, where the result has its sizes without that."""
    if not any(
        isinstance(one, fx.Node) and site.shape_of(name) == site.result for name, one in site.given.items()
    ):
        return values
    return tuple(Constant(one.tensor, one.name) if isinstance(one, Constant) else one for one in values)


def matmul(site: Site) -> fx.Node:
    left, right = list(site.given.values())[:2]
    if isinstance(right, Constant) and right.tensor.dim() == 2 and isinstance(left, fx.Node):
        return product(site, left, right, None)
    return site.call(torch.matmul, left, right)


def addmm(site: Site) -> fx.Node:
    bias, left, right = site["self"], site["mat1"], site["mat2"]
    if site["alpha"] != 1 or site["beta"] != 1:
        raise site.refused("calls addmm with factors: allowed is to leave them out")
    if isinstance(right, Constant) and isinstance(bias, Constant) and bias.tensor.dim() == 1:
        return product(site, left, right, bias)
    return site.call(operator.add, site.call(torch.matmul, left, right), bias)


def dense(site: Site) -> fx.Node:
    """Reads a product with weights, or with another value."""
    weight, bias = site["weight"], site["bias"]
    if isinstance(weight, Constant) and (bias is None or isinstance(bias, Constant)):
        return linear(site)
    count = len(weight.tensor.shape) if isinstance(weight, Constant) else len(site.shape_of("weight"))
    turned = site.call(torch.permute, weight, (*range(count - 2), count - 1, count - 2))
    result = site.call(torch.matmul, site["input"], turned)
    return result if bias is None else site.call(operator.add, result, bias)


def attention(site: Site) -> fx.Node:
    """Reads products of queries and keys, as shares of values (Vaswani et al. 2017, eq. 1)."""
    if site["enable_gqa"] or site["dropout_p"]:
        raise site.refused("calls attention with dropout or grouped queries: allowed is to leave them out")
    count, (length, size) = len(site.shape), site.shape[-2:]
    scale = size**-0.5 if site["scale"] is None else site["scale"]
    keys = site.call(torch.permute, site["key"], (*range(count - 2), count - 1, count - 2))
    scores = site.call(operator.mul, site.call(torch.matmul, site["query"], keys), scale)
    mask = site["attn_mask"]
    if site["is_causal"]:
        device = site.reading.device
        allowed = torch.ones(length, site.shape_of("key")[-2], dtype=torch.bool, device=device).tril()
        mask = Constant(torch.zeros(allowed.shape, device=device).masked_fill(~allowed, -torch.inf))
    if isinstance(mask, Constant) and mask.tensor.dtype is torch.bool:
        mask = Constant(
            torch.zeros_like(mask.tensor, dtype=torch.float32).masked_fill(~mask.tensor, -torch.inf)
        )
    if mask is not None:
        scores = site.call(operator.add, scores, mask)
    return site.call(torch.matmul, site.call(F.softmax, scores, count - 1), site["value"])


def where(site: Site) -> Any:
    condition = site["condition"] if "condition" in site.given else site["mask"]
    values = (site["self"], site["other"]) if "condition" in site.given else (site["value"], site["self"])
    return site.call(torch.where, condition, *values)


def filled(site: Site) -> Constant:
    """Reads a value as large as another one, with one number in it."""
    number = site.given.get("fill_value", 1.0 if "ones" in site.operation else 0.0)
    sizes = tuple(1 if size == site.batch else size for size in site.result)
    made = torch.full(sizes, number, dtype=site.node.meta["val"].dtype, device=site.reading.device)
    return Constant(made, spread=site.result if sizes != site.result else ())


#: both sides are spread over each other
COMBINED: dict[str, Read] = {
    "add": combined(operator.add),
    "sub": combined(operator.sub),
    "rsub": combined(operator.sub, turned=True),
    "mul": combined(operator.mul),
    "div": combined(operator.truediv),
    "maximum": combined(torch.maximum),
    "minimum": combined(torch.minimum),
    "gt": combined(torch.gt),
    "ge": combined(torch.ge),
    "lt": combined(torch.lt),
    "le": combined(torch.le),
    "eq": combined(torch.eq),
    "ne": combined(torch.ne),
}
