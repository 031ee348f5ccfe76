"""The modules of a network as JSON: layers in their own words, those of torch by type and options."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import AtollError
from ..layers.layer import Layer
from ..layers.norm import Norm
from ..layers.program import ValueGrids
from ..layers.structure import from_spec
from ..operations.call_options import first_difference
from ..operations.kinds import MODULES

#: torch's modules, and ours that are no layers, that may be written
LEAVES: dict[str, type[nn.Module]] = {
    kind.__name__: kind for kind in MODULES if not issubclass(kind, Layer | Norm)
}
#: own choices, far above what networks have
LARGEST_MODULES, LARGEST_TENSORS, LARGEST_OPTION = 2**15, 2**12, 2**24
_PATH = re.compile(r"[A-Za-z0-9_]{1,100}(\.[A-Za-z0-9_]{1,100}){0,31}")
_TYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (torch.float32, torch.int64, torch.int32, torch.bool)
}
_META = torch.device("meta")


def modules_json(network: nn.Module) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Returns the modules by path, and the tensors that no layer holds, in JSON's own types.

    A module that stands at several places is written once and then named. Buffers that a state dictionary
    leaves out are tensors like others here (`whole_state`), since nobody's constructor makes them again.

    Raises:
        AtollError: a tensor is of a type that no network has.
    """
    written: dict[str, Any] = {}
    tensors: list[dict[str, Any]] = []
    first: dict[nn.Module, str] = {}
    for path, module in _walk("", network):
        if module in first:
            written[path] = {"same_as": first[module]}
            continue
        first[module] = path
        if is_leaf(module):
            written[path] = _leaf_json(path, module)
        else:
            tensors.extend(_tensors_json(path, module))
            if path:
                written[path] = {"holds": True}
    return written, tensors


def whole_state(network: nn.Module) -> dict[str, Tensor]:
    """Returns the tensors of a network by name, with the buffers that its state dictionary leaves out."""
    return {**network.state_dict(), **dict(network.named_buffers(remove_duplicate=False))}


def _walk(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yields modules from the outside inwards, without what is inside a leaf."""
    yield path, module
    if not is_leaf(module):
        for name, child in module._modules.items():
            if child is not None and not isinstance(child, ValueGrids):
                yield from _walk(f"{path}.{name}" if path else name, child)


def is_leaf(module: nn.Module) -> bool:
    """Whether a module is one call, with what it holds inside."""
    return isinstance(module, Layer | Norm) or LEAVES.get(type(module).__name__) is type(module)


def _leaf_json(path: str, module: nn.Module) -> dict[str, Any]:
    if isinstance(module, Layer | Norm):
        return {"layer": module.spec()}
    options = {name: getattr(module, name) for name in _options(type(module)) if hasattr(module, name)}
    if isinstance(options.get("bias"), Tensor) or ("bias" in options and options["bias"] is None):
        options["bias"] = options["bias"] is not None
    with _META:
        different = first_difference(module, type(module)(**options))
    if different:
        raise AtollError(f"{path} ({type(module).__name__}) with {different}")
    return {"type": type(module).__name__, "options": {name: _plain(one) for name, one in options.items()}}


def _options(kind: type[nn.Module]) -> tuple[str, ...]:
    names = tuple(inspect.signature(kind).parameters)
    return tuple(name for name in names if name not in ("device", "dtype", "args", "kwargs"))


def _plain(option: Any) -> Any:
    return [_plain(part) for part in option] if isinstance(option, tuple | list) else option


def _tensors_json(path: str, module: nn.Module) -> Iterator[dict[str, Any]]:
    for kind, held in (("parameter", module._parameters), ("buffer", module._buffers)):
        for name, tensor in held.items():
            if tensor is None:
                continue
            dtype = str(tensor.dtype).removeprefix("torch.")
            where = f"{path}.{name}" if path else name
            if dtype not in _TYPES:
                raise AtollError(f"{where} is {tensor.dtype}: allowed are {', '.join(_TYPES)}")
            yield {
                "path": where,
                "kind": kind,
                "shape": list(tensor.shape),
                "dtype": dtype,
                "trained": tensor.requires_grad,
            }


def modules_of_json(written: Any, tensors: Any) -> nn.Module:
    """Returns the modules that `modules_json` wrote, on the meta device.

    Raises:
        AtollError: there are too many, or one is none that may be made.
        KeyError, TypeError, …: what a layer says of itself is wrong.
    """
    if not isinstance(written, dict) or len(written) > LARGEST_MODULES:
        raise AtollError(f"got no table of up to {LARGEST_MODULES:,} modules")
    if not isinstance(tensors, list) or len(tensors) > LARGEST_TENSORS:
        raise AtollError(f"got no list of up to {LARGEST_TENSORS:,} tensors")
    root = nn.Module()
    for path, one in written.items():
        holder, name = _place(root, path)
        if not isinstance(one, dict):
            raise AtollError(f"{path}: got {one!r:.80}, allowed is a table")
        holder.add_module(name, _module(root, path, one))
    for one in tensors:
        _add_tensor(root, one)
    return root


def _place(root: nn.Module, path: Any) -> tuple[nn.Module, str]:
    """Returns the holder that a path names, and the last of its names."""
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise AtollError(f"got the path {path!r:.80}, allowed are names with dots between")
    parent, _, name = path.rpartition(".")
    holder = root
    for part in parent.split(".") if parent else ():
        child = holder._modules.get(part)
        if child is None or is_leaf(child):
            raise AtollError(
                f"{path}: got a place in what holds nothing, allowed is to name what holds it before"
            )
        holder = child
    if hasattr(holder, name):
        raise AtollError(f"{path}: got a name that is taken")
    return holder, name


def _module(root: nn.Module, path: str, written: dict[str, Any]) -> nn.Module:
    if written == {"holds": True}:
        return nn.Module()
    if isinstance(written.get("same_as"), str):
        return root.get_submodule(written["same_as"])
    if isinstance(written.get("layer"), dict) and written["layer"].get("type") != ValueGrids.type_name:
        return from_spec(written["layer"], _META)
    kind, options = written.get("type"), written.get("options")
    if not isinstance(kind, str) or kind not in LEAVES or not isinstance(options, dict):
        raise AtollError(
            f"{path}: got a module {kind!r:.80}, allowed are layers and {', '.join(sorted(LEAVES))}"
        )
    known = _options(LEAVES[kind])
    if set(options) - set(known):
        raise AtollError(f"{path}: got the options {sorted(options)!r:.80}, allowed are {', '.join(known)}")
    checked = {name: _option(path, one) for name, one in options.items()}
    with _META:
        return LEAVES[kind](**checked)


def _option(path: str, written: Any, depth: int = 0) -> Any:
    if isinstance(written, list) and depth < 2 and len(written) <= 16:
        return tuple(_option(path, one, depth + 1) for one in written)
    number = isinstance(written, int | float) and abs(written) <= LARGEST_OPTION
    text = isinstance(written, str) and len(written) <= 100
    if written is None or number or text:
        return written
    raise AtollError(
        f"{path}: got the option {written!r:.80}, allowed are texts and numbers up to {LARGEST_OPTION:,}"
    )


def _add_tensor(root: nn.Module, written: Any) -> None:
    wanted = {"path": str, "kind": str, "shape": list, "dtype": str, "trained": bool}
    if not isinstance(written, dict) or {name: type(one) for name, one in written.items()} != wanted:
        raise AtollError(f"got the tensor {written!r:.80}, allowed is one with {', '.join(wanted)}")
    path, shape, dtype = written["path"], written["shape"], written["dtype"]
    holder, name = _place(root, path)
    sizes = all(type(size) is int and 0 <= size <= LARGEST_OPTION for size in shape)
    if dtype not in _TYPES or not sizes or len(shape) > 8 or written["kind"] not in ("parameter", "buffer"):
        raise AtollError(
            f"{path}: got a {written['kind']!r:.20} of {dtype!r:.20} {shape!r:.80}, which none is"
        )
    empty = torch.empty(shape, dtype=_TYPES[dtype], device=_META)
    if written["kind"] == "parameter":
        holder.register_parameter(name, nn.Parameter(empty, requires_grad=written["trained"]))
    else:
        holder.register_buffer(name, empty)
