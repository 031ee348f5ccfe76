"""What a step did to the constraints that it met: read off the two networks, whatever the technique."""

from torch import nn

from ..layers.layer import Layer
from ..layers.structure import named_layers
from ..layers.weight_constraint import Fate, WeightConstraint

#: layer -> [kind, fate] of every constraint that was on it
Fates = dict[str, list[list[str]]]


def fates(before: nn.Module, after: nn.Module) -> Fates:
    """Returns the fate of the constraints on every layer that the step changed.

    Args:
        before: the network that the step was given.
        after: what the step made of a copy of it.

    Returns:
        by layer: `carried over` (the same constraint, perhaps sliced), `imposed anew` (one of the same kind,
        fitted again) or `dropped`; layers that are as they were are left out.
    """
    layers, was = dict(named_layers(after)), dict(named_layers(before))
    found: Fates = {}
    for name, met in every_fate(before, after).items():
        reshaped = name not in layers or layers[name].body_spec() != was[name].body_spec()
        told = [[kind, fate] for kind, fate in met if reshaped or fate != "carried over"]
        if told:
            found[name] = told
    return found


def every_fate(before: nn.Module, after: nn.Module) -> Fates:
    """Returns the fate of every constraint, on layers that are as they were too (`carried over`)."""
    layers = dict(named_layers(after))
    found: Fates = {}
    for name, layer in named_layers(before):
        kinds = _kinds(layer)
        if kinds:
            found[name] = [[kind, _fate(kind, layer, layers.get(name))] for kind in kinds]
    return found


def _fate(kind: str, before: Layer, after: Layer | None) -> Fate:
    left = [] if after is None else _constraints(after, kind)
    origins = {id(constraint.origin) for constraint in _constraints(before, kind)}
    if not left:
        return "dropped"
    return "carried over" if all(id(c.origin) in origins for c in left) else "imposed anew"


def _kinds(layer: Layer) -> list[str]:
    kinds = [kind for factor in layer.factors().values() for kind in factor.constraints]
    return list(dict.fromkeys(kinds))


def _constraints(layer: Layer, kind: str) -> list[WeightConstraint]:
    found = [factor.constraints[kind] for factor in layer.factors().values() if kind in factor.constraints]
    return [constraint for constraint in found if isinstance(constraint, WeightConstraint)]
