"""Measures a network: quality, sizes, work, and what the device model predicts for it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...hw_models.devices.device import Device
from ...hw_models.formulas.prediction import Prediction
from ...hw_models.runtimes.micro_arena import Arena, arena_of
from ...hw_models.runtimes.need import Need
from ...hw_models.tables.network_table import table_of_graph
from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from ...spaces.graph.graph import Graph
from ...spaces.graph.heads import Outputs
from ...spaces.graph.reading import trace
from ...spaces.layers.bits import FLOAT_BITS
from ...spaces.layers.layer import Layer
from ...spaces.layers.norm import Norm
from ...spaces.layers.shape import InputShape
from ...spaces.layers.structure import input_shape_of, named_factors, running_parts, to_meta, weight_factors
from ..edge_tpu.check import check_file
from ..ethos_u.estimate import Estimate, estimate
from ..ranking.figures import FIGURE, METRICS
from ..ranking.metrics import UNMEASURED, Metrics, PlanFigures, probability_loyalty
from ..tasks.task import Task
from .artifact import artifact_of, packed_bytes, shipped_logits

#: status of a memory that is the arena, on a device of LiteRT Micro
_COUNTED = "counted, the tensor arena"
#: value, ends of the interval, status
Quad = tuple[float, float, float, str] | tuple[None, None, None, str]


@dataclass(frozen=True)
class Price:
    """What a structure costs, known without training.

    Args:
        macs: multiply-accumulates for one image.
        model_bytes: exact size of the artifact.
        edge_tpu_mappable: share of its operators that the Edge TPU takes, by the documented rules.
        ethos_u_mappable, ethos_u_flash_bytes: share that an Ethos-U runs by its compiler, and the compiled
            file; None on other devices.
        need: the oldest runtime that loads it.
        parameters: weights, biases and normalisation.
        arena: of LiteRT Micro.
        latency_ms, peak_memory_bytes: predictions as (value, low, high, status); no numbers of a latency if
            the device was never timed.
        arena_ends: between which the arena will lie if the structure is a lower bound; None if it is known.
        refusal: why the device's compiler cannot compile the artifact; empty where it can, or there is none.
    """

    macs: int
    model_bytes: int
    edge_tpu_mappable: float
    ethos_u_mappable: float | None
    ethos_u_flash_bytes: int | None
    need: Need
    parameters: int
    arena: Arena
    latency_ms: Quad
    peak_memory_bytes: Quad
    arena_ends: tuple[int, int] | None = None
    refusal: str = ""

    def to_metrics(self) -> PlanFigures:
        """Returns the figures under the names that `Metrics` has for them."""
        found: dict[str, Any] = {
            "macs": self.macs,
            "model_bytes": self.model_bytes,
            "edge_tpu_mappable": self.edge_tpu_mappable,
            "ethos_u_mappable": self.ethos_u_mappable,
            "ethos_u_flash_bytes": self.ethos_u_flash_bytes,
            "parameters": self.parameters,
            **self.need.to_metrics(),
            "arena_bytes": self.arena.bytes,
            **dict(zip(FIGURE["arena_bytes"].ends, self.arena_ends or (None, None), strict=True)),
        }
        for figure in METRICS:
            if figure.of_device:
                found |= zip(figure.columns, getattr(self, figure.name), strict=True)
        return cast(PlanFigures, found)

    def as_lower_bound(self, whole: "Price") -> "Price":
        """Returns the same of a structure that may turn out larger.

        No placement takes less than the values that are alive at once. The network as it was given has the
        largest of them.

        Args:
            whole: of the network as it was given.
        """
        value, lowest = self.arena.bytes, min(self.arena.alive_bytes, self.arena.bytes)
        ends = lowest, max(value, whole.arena.bytes)
        memory = self.peak_memory_bytes
        if memory[3] == _COUNTED:
            memory = (value, *ends, _COUNTED)
        return replace(self, arena_ends=ends, peak_memory_bytes=memory)


def price(network: nn.Module, device: Device) -> Price:
    """Prices a structure; the network may be on the meta device."""
    return _priced(network, device)[0]


def _priced(network: nn.Module, device: Device) -> tuple[Price, bytes]:
    """Returns the price and the file that it is of; traced once, for that is half of the work.

    A plan's file for a compiler has drawn integers in place of zeros.
    """
    shape = input_shape_of(network)
    graph = trace(network, shape)
    table = table_of_graph(graph, shape)
    file, on_npu = _file_and_estimate(graph, device)
    predictions = on_npu.predictions if on_npu else device.predict(table, model_bytes=file.size_bytes)
    arena = arena_of(file)

    def quad(name: str) -> Quad:
        if name in predictions:
            p = predictions[name]
            return (p.value, p.low, p.high, p.status)
        if not device.about.is_micro:
            raise AtollError(f"device {device.name}: {name} was never measured there; trials need it")
        if name == "peak_memory_bytes":
            return (arena.bytes, arena.bytes, arena.bytes, _COUNTED)
        return (None, None, None, f"{UNMEASURED}{device.name} was never timed")

    found = Price(
        macs=table.macs,
        model_bytes=file.size_bytes,
        edge_tpu_mappable=check_file(file).mappable,
        ethos_u_mappable=None if on_npu is None else on_npu.mappable,
        ethos_u_flash_bytes=None if on_npu is None else on_npu.flash_bytes,
        need=Need.of(file),
        parameters=parameter_count(network),
        arena=arena,
        latency_ms=quad("latency_ms"),
        peak_memory_bytes=quad("peak_memory_bytes"),
        refusal="" if on_npu is None else on_npu.refusal,
    )
    return found, file.content


def _file_and_estimate(graph: Graph, device: Device) -> tuple[TfliteFile, Estimate | None]:
    """Returns the file of a network, and where the device has an NPU what its compiler estimates."""
    setup = device.npu_setup()
    file = TfliteFile.parse(artifact_of(graph, drawn=setup is not None))
    return file, None if setup is None else estimate(file, setup)


def predicted(graph: Graph, shape: InputShape, device: Device) -> Mapping[str, Prediction]:
    """Returns what a network that was traced is predicted to cost on a device, as far as that is known.

    Returns:
        `latency_ms` and `peak_memory_bytes`; none of what was never measured there.
    """
    file, on_npu = _file_and_estimate(graph, device)
    if on_npu is not None:
        return on_npu.predictions
    return device.predict(table_of_graph(graph, shape), model_bytes=file.size_bytes)


def check_priced(network: nn.Module, device: Device) -> None:
    """Refuses a network that no trial could be measured of, from its structure alone: before any training.

    Args:
        network: as it is to be compressed, adopted.
        device: predicts latency and memory.

    Raises:
        AtollError: operations have no price, or no form in the file; the message names them and their layers.
    """
    try:
        price(to_meta(network), device)
    except AtollError as error:
        raise AtollError(f"the network cannot be searched, nothing was trained: {error}") from error


def parameter_count(network: nn.Module) -> int:
    """Returns the stored weights, biases and normalisation values, whatever their type."""
    weights = sum(factor.shape.numel() for factor in weight_factors(network))
    return weights + _other_parameters(network)


def nonzero_parameter_count(network: nn.Module) -> int:
    """Returns how many parameters are not zero; the effective weights count."""
    return sum(factor.nonzero() for _, factor in named_factors(network)) + _other_parameters(network)


def _other_parameters(network: nn.Module) -> int:
    parts = [part for _, part in running_parts(network)]
    biases = sum(m.bias.numel() for m in parts if isinstance(m, Layer) and m.bias is not None)
    norms = sum(2 * m.num_features for m in parts if isinstance(m, Norm))
    return biases + norms + _loose_parameters(network)


def _loose_parameters(network: nn.Module) -> int:
    """Returns how many parameters belong to no layer or normalisation of ours: scales, embeddings, slopes."""
    ours = [module for module in network.modules() if isinstance(module, Layer | Norm)]
    inside = {id(parameter) for module in ours for parameter in module.parameters()}
    return sum(parameter.numel() for parameter in network.parameters() if id(parameter) not in inside)


def payload_bytes(network: nn.Module) -> int:
    """Returns exactly what must be stored of the network, in whole bytes."""
    bits = sum(part.payload_bits() for _, part in running_parts(network))
    bits += FLOAT_BITS * _loose_parameters(network)
    return (bits + 7) // 8


@torch.no_grad()
def measure(
    network: nn.Module,
    task: Task,
    images: Tensor,
    labels: Tensor,
    device: Device,
    baseline_logits: Outputs | None,
    epochs: float,
    seconds: float,
) -> tuple[Metrics, Outputs]:
    """Measures a trained network on the validation split.

    Args:
        network: in its final state.
        task: says what is right.
        images, labels: [N, ...], as they are stored, and what is known of them.
        device: predicts latency and memory.
        baseline_logits: [N, ...], of several outputs a tuple; None for the baseline itself.
        epochs, seconds: what was spent on it.

    Returns:
        the metrics and the network's outputs, [N, ...] or a tuple.

    Raises:
        AtollError: labels or the baseline's logits do not fit the network's, or an output is not finite.
    """
    logits = shipped_logits(network, images)
    reference = logits if baseline_logits is None else baseline_logits
    terms = task.quality_terms
    judged, known = task.judged(logits), task.judged(reference)
    alike = None
    if task.judged_by.of_classes and len(judged) == 1:
        alike = probability_loyalty(judged[0].numpy(), known[0].numpy())
    found, content = _priced(network, device)
    metrics = Metrics(
        quality=task.judged_by.measure(logits, labels),
        quality_name=terms.name,
        quality_unit=terms.unit,
        quality_higher_is_better=terms.higher_is_better,
        nonzero_parameters=nonzero_parameter_count(network),
        payload_bytes=payload_bytes(network),
        packed_bytes=packed_bytes(content),
        label_loyalty=task.judged_by.agreement(logits, reference),
        probability_loyalty=alike,
        train_epochs=epochs,
        train_seconds=seconds,
        **found.to_metrics(),
    )
    return metrics, logits
