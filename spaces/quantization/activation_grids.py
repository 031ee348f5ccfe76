"""Where activation grids go: every tensor between integer kernels gets exactly one."""

from collections.abc import Callable, Collection, Sequence
from functools import partial

from torch import nn

from ..graph.reading import trace
from ..kernels.calibration import Method
from ..layers.activation_grid import ActivationGrid
from ..layers.layer import Layer
from ..layers.norm import Norm
from ..layers.program import Program
from ..layers.structure import input_shape_of, named_layers
from .grid_flow import GridFlow
from .grid_groups import grid_groups

NewGrid = Callable[..., ActivationGrid]


def place_grids(
    network: nn.Module, layers: Sequence[Layer], bits: int, calibration: Method = "min_max"
) -> dict[str, str]:
    """Puts grids of `bits` on inputs and outputs of these layers and on what lies between, in place.

    * A layer's value has a grid, behind the normalisation that is folded into it and the ReLU that is fused.
    * Any other operation that an integer kernel can carry out has one where all that it reads is on grids and
      somebody behind it works with integers. Kernels with one range only (a sigmoid's) keep it; an average
      over windows stays on the grid of what it reads; values that are concatenated share one.
    * A layer whose input comes from no grid (the network's input, a float layer) gets one there; any other,
      of whichever step, has none of its own. The input of a program has a grid itself where all who read it
      work with integers.

    Returns:
        why an operation between integer ones stays float, by its path or name.
    """
    graph = trace(network, input_shape_of(network))
    device = next(network.parameters()).device
    new_grid = partial(ActivationGrid, bits, device=device, calibration=calibration)
    for layer in layers:
        layer.activation_bits, layer.dynamic = bits, False
        if layer.decomposed:
            layer.grid_stages(bits, calibration)
    chosen = {id(layer) for layer in layers}
    flow = GridFlow(graph, functions=isinstance(network, Program))
    if isinstance(network, Program):
        _put_on_values(network, flow, chosen, new_grid)
    else:
        _put_on_modules(flow, chosen, new_grid)
    _put_on_inputs(flow, chosen, new_grid)
    return flow.stays_float()


def integer_throughout(network: nn.Module) -> bool:
    """Whether integers were asked for everywhere, so that a float tensor in the artifact was not.

    All layers work on 8-bit activations, with weights that integer kernels take.
    """
    layers = [layer for _, layer in named_layers(network)]
    factors = [factor for layer in layers for factor in layer.factors().values()]
    return all(layer.activation_bits == 8 for layer in layers) and all(
        factor.grid_bits is not None and factor.grid_bits <= 8 and not factor.affine for factor in factors
    )


def _put_on_values(program: Program, flow: GridFlow, chosen: Collection[int], new_grid: NewGrid) -> None:
    """Puts grids on the values of a program, new ones where a chosen layer makes a value on them."""
    found, grids = {}, {}
    for group in grid_groups(flow):
        makers = [flow.maker[name].module for name in group.roundings]
        old = program.value_grids.grid_named(group.name)
        if old is None or any(id(maker) in chosen for maker in makers):
            old = new_grid(fixed=group.fixed)
        grids[group.name] = old
        found.update(group.roundings)
        for maker in makers:
            if isinstance(maker, Layer) and id(maker) in chosen:
                maker.output_grid = None
    program.value_grids.put(found, grids)


def _put_on_modules(flow: GridFlow, chosen: Collection[int], new_grid: NewGrid) -> None:
    """Puts grids on the chosen layers and on normalisations: folded into them, or behind them."""
    for name, maker in flow.maker.items():
        holder, last = maker.module, maker
        while last.name != name:
            (last,) = flow.graph.consumers(last.name)
            holder = last.module if isinstance(last.module, Norm) else holder
        assert isinstance(holder, Layer | Norm)
        made_by = maker if isinstance(maker.module, Layer) else flow.maker[flow.carrier[maker.inputs[0]]]
        if id(made_by.module) in chosen or (isinstance(holder, Norm) and holder.output_grid is None):
            holder.output_grid = new_grid(rectified=last.kind == "relu")


def _put_on_inputs(flow: GridFlow, chosen: Collection[int], new_grid: NewGrid) -> None:
    """Puts grids on the inputs of the chosen layers where they come from none, and on no other layer's."""
    calls = [call for call in flow.graph.operations if isinstance(call.module, Layer)]
    bare = {id(call.module) for call in calls if call.inputs[0] not in flow.carrier}
    for layer in {id(call.module): call.module for call in calls}.values():
        if isinstance(layer, Layer) and id(layer) not in bare:
            layer.input_grid = None
        elif isinstance(layer, Layer) and id(layer) in chosen:
            layer.input_grid = new_grid()
