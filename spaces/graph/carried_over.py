"""What a network has that adoption cannot carry over is refused, whatever it is called.

Three rules, none of which lists what is forbidden. A module's own behaviour is its class's: no hooks, no
methods replaced on the instance. A module whose place is taken is what its constructor makes of the options
that are read: every other attribute and tensor is as in a fresh one. And the adopted network gives the same
outputs as the one that it came from.
"""

import inspect
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from ..errors import AtollError
from ..layers.parts import Parts
from ..operations.call_options import first_difference
from .heads import heads

#: largest difference between the outputs before and after, of the largest output (own measurement, 2026: none
#: over the networks of the zoo, 7e-7 where sixty SiLUs have become products with a sigmoid)
TOLERANCE = 1e-5


def check_own_behaviour(network: nn.Module) -> None:
    """Refuses hooks, methods that were replaced on an instance, `__call__`s, and tensors that only lie about.

    Tracing reads the classes' own forward, the modules that layers of ours replace are gone with whatever was
    put on them, and what is neither parameter nor buffer goes with no copy to another device.

    Raises:
        AtollError: the message names the module and what it has.
    """
    for name, found in vars(torch_module).items():
        if name.startswith("_global") and _is_hook_table(name, found):
            raise AtollError(
                f"got a hook on all modules ({_function(found)} in torch's {name}): allowed are networks "
                "without hooks"
            )
    for path, module in network.named_modules():
        for name, value in vars(module).items():
            if _is_hook_table(name, value):
                raise AtollError(
                    f"{_called(path, module)} has {name.strip('_').replace('_', ' ')} ({_function(value)}): "
                    "allowed are networks without hooks; what one does belongs into a forward, and weights "
                    "that one makes are kept by its remove function"
                )
            if isinstance(value, Tensor):
                raise AtollError(
                    f"{_called(path, module)} has a tensor {name} that is neither parameter nor buffer: "
                    "allowed are these two, see register_buffer"
                )
            if _is_replaced_method(module, name):
                raise AtollError(
                    f"{_called(path, module)} has a {name} of its own on the instance: allowed is that of "
                    "its class"
                )
        if type(module).__call__ is not nn.Module.__call__:
            raise AtollError(
                f"{_called(path, module)} has a __call__ of its own: allowed is nn.Module's, with everything "
                "in forward"
            )


def _is_hook_table(name: str, value: Any) -> bool:
    """Whether an attribute holds hooks; those of state dictionaries run when a file is read, not later."""
    return "hook" in name and "state_dict" not in name and isinstance(value, dict) and bool(value)


def _is_replaced_method(module: nn.Module, name: str) -> bool:
    """Whether an attribute hides a method: any of torch's own modules, one that others call elsewhere."""
    known = hasattr(nn.Module, name) or type(module).__module__.startswith("torch.")
    return known and inspect.isroutine(getattr(type(module), name, None))


def _function(hooks: dict[int, Any]) -> str:
    hook = next(iter(hooks.values()))
    return str(getattr(hook, "__qualname__", type(hook).__name__))


def check_replaceable(
    path: str, module: nn.Module, options: tuple[str, ...], may_be_frozen: tuple[str, ...] = ()
) -> None:
    """Refuses a module that is not what its constructor makes of the options that are read.

    Args:
        path: its dotted name.
        module: of one of torch's own types.
        options: arguments of its constructor that the layer in its place reads; `bias` means its presence.
        may_be_frozen: parameters that stay as they are in the layer's place too.

    Raises:
        AtollError: another option is not at its default, or a tensor is missing, added, frozen or of another
            type or shape; the message names it and what is allowed.
    """
    where = _called(path, module)
    try:
        given = {name: getattr(module, name) for name in options}
        if "bias" in given:
            given["bias"] = module.bias is not None
        with torch.device("meta"):
            fresh = type(module)(**given).float()
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise AtollError(f"{where} is not as its constructor makes one: {error}") from error
    different = first_difference(module, fresh)
    if different:
        raise AtollError(f"{where} with {different}")
    if module._modules:
        raise AtollError(f"{where} holds {', '.join(module._modules)}: allowed are no modules inside")
    for found, wanted_ones in ((module._parameters, fresh._parameters), (module._buffers, fresh._buffers)):
        if found.keys() != wanted_ones.keys():
            names = ", ".join(found) or "none"
            raise AtollError(f"{where} has the tensors {names}: allowed are {', '.join(wanted_ones)}")
        for name, tensor in found.items():
            _check_tensor(f"{where}: {name}", tensor, wanted_ones[name], name in may_be_frozen)


def _check_tensor(where: str, tensor: Tensor | None, wanted: Tensor | None, may_be_frozen: bool) -> None:
    if tensor is None or wanted is None:
        if tensor is not wanted:
            raise AtollError(f"{where} is {'missing' if tensor is None else 'there'}, against its options")
        return
    if (tensor.dtype, tensor.shape) != (wanted.dtype, wanted.shape):
        got, allowed = (f"{t.dtype} {tuple(t.shape)}" for t in (tensor, wanted))
        raise AtollError(f"{where} is {got}: allowed is {allowed}")
    if wanted.requires_grad and not (tensor.requires_grad or may_be_frozen):
        raise AtollError(f"{where} is frozen: allowed are tensors that are trained, see requires_grad_")
    if tensor._backward_hooks:
        raise AtollError(f"{where} has a hook on its gradient: allowed are tensors without hooks")


def _called(path: str, module: nn.Module) -> str:
    """Returns what a message calls a module."""
    return f"{path or 'the network'} ({type(module).__name__})"


def check_same_outputs(network: nn.Module, adopted: nn.Module, shapes: Parts) -> None:
    """Runs both in evaluation on two made-up images; on the meta device there is nothing to compare.

    Raises:
        AtollError: they differ, or the network draws at random in evaluation.
    """
    tensors = [*network.parameters(), *network.buffers()]
    if any(tensor.is_meta for tensor in tensors):
        return
    device = tensors[0].device if tensors else torch.device("cpu")
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(2, *shape, generator=generator).to(device) * 2 - 1 for shape in shapes]
    with torch.no_grad():  # copies: a forward may change what it belongs to
        both: list[tuple[Tensor, ...]] = [heads(deepcopy(one).eval()(*images)) for one in (network, adopted)]
    for one, other in zip(*both, strict=True):
        bound = TOLERANCE * float(one.nan_to_num(0.0, 0.0, 0.0).abs().max()) if one.numel() else 0.0
        if not torch.allclose(one.float(), other.float(), rtol=0.0, atol=bound, equal_nan=True):
            off = float((one - other).abs().max())
            raise AtollError(
                f"{type(network).__name__} gives other outputs as soon as its layers are replaced (by up to "
                f"{off:.3g}): allowed are networks whose evaluation depends on the images, their parameters "
                "and buffers alone, and draws nothing at random"
            )
