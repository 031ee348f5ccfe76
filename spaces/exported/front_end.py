"""A user's network, exported by torch and written down again: few modules, and calls with one spelling each.

`torch.export` runs the network once on stand-ins for tensors, so that subclasses, optional arguments,
conditions on sizes, stochastic depth and Python of any kind are gone; what is left is a list of ATen calls.
Here each becomes one of these:

**Modules** (`call_module`), at the user's dotted path, of torch's own plain type whatever class it was, with
the user's own parameters. A module that ran twice is one module that is called twice. Where weights are no
module's own (`F.conv2d(x, self.kernel)`), the path is that of the parameter.

- `nn.Conv1d`, `nn.Conv2d`, `nn.ConvTranspose1d`, `nn.ConvTranspose2d`, `nn.Linear`, `nn.BatchNorm1d`,
  `nn.BatchNorm2d`: adoption puts layers of ours in their place, where it has some.
- `nn.LayerNorm`, `nn.GroupNorm`, `nn.InstanceNorm1d`, `nn.InstanceNorm2d`, `nn.PReLU`: likewise, and with
  `affine=False` too.
- `nn.LSTM`, `nn.GRU`, `nn.RNN` in parts: an `nn.Linear` that projects the input and a `Recurrence` behind it,
  for every layer and direction, at `lstm.input_l0` and `lstm.state_l0`.

**Everything else** is a `call_function` with its options as positional arguments, in the order of the
function, all of them up to the last one that is not at its default:

- one value: `F.relu`, `F.relu6`, `F.leaky_relu(x, slope)`, `F.elu(x)`, `F.gelu(x)` with
  `approximate=` as keyword, `torch.sigmoid`, `F.hardsigmoid`, `F.silu`, `F.hardswish`, `torch.tanh`,
  `F.hardtanh(x, low, high)` (0 and 6 are `F.relu6`), `torch.exp`, `torch.log`, `torch.sqrt`, `torch.rsqrt`,
  `torch.abs`, `torch.neg`, `torch.pow(x, n)`, `torch.clamp(x, low, high)`, `torch.erf`; a softplus and a mish
  are made of these
- two values, or a value and a number: `operator.add`, `operator.sub`, `operator.mul`, `operator.truediv`,
  `torch.maximum`, `torch.minimum`; `torch.matmul` for products of two values without weights
- windows: `F.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)`, `F.avg_pool2d(x, kernel, stride,
  padding, ceil_mode, count_include_pad)`, `F.adaptive_avg_pool2d(x, (height, width))`,
  `F.adaptive_max_pool2d` (the same), and their `1d` kin; sizes are pairs. Adaptive windows of several sizes
  are a pooling each, along one axis and then the other; a window with holes is the larger of whole parts;
  averages of another number of values than the runtime's are a product of its own with shares
- over axes: `torch.mean(x, dims, keepdim)`, `torch.amax`, `torch.amin` (the same),
  `F.softmax(x, dim)`, `F.log_softmax(x, dim)`
- sizes: `F.interpolate(x, size, mode=, align_corners=)`, with `scale_factor=` in place of the size only
  where sizes do not say the same; `F.pad(x, pads)`, with mode and value where they are not constant and 0;
  `F.pixel_shuffle(x, n)`, `F.pixel_unshuffle(x, n)`
- order: `torch.permute(x, dims)` for every transposition; `torch.flip(x, dims)`, `torch.roll(x, shifts,
  dims)`
- parts: `torch.narrow(x, dim, start, length)` for every slice, chunk, split, unbind and select;
  `operator.getitem(x, (slice, ...))`, a slice an axis, where steps are not 1
- together: `torch.cat(values, dim)`, `torch.stack` is `torch.unflatten` and `torch.cat`
- shape: `torch.flatten(x, start, end)` joins neighbouring axes, `torch.unflatten(x, dim, sizes)` splits one;
  every view, reshape, squeeze, unsqueeze is made of these two. No size of the batch stands in them, and one
  of the `sizes` is -1: that of the batch, else the largest, which is where channels are
- `expand` is left out where the reader spreads the value itself; else it is the method
  `x.expand(batch, -1, ...)`, where batch is the method `image.size(0)`

Dimensions are counted from 0, the batch first. Dropout, stochastic depth, `contiguous`, `clone` and casts to
the same type are left out; nothing is written over; what is computed from parameters alone is computed once
and is a parameter itself; `get_attr` gives parameters and buffers. Attention is `torch.matmul`,
`F.softmax`, `torch.matmul`.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from copy import deepcopy
from functools import partial
from io import StringIO
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export import ExportedProgram, default_decompositions, export
from torch.utils import _pytree as pytree

from ..errors import AtollError
from ..layers.parts import Parts, shapes_of
from ..layers.program import Program
from ..layers.shape import InputShape
from ..layers.structure import to_meta
from .attention import attends
from .plain_calls import PLAIN
from .reading import Constant, Reading, Site, called
from .weighted import WEIGHTED

#: stands for the number of images: a prime, so that every size that is a multiple of it grows with the batch
#: (Python's own loops over images would run as often, so that it is no larger)
BATCH = 1009
#: calls that fold nowhere into one constant for all images
_COUNTS = ("arange", "linspace", "eye", "tril_indices", "triu_indices")

_BY_VALUES = (
    "decides by the values that it sees: allowed are decisions by sizes and settings; write torch.where, or "
    "take the decision out of forward"
)


class ExportError(AtollError):
    """The network's own code raises where torch exports it."""


def exported(network: nn.Module, input_shape: InputShape | Parts) -> Program:
    """Returns a network as modules of torch's own and plain calls, in evaluation mode; it shares no tensor.

    Args:
        network: any that gives tensors, and tuples, lists and dictionaries of them.
        input_shape: of its input without the batch; of several inputs a tuple of such.

    Raises:
        ExportError: its own code raises.
        AtollError: its forward decides by values, or calls what has no spelling here; the message names the
            layer.
    """
    planned = any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers()))
    copy = to_meta(network).to_empty(device="cpu") if planned else deepcopy(network)
    program = read_exported(_exported(copy.eval(), shapes_of(input_shape)), copy, BATCH)
    return to_meta(program) if planned else program  # type: ignore[return-value]


def read_exported(found: ExportedProgram, network: nn.Module, batch: int) -> Program:
    """Returns what `torch.export` gave as modules of torch's own and plain calls.

    Args:
        found: exported with so many images at once.
        network: from which, for names in messages and what evaluation does not tell.
        batch: a prime that no other size is a multiple of.

    Raises:
        AtollError: see `exported`.
    """
    known = {*PLAIN, *WEIGHTED}
    targets = {node.target for node in found.graph.nodes if node.op == "call_function"}
    table = default_decompositions()
    smaller = {
        one: table[one]
        for one in targets
        if hasattr(one, "_schema") and _name(one) not in known and one in table
    }
    with quiet():
        return Reading(found.run_decompositions(smaller), network, batch).program(_read)


def _name(target: Any) -> str:
    return str(target._schema.name).split("::")[1]


def _exported(network: nn.Module, shapes: Parts) -> ExportedProgram:
    """Runs torch's export on stand-ins for a batch of images."""
    running: list[str] = []  # paths of the modules whose forward is running

    def enters(path: str, *_: Any) -> None:
        running.append(path)

    def leaves(*_: Any) -> None:
        running.pop()

    for path, module in network.named_modules():
        if type(module) is nn.MultiheadAttention:
            module.forward = attends(module)  # type: ignore[method-assign]
        module.register_forward_pre_hook(partial(enters, path))
        module.register_forward_hook(leaves)
    tensors = [*network.parameters(), *network.buffers()]
    device = tensors[0].device if tensors else torch.device("cpu")
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one call that nobody can look into
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), quiet():
            images = tuple(torch.empty(BATCH, *shape, device=device) for shape in shapes)
        with quiet():
            return export(network, images, strict=False)
    except Exception as error:  # the network's own code, and torch's guards, which raise of every kind
        where = called(network, running[-1] if running else "")
        if "data-dependent" in str(error) or "DataDependent" in type(error).__name__:
            raise AtollError(f"{where} {_BY_VALUES}") from error
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ExportError(f"{where} cannot be exported by torch: {said}") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps torch's remarks on its own insides, and the graphs that it prints, from the user."""
    was = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(was)


def _read(site: Site) -> Any:
    """Returns the value of one call."""
    name = site.operation
    if name.startswith(("_assert", "sym_constrain")):
        return None
    if name != "getitem" and not any(isinstance(one, fx.Node) for one in pytree.tree_leaves(site.given)):
        return _folded(site)
    weights = [site.given.get("weight"), *(site.given.get("params") or ())]
    if name in WEIGHTED and not any(isinstance(one, fx.Node) for one in weights):
        return WEIGHTED[name](site)
    if name in ("item", "_local_scalar_dense"):
        raise site.refused(_BY_VALUES)
    if name not in PLAIN:
        raise site.refused(
            f"calls torch's {name}: allowed are the layers of torch.nn and the functions that are listed in "
            "spaces/exported/plain_calls.py; what comes last may also be left to the code around the network"
        )
    return PLAIN[name](site)


def _folded(site: Site) -> Any:
    """Computes what depends on no image, once, as if there were one image."""
    target: Any = site.node.target
    if torch.Tag.nondeterministic_seeded in target.tags:
        raise site.refused("draws at random when it is evaluated: allowed is what gives the same each time")
    shapes = [
        tuple(one.shape) for one in pytree.tree_leaves(site.node.meta["val"]) if isinstance(one, Tensor)
    ]
    if site.operation in _COUNTS and any(size % site.batch == 0 for shape in shapes for size in shape):
        raise site.refused("counts its images: allowed is what does the same for each")
    sources: list[Constant] = []

    def plain(given: Any) -> Any:
        given = site.reading.value_of(given)
        if isinstance(given, Constant):
            sources.append(given)
            return given.tensor.detach()
        return given // site.batch if type(given) is int and given % site.batch == 0 else given

    args, kwargs = pytree.tree_map(plain, (site.node.args, dict(site.node.kwargs)))
    with torch.no_grad():
        made = target(*args, **kwargs)
    trained = [one for one in sources if one.tensor.requires_grad]
    name = sources[0].name if len(sources) == 1 else ""

    def constant(tensor: Tensor, shape: tuple[int, ...]) -> Constant:
        if tuple(tensor.shape) != tuple(
            size // site.batch if size % site.batch == 0 else size for size in shape
        ):
            raise site.refused("counts its images: allowed is what does the same for each")
        spread = shape if tuple(tensor.shape) != shape else ()
        if len(sources) == 1 and tensor.is_set_to(sources[0].tensor):  # nothing else is seen of it
            return Constant(sources[0].tensor, name, spread)
        site.reading.computed_from.extend(one.tensor for one in sources)
        own = tensor.clone(memory_format=torch.contiguous_format)
        return Constant(own.requires_grad_(bool(trained) and own.is_floating_point()), name, spread)

    if isinstance(made, Tensor):
        return constant(made, shapes[0])
    return tuple(constant(one, shape) for one, shape in zip(made, shapes, strict=True))
