"""The layer table of a network as it was measured: structures as published, not as our techniques build them.

Differences that matter for the fit: a published tensor train keeps its rank at every bond, even where the
matrix has none left, runs core by core, in 8 bits too, and permutes what every core but the last makes.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from ..tables.file_table import layer_table_of_file
from ..tables.layer_table import LayerTable
from .measurements import Measurement

if TYPE_CHECKING:
    from torch import nn

    from ...spaces.technique.technique import Technique


def measured_table(measurement: Measurement, as_written: bool = False) -> LayerTable:
    """Returns the table of a measured network.

    Args:
        measurement: what was measured.
        as_written: leave normalisations where the network has them, as other converters do; counts of
            operations depend on it, the Coral models do not.

    Raises:
        AtollError: with the reason why the row cannot be priced.
    """
    from ...spaces.networks import NETWORKS, SURROGATES
    from ...spaces.recipes.recipe import Recipe

    if measurement.artifact is not None and (measurement.artifact.is_file() or not measurement.network):
        return replace(_artifact_table(measurement, measurement.artifact), name=measurement.id)
    zoo = [name for name, _ in NETWORKS]
    if measurement.network not in zoo:
        near = known_names(measurement.network, zoo)
        raise AtollError(f"the structure of {measurement.network!r} is not known; {near}")
    table = _zoo_table(measurement, list(Recipe.parse(measurement.recipe or "baseline")), as_written)
    surrogate = measurement.surrogate or measurement.network in SURROGATES
    return replace(table, name=measurement.id, surrogate=surrogate)


def _artifact_table(measurement: Measurement, path: Path) -> LayerTable:
    """Returns the table of the measured file, which says more than its recipe: what training decided too."""
    table = layer_table_of_file(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if measurement.artifact_sha256 not in ("", digest):
        raise AtollError(f"{path} is another file than the one that was measured")
    return table


def _zoo_table(measurement: Measurement, steps: "list[Technique]", as_written: bool) -> LayerTable:
    import torch

    from ...spaces.graph.adopt import adopt
    from ...spaces.networks import build_network

    with torch.device("meta"):
        network = build_network(measurement.network, measurement.num_classes, measurement.input_shape)
    network = adopt(network, measurement.input_shape)
    published, integer = False, False
    for step in steps:
        if step.settings().get("in_dims", "auto") != "auto":
            _put_published_trains(network, step)
            published = True
        elif published and _is_integer(step):
            integer = True  # a plan would merge the cores first
        else:
            network = step.plan(network)
    from ..tables.network_table import layer_table  # needs torch, which a stored table does not

    table = layer_table(network, measurement.input_shape, as_written=as_written)
    if published:
        table = _permuted_as_published(table)
    return _integer_everywhere(table) if integer else table


def _is_integer(step: "Technique") -> bool:
    """Whether a step leaves 8-bit weights and activations."""
    settings = step.settings()
    return settings.get("bits") == 8 and settings.get("activations") == "int8"


def _integer_everywhere(table: LayerTable) -> LayerTable:
    """Returns the table of the same network with every weight and activation in 8 bits."""
    rows = tuple(
        replace(
            row,
            live_bytes=-(-row.live_bytes // 4),
            cost=replace(row.cost, compute="int8", weight_bits=8, activation_bits=8),
        )
        for row in table.rows
    )
    return replace(table, rows=rows)


def _permuted_as_published(table: LayerTable) -> LayerTable:
    """Returns the table of the same network whose trains permute as the published ones do.

    The core comes first in their products: [rank, output mode, rest] is permuted to [output mode, rest,
    rank], every element where the rank is above 1: behind every core but the last. Our files permute nothing
    around an output mode of 1.

    PUB-II prints 64.34 MFLOP for all twelve trains, nothing for their cores. The converter counts
    FULLY_CONNECTED and not BATCH_MATMUL: of p2_tt5 it counts 0.860 M operations where the cores are matrix
    products, and 0 where they are the einsum('aijb,rjb->ira') of T3F (Novikov et al. 2020), whose layer has
    one rank at every bond too. With the modes of p2_tt9 that file has three TRANSPOSE, of 4x1x8192, 4x8x128
    and 4x1x512 (own look, TensorFlow 2.21 and T3F 1.2, 2026).
    """
    cores = {row.path: row.name for row in table.rows if row.cost.kind == "contraction"}  # the last of each
    rows = []
    for row in table.rows:
        if row.path in cores:
            inner = row.cost.kind == "contraction" and row.name != cores[row.path]
            moved = row.cost.output_elements if inner else 0
            row = replace(row, cost=replace(row.cost, moved_elements=moved))
        rows.append(row)
    return replace(table, rows=tuple(rows))


def _put_published_trains(network: "nn.Module", step: "Technique") -> None:
    """Replaces the dense layers that the given modes multiply up to by trains of one rank at every bond."""
    from math import prod

    import torch

    from ...spaces.layers.structure import named_layers, replace
    from ...spaces.layers.tt_dense import TTDense
    from ...spaces.technique.domains import mode_sizes

    settings = step.settings()
    ins, outs = mode_sizes(settings["in_dims"]), mode_sizes(settings["out_dims"])
    if ins is None or outs is None:
        raise AtollError(f"{step}: in_dims and out_dims must both be given")
    ranks = (1, *[settings["rank"]] * (len(ins) - 1), 1)
    fitting = [
        name
        for name, layer in named_layers(network)
        if layer.type_name == "dense" and (layer.inputs, layer.outputs) == (prod(ins), prod(outs))
    ]
    if not fitting:
        raise AtollError(f"{step}: no dense layer of {prod(ins)} inputs and {prod(outs)} outputs")
    for name in fitting:
        replace(network, name, TTDense(ins, outs, ranks, bias=False, device=torch.device("meta")))
