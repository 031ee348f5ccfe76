"""From a network's forward to its calls: symbolic tracing, and what overwrites its input."""

import operator
from collections.abc import Callable
from typing import Any

from torch import fx, nn

from ..errors import AtollError
from ..layers.program import Program
from ..operations.kinds import has_kind

#: augmented assignments, which change their left side for whoever has it -> the function without that
ASSIGNMENTS: dict[Any, Callable[..., Any]] = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}


class _Proxy(fx.Proxy):
    """Tells `a += b`, which changes `a` for whoever has it, from `a = a + b`; torch's own proxy does not."""

    def __iadd__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.iadd, other)

    def __isub__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.isub, other)

    def __imul__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.imul, other)

    def __itruediv__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.itruediv, other)

    def _in_place(self, function: Callable[..., Any], other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", function, (self, other), {})


class _Tracer(fx.Tracer):
    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def is_leaf_module(self, module: nn.Module, path: str) -> bool:
        return has_kind(module) or super().is_leaf_module(module, path)


class _Known:
    """Calls that the copies of a network share."""

    def __init__(self, calls: fx.Graph) -> None:
        self.calls = calls

    def __deepcopy__(self, _memo: dict[int, Any]) -> "_Known":
        return self


def calls_of(network: nn.Module) -> fx.Graph:
    """Returns the calls of an adopted network, in the mode that it is in."""
    if isinstance(network, Program):
        return network.calls
    known = getattr(network, "known_calls", None)
    return known.calls if isinstance(known, _Known) else trace_calls(network)


def remember_calls(network: nn.Module) -> nn.Module:
    """Has an adopted network and its copies know its calls, half of the time of a trace; returns it.

    For plans: techniques put other layers into the places of its own, which are called as these are, and its
    mode stays.
    """
    if not isinstance(network, Program):
        network.known_calls = _Known(trace_calls(network))  # type: ignore[assignment]
    return network


def trace_calls(network: nn.Module, inputs: int = 1) -> fx.Graph:
    """Returns the calls of a network's forward, in the mode (training or evaluation) that it is in.

    Args:
        network: any; traced by symbols.
        inputs: how many tensors it takes.

    Raises:
        AtollError: where the forward depends on its data, or takes another number of tensors.
    """
    try:
        traced = _Tracer().trace(network)
    except Exception as error:  # the network's own code, which may raise anything where it meets no tensor
        raise AtollError(
            f"the network cannot be traced: its forward depends on the data it sees ({error}); "
            "allowed is a forward without control flow over tensors"
        ) from error
    placeholders = sum(node.op == "placeholder" for node in traced.nodes)
    if placeholders != inputs:
        allowed = "one image tensor in" if inputs == 1 else f"the {inputs} that shapes are given of"
        raise AtollError(f"got a network with {placeholders} inputs, allowed is {allowed}")
    return traced


def writes_over_input(node: fx.Node, module: nn.Module | None) -> bool:
    """Whether an operation writes over its first input: who reads that later reads the result."""
    method = node.op == "call_method" and str(node.target).endswith("_")
    inplace = getattr(module, "inplace", node.kwargs.get("inplace", False))
    return method or node.target in ASSIGNMENTS or bool(inplace)
