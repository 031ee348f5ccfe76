"""Cross-layer equalization: neighbouring layers get one range a channel, and the network stays what it is."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..graph.fusion import fuses
from ..graph.graph import Graph, Operation
from ..graph.reading import trace
from ..layers.bits import FLOAT_BITS
from ..layers.conv import Conv
from ..layers.dense import Dense
from ..layers.layer import Layer
from ..layers.mask import Mask
from ..layers.norm import Norm
from ..layers.structure import input_shape_of

#: f(s x) = s f(x) for s > 0, element by element, so wherever the channels lie
_ELEMENTWISE = ("identity", "relu", "leaky_relu", "prelu")
#: the same of each channel's map, where channels come first
_OVER_MAPS = (
    "max_pool", "avg_pool", "global_avg_pool", "global_max_pool", "mean", "upsample", "pad",
)  # fmt: skip
_FLATTENED = ("flatten", "channels_last_flatten")
#: where a ReLU6 cuts off
CUT = 6.0
#: a channel stays that has less than this share of a layer's largest range: its values are those of its bias,
#: which would grow with it (own choice)
LEAST = 1e-3
#: a pair's new ranges change its neighbours': it ends where no channel moves by more, or after so many rounds
TOLERANCE, ROUNDS = 0.01, 30


@dataclass(frozen=True)
class Scaled:
    """A layer with what is folded into it, whose weights may be scaled channel by channel."""

    path: str
    layer: Conv | Dense
    norm: Norm | None

    @property
    def depthwise(self) -> bool:
        """Whether every channel is convolved by itself."""
        return isinstance(self.layer, Conv) and self.layer.depthwise

    def folded(self) -> Tensor:
        """Returns the size of every weight [out, in, ...], the normalisation folded in."""
        weight = self.layer.weight.effective().abs()
        if self.norm is not None:
            scale, _ = self.norm.scale_and_shift()
            weight *= scale.abs().to(weight.dtype).reshape(-1, *[1] * (weight.dim() - 1))
        return weight

    def output_ranges(self) -> Tensor:
        """Returns the largest weight of each output, [out]."""
        return self.folded().flatten(1).amax(dim=1)

    def input_ranges(self) -> Tensor:
        """Returns the largest weight that meets each input, [in]."""
        weight = self.folded()
        return (weight if self.depthwise else weight.transpose(0, 1)).flatten(1).amax(dim=1)

    def scale_outputs(self, by: Tensor) -> None:
        """Multiplies what the layer gives, channel by channel, in place."""
        if self.norm is not None:
            self.norm.weight.data *= by
            self.norm.bias.data *= by
            return
        self._multiply(by, 0)
        if self.layer.bias is not None:
            self.layer.bias.data *= by

    def scale_inputs(self, by: Tensor) -> None:
        """Multiplies the weights that meet each input, in place."""
        self._multiply(by, 0 if self.depthwise else 1)

    def _multiply(self, by: Tensor, axis: int) -> None:
        raw = self.layer.weight.raw
        assert raw is not None  # it has no codebook
        raw.data *= by.reshape(*[1] * axis, -1, *[1] * (raw.dim() - 1 - axis))


@dataclass(frozen=True)
class Pair:
    """Two layers, the second of which alone reads what the first gives, by what scales with its input.

    Args:
        first, second: the layers.
        cut: whether a ReLU6 comes directly behind the first.
        columns: how many inputs of the second each channel is, neighbours unless `channels_fastest`.
    """

    first: Scaled
    second: Scaled
    cut: bool = False
    columns: int = 1
    channels_fastest: bool = False

    def __str__(self) -> str:
        return f"{self.first.path} -> {self.second.path}"

    def equalize(self, largest: Tensor | None) -> float:
        """Gives both layers the same range in each channel, in place.

        Args:
            largest: of each channel before a ReLU6, positive, scaled along; None without.

        Returns:
            by how much the channel moved that moved most, as a logarithm.
        """
        first, second = self.first.output_ranges(), self._by_channel(self.second.input_ranges())
        by = torch.ones_like(first)
        moves = (first > LEAST * first.max()) & (second > LEAST * second.max())
        by[moves] = (second[moves] / first[moves]).sqrt()  # 1 / s of the paper
        if largest is not None:
            by = torch.where(largest > CUT, 1.0, torch.minimum(by, CUT / largest))
            largest *= by
        self.first.scale_outputs(by)
        inputs = 1 / by
        spread = inputs.repeat if self.channels_fastest else inputs.repeat_interleave
        self.second.scale_inputs(spread(self.columns))
        return float(by.log().abs().max())

    def _by_channel(self, inputs: Tensor) -> Tensor:
        shape = (self.columns, -1) if self.channels_fastest else (-1, self.columns)
        return inputs.reshape(shape).amax(dim=0 if self.channels_fastest else 1)


@torch.no_grad()
def equalize(network: nn.Module, names: Collection[str], images: Tensor) -> list[str]:
    """Gives pairs of neighbouring layers the same range in each channel, in place; the outputs stay.

    Nagel et al. 2019, section 4.1: with r_1 and r_2 the ranges of a channel in the weights of the layer that
    makes it and of the one that reads it, normalisations folded in, s = sqrt(r_1 r_2) / r_2 divides the first
    and multiplies the second (equation 11); pairs are gone over until nothing moves, so that depthwise layers
    share a range with both their neighbours. ReLU6 does not scale: behind one a channel grows only until
    its largest value on the images lies at 6, and a channel that is cut off stays.

    Args:
        network: settled; the named layers are float. It ends in evaluation mode.
        names: of the layers that may change.
        images: float32 [N, ...], N >= 1; they matter behind a ReLU6 alone.

    Returns:
        the pairs, `first -> second`.
    """
    pairs = find_pairs(network, names)
    largest = _largest([pair.first for pair in pairs if pair.cut], network, images)
    for _ in range(ROUNDS):
        moved = [pair.equalize(largest.get(pair.first.path)) for pair in pairs]
        if max(moved, default=0.0) < TOLERANCE:
            break
    return [str(pair) for pair in pairs]


def find_pairs(network: nn.Module, names: Collection[str]) -> list[Pair]:
    """Returns the pairs of named layers that can be equalized, in the order of execution."""
    graph = trace(network, input_shape_of(network))
    runs = [operation.path for operation in graph.operations]
    free = {name for name in names if runs.count(name) == 1 and _free(network.get_submodule(name))}
    found = (_pair(graph, operation, free) for operation in graph.operations if operation.path in free)
    return [pair for pair in found if pair is not None]


def _free(layer: nn.Module) -> bool:
    """Whether a layer's weights may be scaled: plain, on float, under no demand but zeros."""
    if not isinstance(layer, Conv | Dense) or layer.input_sign is not None:
        return False
    return layer.activation_bits == FLOAT_BITS and set(layer.weight.constraints) <= {Mask.kind}


def _scaled(graph: Graph, operation: Operation) -> tuple[Scaled, Operation]:
    """Returns a layer with the normalisation that is folded into it, and what makes the value of both."""
    layer, reader = operation.module, graph.only_reader(operation)
    assert isinstance(layer, Conv | Dense)
    if reader is not None and isinstance(reader.module, Norm) and fuses(graph, reader):
        uses = [one for one in graph.operations if one.module is reader.module]
        if len(uses) == 1:
            return Scaled(operation.path, layer, reader.module), reader
    return Scaled(operation.path, layer, None), operation


def _pair(graph: Graph, operation: Operation, free: Collection[str]) -> Pair | None:
    """Returns a layer and the one that alone reads it, None where what lies between does not scale."""
    first, made = _scaled(graph, operation)
    pair = Pair(first, first)
    axis, value = len(operation.shape) - 1 if first.layer.features_last else 0, made
    while (reader := graph.only_reader(value)) is not None and reader.inputs[0] == value.name:
        kind = reader.kind
        if kind == "layer":
            fits = reader.path in free and _reads_along(reader.module, axis, value.shape)
            return replace(pair, second=_scaled(graph, reader)[0]) if fits else None
        if kind == "relu6" and value is made:
            pair = replace(pair, cut=True)
        elif kind in _FLATTENED and axis == 0:
            columns = reader.shape[0] // value.shape[0]
            if columns > 1:
                pair = replace(pair, columns=columns, channels_fastest=kind != "flatten")
        elif kind not in _ELEMENTWISE and not (axis == 0 and _keeps_channels(reader, value)):
            return None
        value = reader
    return None


def _keeps_channels(operation: Operation, value: Operation) -> bool:
    """Whether an operation over maps leaves every channel by itself, where it was."""
    same = operation.shape[:1] == value.shape[:1] and 0 not in operation.axes
    return same and operation.kind in _OVER_MAPS


def _reads_along(layer: nn.Module | None, axis: int, shape: tuple[int, ...]) -> bool:
    """Whether a layer reads a value's channels along an axis, each with weights of its own."""
    if not isinstance(layer, Layer) or axis != (len(shape) - 1 if layer.features_last else 0):
        return False
    return not isinstance(layer, Conv) or layer.groups == 1 or layer.depthwise


def _largest(layers: list[Scaled], network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Returns the largest value of each channel before an activation, positive, by the layer's path."""
    found: dict[str, Tensor] = {}

    def keep(one: Scaled) -> Callable[[nn.Module, object, Tensor], None]:
        axis = -1 if one.layer.features_last else 1

        def hook(_: nn.Module, __: object, output: Tensor) -> None:
            found[one.path] = output.movedim(axis, 0).flatten(1).amax(dim=1).clamp_min(1e-6)

        return hook

    handles = [(one.norm or one.layer).register_forward_hook(keep(one)) for one in layers]
    network.eval()
    try:
        if layers:
            network(images)
    finally:
        for handle in handles:
            handle.remove()
    return found
