"""From an exported program to ours: values, the modules that hold the weights, and where they lie."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.utils import _pytree as pytree

from ..errors import AtollError
from ..layers.program import Program
from .functions import FUNCTIONS
from .nodes import bound, is_tensor, module_path

#: names that a program has for itself
_TAKEN = ("calls", "value_grids", "input_shape", "input_parts", "input_scaling", "never_called")


@dataclass(frozen=True, eq=False)
class Constant:
    """A value that does not depend on the images.

    Args:
        tensor: trained further where it requires a gradient.
        name: dotted name of the parameter or buffer; empty for what was computed from such.
        spread: sizes to which it is repeated where one of them is that of the batch, and there 1 of its own.
    """

    tensor: Tensor
    name: str = ""
    spread: tuple[int, ...] = ()


@dataclass(frozen=True)
class Site:
    """One call of the exported program, with what it reads in our words.

    Args:
        reading: the program that is being made.
        node: the call in the exported graph.
        given: its arguments by name: values of ours (`fx.Node`, `Constant`, tuples of these) and options.
    """

    reading: "Reading"
    node: fx.Node
    given: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.given[name]

    @property
    def operation(self) -> str:
        """Name of the ATen operation."""
        target: Any = self.node.target
        return str(target._schema.name).split("::")[1] if hasattr(target, "_schema") else target.__name__

    @property
    def path(self) -> str:
        """Dotted name of the innermost module whose forward makes the call."""
        return module_path(self.node)

    @property
    def batch(self) -> int:
        """The size that stands for the batch."""
        return self.reading.batch

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first tensor read."""
        first = next(one for one in self.node.all_input_nodes if is_tensor(one))
        return tuple(first.meta["val"].shape)

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Returns the shape of one of the tensors read."""
        return tuple(bound(self.node)[name].meta["val"].shape)

    @property
    def result(self) -> tuple[int, ...]:
        """Shape of the tensor made, of the first where there are several."""
        return tuple(next(iter(pytree.tree_leaves(self.node.meta["val"]))).shape)

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> fx.Node:
        """Adds a call of one of `FUNCTIONS`."""
        if function not in FUNCTIONS:
            raise NotImplementedError(f"{function} is not among the functions of an exported network")
        args, kwargs = self.reading.as_nodes((args, kwargs))
        return self.reading.calls.call_function(function, args, kwargs)

    def module(
        self, kind: type[nn.Module], options: dict[str, Any], tensors: dict[str, Constant], value: Any
    ) -> fx.Node:
        """Adds a call of the module of that kind with these parameters, which is made where it is not yet."""
        path = self.reading.module(self, kind, options, tensors)
        return self.reading.calls.call_module(path, (self.reading.as_nodes(value),))

    def refused(self, why: str) -> AtollError:
        """Returns the error that names the layer and why it cannot be taken."""
        return AtollError(f"{called(self.reading.network, self.path)} {why}")


def called(network: nn.Module, path: str) -> str:
    """Returns what a message calls a module."""
    try:
        kind = type(network.get_submodule(path)).__name__
    except AttributeError:  # another name of a shared one
        kind = "a module"
    return f"{path or 'the network'} ({kind})"


class Reading:
    """What has been read of an exported program so far.

    Args:
        exported: without operations that write over values.
        network: from which it was exported.
        batch: the size that stands for the batch.
    """

    def __init__(self, exported: ExportedProgram, network: nn.Module, batch: int) -> None:
        self.exported, self.network, self.batch = exported, network, batch
        self.calls = fx.Graph()
        self._root = nn.Module()
        self._values: dict[fx.Node, Any] = {}
        #: where the modules and tensors of the new network lie
        self._leaves: set[str] = set()
        #: what a module is made of -> its path; a tensor's identity -> who has it
        self._made: dict[Any, str] = {}
        self._owners: dict[int, tuple[str, Tensor]] = {}
        self._read: dict[int, fx.Node] = {}
        self._turned: dict[int, Constant] = {}
        self.images: list[fx.Node] = []
        #: tensors from which constants were computed
        self.computed_from: list[Tensor] = []
        held = [*network.parameters(), *network.buffers()]
        self.device = held[0].device if held else torch.device("cpu")

    def program(self, read: Callable[[Site], Any]) -> Program:
        """Returns the program.

        Args:
            read: gives the value of one call.
        """
        kinds = {spec.arg.name: spec for spec in self.exported.graph_signature.input_specs}
        for node in self.exported.graph.nodes:
            if node.op == "placeholder":
                self._values[node] = self._placeholder(node, kinds[node.name])
            elif node.op == "call_function":
                self._values[node] = read(Site(self, node, self._mapped(bound(node))))
            elif node.op == "output":
                self.calls.output(self._returned(node))
            else:
                raise AtollError(f"{type(self.network).__name__} holds a {node.op}: allowed are plain calls")
        for tensor in self.computed_from:
            path, owned = self._owners.get(id(tensor), ("", None))
            if owned is tensor and tensor.requires_grad:
                raise AtollError(
                    f"{path} is read by other code than its layer's too: allowed are trained tensors that "
                    "one layer reads"
                )
        return Program(self._root.eval(), self.calls)

    def _placeholder(self, node: fx.Node, spec: Any) -> Any:
        if spec.kind is InputKind.USER_INPUT:
            if not is_tensor(node):
                return node.meta.get("val")
            self.images.append(self.calls.placeholder(node.name))
            return self.images[-1]
        held = self.exported.constants if spec.target in self.exported.constants else self.exported.state_dict
        return Constant(held[spec.target], spec.target)

    def _returned(self, node: fx.Node) -> Any:
        outputs = self.exported.graph_signature.output_specs
        mutated = [spec.target for spec in outputs if spec.kind is not OutputKind.USER_OUTPUT]
        if mutated:
            raise AtollError(
                f"{type(self.network).__name__} changes {mutated[0]} when it is evaluated: allowed are "
                "networks that only read what they hold"
            )
        values = self.as_nodes(self._mapped(node.args[0]))
        assert self.exported.call_spec.out_spec is not None
        return _plain(pytree.tree_unflatten(list(values), self.exported.call_spec.out_spec))

    def value_of(self, given: Any) -> Any:
        """Returns our value for a node of the exported program, anything else as it is."""
        return self._values[given] if isinstance(given, fx.Node) else given

    def held(self, name: str) -> Constant | None:
        """Returns a parameter or buffer of the user's network by its name, None where it has none of it."""
        return Constant(self.exported.state_dict[name], name) if name in self.exported.state_dict else None

    def _mapped(self, given: Any) -> Any:
        """Returns arguments with our values in the place of exported ones."""
        if isinstance(given, fx.Node):
            return self._values[given]
        if isinstance(given, tuple | list):
            return tuple(self._mapped(part) for part in given)
        if isinstance(given, dict):
            return {name: self._mapped(part) for name, part in given.items()}
        return given

    def as_nodes(self, given: Any) -> Any:
        """Returns arguments with constants as numbers or as parameters and buffers that are read."""
        if isinstance(given, Constant):
            node = self._constant(given)
            return self.spread(node, tuple(given.tensor.shape), given.spread) if given.spread else node
        if isinstance(given, tuple | list):
            return tuple(self.as_nodes(part) for part in given)
        if isinstance(given, dict):
            return {name: self.as_nodes(part) for name, part in given.items()}
        return given

    def spread(self, node: fx.Node, before: tuple[int, ...], after: tuple[int, ...]) -> fx.Node:
        """Adds a call that repeats a value along axes, that of the batch among them."""
        sizes: list[Any] = []
        for old, new in zip((None,) * (len(after) - len(before)) + before, after, strict=True):
            if new == self.batch and old != new:
                sizes.append(self.calls.call_method("size", (self.images[0], 0)))
            else:
                sizes.append(-1 if old == new else new)
        return self.calls.call_method("expand", (node, *sizes))

    def turned(self, matrix: Constant) -> Constant:
        """Returns the transposed matrix."""
        if id(matrix.tensor) not in self._turned:
            grad = matrix.tensor.requires_grad
            turned = matrix.tensor.detach().t().contiguous().requires_grad_(grad)
            self._turned[id(matrix.tensor)] = Constant(turned, matrix.name)
        return self._turned[id(matrix.tensor)]

    # Modules and tensors -----------------------------------------------------------------------------

    def _constant(self, constant: Constant) -> Any:
        tensor = constant.tensor
        if tensor.dim() == 0 and not tensor.requires_grad and not tensor.is_meta:
            return tensor.item()
        if id(tensor) not in self._read:
            path = self._free(constant.name or "constant", "tensor")
            self._own(tensor, path)
            parent, _, last = path.rpartition(".")
            holder = self._holder(parent)
            if tensor.requires_grad:
                holder.register_parameter(last, nn.Parameter(tensor.detach()))
            else:
                holder.register_buffer(last, tensor.detach())
            self._read[id(tensor)] = self.calls.get_attr(path)
        return self._read[id(tensor)]

    def module(
        self, site: Site, kind: type[nn.Module], options: dict[str, Any], tensors: dict[str, Constant]
    ) -> str:
        """Returns the path of the module with these tensors, made where there is none yet.

        Args:
            site: the call of it.
            kind: one of torch's own types.
            options: of its constructor.
            tensors: what it holds, by the names that it has for them.

        Raises:
            AtollError: one of the tensors belongs to another module, or to this one with other options.
        """
        parts = tuple(id(one.tensor) for one in tensors.values())
        identity = (kind, tuple(options.items()), parts, site.path if not tensors else "")
        if identity in self._made:
            return self._made[identity]
        with torch.device("meta"):
            module = kind(**options)
        wanted = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
        if wanted - set(tensors):
            raise site.refused(f"lacks {', '.join(sorted(wanted - set(tensors)))}: allowed are all or none")
        path = self._free(_wanted_path(site, tensors), kind.__name__.lower())
        for name, one in tensors.items():
            self._own(one.tensor, f"{path}.{name}")
            held = one.tensor.detach()
            trained = one.tensor.requires_grad
            setattr(module, name, held if name in module._buffers else nn.Parameter(held, trained))
        parent, _, last = path.rpartition(".")
        self._holder(parent).add_module(last, module)
        self._made[identity] = path
        return path

    def _own(self, tensor: Tensor, path: str) -> None:
        first, _ = self._owners.setdefault(id(tensor), (path, tensor))
        if first != path:
            raise AtollError(
                f"{first} and {path} are one tensor: allowed are layers with weights of their own, and one "
                "module that runs twice"
            )

    def _holder(self, path: str) -> nn.Module:
        """Returns the module that holds others at a path, made where there is none."""
        holder = self._root
        for name in path.split(".") if path else ():
            if name not in holder._modules:
                holder.add_module(name, nn.Module())
            holder = holder.get_submodule(name)
        return holder

    def _free(self, wanted: str, kind: str) -> str:
        """Returns a path that nothing lies on, above or below, as near to the wanted one as can be."""
        names = wanted.split(".") if wanted else [kind]
        if names[0] in _TAKEN:
            names[0] += "_"
        path = names[0]
        for name in names[1:]:
            path = f"{path}_{name}" if path in self._leaves else f"{path}.{name}"
        if any(leaf.startswith(f"{path}.") for leaf in self._leaves):
            path = f"{path}.{kind}"
        free, number = path, 1
        while free in self._leaves:
            number += 1
            free = f"{path}_{number}"
        self._leaves.add(free)
        return free


def _wanted_path(site: Site, tensors: dict[str, Constant]) -> str:
    """Returns where the user has the weights, or makes the call that has none."""
    for part, one in tensors.items():
        if one.name:
            name = one.name.removesuffix(f".{part}").removesuffix(f"_{part}")
            return "" if name == part else name
    return site.path


def _plain(returned: Any) -> Any:
    """Returns what a network gives as tuples and dictionaries of torch's own making."""
    if isinstance(returned, dict):
        return {str(name): _plain(part) for name, part in returned.items() if part is not None}
    if isinstance(returned, tuple | list):
        return tuple(_plain(part) for part in returned)
    return returned
