"""Networks as programs: where values besides those of layers may need a grid, the calls are written down."""

import inspect
import operator
from typing import Any

import torch.nn.functional as F
from torch import Tensor, fx, nn

from ..errors import AtollError
from ..layers.program import Program
from ..operations.kinds import COMBINING, POINTWISE, meant
from .tracing import ASSIGNMENTS, trace_calls, writes_over_input

#: kinds whose value a layer's grid cannot hold: integer kernels for them want one of its own
_OWN_GRID = {
    *COMBINING, *POINTWISE, "avg_pool", "global_avg_pool", "mean", "upsample", "softmax", "concatenate",
    "prelu", "standardise", "matmul",
} - {"relu"}  # fmt: skip


def wired(network: nn.Module, inputs: int = 1) -> nn.Module:
    """Returns the network as a program where that is of use and possible, the network itself elsewhere.

    A program computes the same and has the same modules under the same names. Nothing is written over in it,
    and SiLU is a product with a sigmoid, as integer kernels compute it. A network stays as it is where all
    its values come from layers, normalisations and what hands integers on; where its forward depends on its
    data; where it does another thing in training than in evaluation, dropout excepted; and where its class
    has more of its own than a forward (a `train` that keeps a part in evaluation).

    Args:
        network: its layers are ours; its modules' `inplace` is cleared where it becomes a program.
        inputs: how many tensors it takes; with several, a program is always of use.
    """
    if isinstance(network, Program):
        _without_silu(network.calls, dict(network.named_modules()))
        return network
    if _more_than_forward(type(network)):
        return network
    try:
        calls, modules = _both_modes(network, inputs), dict(network.named_modules())
    except AtollError:
        return network
    if calls is None or (inputs == 1 and not _of_use(calls, modules)):
        return network
    _without_overwriting(calls, modules)
    _without_silu(calls, modules)
    _with_own_slopes(calls, modules)
    return Program(network, calls)


def _more_than_forward(kind: type[nn.Module]) -> bool:
    """Whether a class does something besides its forward otherwise than `nn.Module` does it."""
    methods = inspect.getmembers(nn.Module, inspect.isroutine)
    return any(
        getattr(kind, name) is not method
        for name, method in methods
        if not name.startswith("__") and name not in ("forward", "extra_repr")
    )


def _of_use(calls: fx.Graph, modules: dict[str, nn.Module]) -> bool:
    image = next(node for node in calls.nodes if node.op == "placeholder")
    return len(image.users) > 1 or any(_kind(node, modules) in _OWN_GRID for node in calls.nodes)


def _module(node: fx.Node, modules: dict[str, nn.Module]) -> nn.Module | None:
    return modules[str(node.target)] if node.op == "call_module" else None


def _kind(node: fx.Node, modules: dict[str, nn.Module]) -> str:
    return meant(node, _module(node, modules)) if node.op.startswith("call_") else ""


# One graph for both modes ----------------------------------------------------------------------------


def _both_modes(network: nn.Module, inputs: int) -> fx.Graph | None:
    """Returns the calls with the mode left open, None where they differ in more than flags for it."""
    were = {module: module.training for module in network.modules()}
    try:
        trained, evaluated = trace_calls(network.train(), inputs), trace_calls(network.eval(), inputs)
    finally:
        for module, training in were.items():
            module.training = training
    if len(trained.nodes) != len(evaluated.nodes):
        return None
    with evaluated.inserting_before(next(iter(evaluated.nodes))):
        mode = evaluated.get_attr("training")
    pairs = zip(trained.nodes, list(evaluated.nodes)[1:], strict=True)
    try:
        for one, other in pairs:
            if (one.op, one.name, one.target) != (other.op, other.name, other.target):
                return None
            other.args = _merged(one.args, other.args, mode)
            other.kwargs = _merged(one.kwargs, other.kwargs, mode)
    except _Different:
        return None
    if not mode.users:
        evaluated.erase_node(mode)
    return evaluated


class _Different(Exception):
    """The two modes do different things."""


def _merged(training: Any, evaluation: Any, mode: fx.Node) -> Any:
    """Returns an argument for both modes: that of either, or the mode itself."""
    if isinstance(training, fx.Node) and isinstance(evaluation, fx.Node):
        if training.name == evaluation.name:
            return evaluation
    elif isinstance(training, tuple | list) and type(training) is type(evaluation):
        if len(training) == len(evaluation):
            pairs = zip(training, evaluation, strict=True)
            return type(evaluation)(_merged(one, other, mode) for one, other in pairs)
    elif isinstance(training, dict) and isinstance(evaluation, dict):
        if training.keys() == evaluation.keys():
            return {key: _merged(training[key], evaluation[key], mode) for key in training}
    elif training is True and evaluation is False:
        return mode
    elif type(training) is type(evaluation) and training == evaluation:
        return evaluation
    raise _Different


# What integer kernels want ---------------------------------------------------------------------------


def _without_overwriting(calls: fx.Graph, modules: dict[str, nn.Module]) -> None:
    """Lets operations that write over their first input make a new value, which later readers then read."""
    for node in calls.nodes:
        module = _module(node, modules)
        if not writes_over_input(node, module) or not node.all_input_nodes:
            continue
        source = node.all_input_nodes[0]
        node.target = ASSIGNMENTS.get(node.target, node.target)
        if node.op == "call_method" and hasattr(Tensor, str(node.target).rstrip("_")):
            node.target = str(node.target).rstrip("_")
        if "inplace" in node.kwargs:
            node.kwargs = {**node.kwargs, "inplace": False}
        if module is not None and hasattr(module, "inplace"):
            module.inplace = False  # type: ignore[assignment]
        later = _behind(node)
        source.replace_all_uses_with(node, delete_user_cb=lambda user, later=later: user in later)


def _behind(node: fx.Node) -> set[fx.Node]:
    found = set()
    while node.next.op != "root":
        node = node.next
        found.add(node)
    return found


def _without_silu(calls: fx.Graph, modules: dict[str, nn.Module]) -> None:
    """Writes x sigmoid(x) as the two operations that they are in the runtime."""
    for node in [node for node in calls.nodes if _kind(node, modules) == "silu"]:
        source = node.all_input_nodes[0]
        with calls.inserting_before(node):
            gate = calls.call_function(F.sigmoid, (source,))
            product = calls.call_function(operator.mul, (source, gate))
        node.replace_all_uses_with(product)
        calls.erase_node(node)


def _with_own_slopes(calls: fx.Graph, modules: dict[str, nn.Module]) -> None:
    """Lets the slopes of a PReLU be a value of their own, which integer kernels read from a grid too."""
    for node in [node for node in calls.nodes if isinstance(_module(node, modules), nn.PReLU)]:
        with calls.inserting_before(node):
            slopes = calls.get_attr(f"{node.target}.weight")
            result = calls.call_function(F.prelu, (node.all_input_nodes[0], slopes))
        node.replace_all_uses_with(result)
        calls.erase_node(node)
