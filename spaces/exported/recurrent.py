"""Recurrent layers in parts: a dense layer that projects the input, and the recurrence behind it."""

import operator
from typing import Any

import torch
from torch import fx, nn

from ..layers.recurrence import Recurrence
from .reading import Constant, Site


def recurrent(site: Site) -> tuple[Any, ...]:
    """Reads a recurrent layer that starts from zeros.

    Returns:
        the sequence and the last state of each layer and direction; an LSTM's memory is not given.
    """
    states = site["hx"] if isinstance(site["hx"], tuple) else (site["hx"],)
    if not all(isinstance(state, Constant) and not state.tensor.any() for state in states):
        raise site.refused("starts from a state that it is given: allowed is to leave that out")
    if _is_read(site.node, 2):
        raise site.refused("gives its memory (c_n): allowed are its sequence and its last state (h_n)")
    if len(site.shape) != 3:
        raise site.refused(f"reads {len(site.shape)} axes: allowed are three, images, steps and features")
    layers, directions = site["num_layers"], 2 if site["bidirectional"] else 1
    of_one = len(site["params"]) // (layers * directions)
    if of_one != (4 if site["has_biases"] else 2):
        raise site.refused("has a projection (proj_size): allowed are recurrent layers without")
    value, last = site["input"], []
    if not site["batch_first"]:
        value = site.call(torch.permute, value, (1, 0, 2))
    for layer in range(layers):
        found = []
        for backwards in (False, True)[:directions]:
            start = of_one * (directions * layer + backwards)
            params = site["params"][start : start + of_one]
            found.append(_one(site, value, f"_l{layer}{'_reverse' * backwards}", params, backwards))
        last += [*zip(found, (False, True), strict=False)]
        value = site.call(torch.cat, tuple(found), 2) if directions > 1 else found[0]
    output = value if site["batch_first"] else site.call(torch.permute, value, (1, 0, 2))
    state = _last(site, last) if _is_read(site.node, 1) else None
    return (output, state, *[None] * (len(states) - 1))


def _one(site: Site, value: Any, end: str, params: tuple[Constant, ...], backwards: bool) -> fx.Node:
    """Returns the sequence that one layer gives in one direction."""
    of_input, of_state = params[:2]
    bias = len(params) > 2
    rows, width = of_input.tensor.shape
    projection = {"in_features": width, "out_features": rows, "bias": bias}
    cell = {"cell": site.operation, "units": of_state.tensor.shape[1], "bias": bias, "backwards": backwards}
    projected = site.module(nn.Linear, projection, _named("input", end, params[::2]), value)
    return site.module(Recurrence, cell, _named("state", end, params[1::2]), projected)


def _named(part: str, end: str, params: tuple[Constant, ...]) -> dict[str, Constant]:
    """Returns weight and bias as those of a module beside the others of the layer, `lstm.input_l0`."""
    found = {}
    for name, one in zip(("weight", "bias"), params, strict=False):
        holder = one.name.rpartition(".")[0]
        found[name] = Constant(one.tensor, f"{holder}.{part}{end}.{name}".lstrip("."))
    return found


def _last(site: Site, sequences: list[tuple[fx.Node, bool]]) -> fx.Node:
    """Returns the last states [layers and directions, images, units]."""
    steps = site.shape[1 if site["batch_first"] else 0]
    states = [site.call(torch.narrow, one, 1, 0 if back else steps - 1, 1) for one, back in sequences]
    beside = site.call(torch.cat, tuple(states), 1) if len(states) > 1 else states[0]
    return site.call(torch.permute, beside, (1, 0, 2))


def _is_read(node: fx.Node, at: int) -> bool:
    return any(user.args[1] == at and user.users for user in node.users if user.target is operator.getitem)
