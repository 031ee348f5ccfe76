"""The waterfall of a recipe: what the network was worth and what it cost before and after every step."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ...hw_models.devices.device import Device
from ...hw_models.devices.device_folder import DEVICES, About, device_folder
from ...hw_models.runtimes.micro_arena import arena_of
from ...hw_models.runtimes.need import Need
from ...hw_models.tables.network_table import table_of_graph
from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from ...spaces.graph.reading import trace
from ...spaces.layers.structure import input_shape_of, to_meta
from ..edge_tpu.check import check_file
from ..ethos_u.compiler import PACKAGE
from ..measuring.artifact import artifact_of
from ..measuring.measure import parameter_count, predicted, price
from ..ranking.figures import FIGURE
from .bundle import structures

Row = dict[str, Any]

#: what only training and the trained weights tell: written down when it happened
_RECORDED = ("quality", "payload_bytes", "packed_bytes")


def waterfall(
    about: Mapping[str, Any], baseline: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], device: str
) -> list[Row]:
    """Returns one row for the baseline and one after every step.

    Args:
        about: what `recipe.json` holds.
        baseline: its metrics, under the names of `Metrics`.
        steps: records of the steps, under the names of `StepRecord`.
        device: name of the device that latency and memory are predicted for.

    Returns:
        rows with `position`, `step`, `stage`, `epochs`, `notes`, the recorded figures and those of `prices`.
    """
    begin = {"step": "baseline", "stage": "", "epochs": baseline["train_epochs"], "notes": {}}
    records = [{**baseline, **begin}, *steps]
    rows = []
    for position, (record, priced) in enumerate(zip(records, prices(about, device), strict=True)):
        told = {name: record[name] for name in ("step", "stage", "epochs", "notes", *_RECORDED)}
        rows.append({"position": position, **told, **priced})
    return rows


def prices(about: Mapping[str, Any], device: str) -> list[Row]:
    """Returns what follows from the structure alone, for the baseline and after every step.

    Returns:
        rows with `macs`, `parameters`, `model_bytes` and, predicted, `latency_ms` and `peak_memory_bytes`
        with the ends of their intervals (`…_low`, `…_high`) and their statuses.
    """
    loaded = Device.load(device)
    return [{**price(to_meta(network).eval(), loaded).to_metrics()} for network in structures(about)]


def counts(about: Mapping[str, Any]) -> list[Row]:
    """Returns of `prices` what is counted, the same for every device.

    Returns:
        rows with `macs`, `model_bytes`, `edge_tpu_mappable`, `parameters`, `minimum_runtime`, `arena_bytes`.
    """
    rows = []
    for structure in structures(about):
        network = to_meta(structure).eval()
        shape = input_shape_of(network)
        graph = trace(network, shape)
        file = TfliteFile.parse(artifact_of(graph))
        row = {
            "macs": table_of_graph(graph, shape).macs,
            "model_bytes": file.size_bytes,
            "edge_tpu_mappable": check_file(file).mappable,
            "parameters": parameter_count(network),
            "arena_bytes": arena_of(file).bytes,
            **dict.fromkeys(FIGURE["arena_bytes"].ends),  # of a trained network's structure nothing is open
            **Need.of(file).to_metrics(),
        }
        rows.append(row)
    return rows


def predictions(about: Mapping[str, Any], devices: Sequence[str]) -> list[Row]:
    """Returns what the finished network is predicted to cost on devices.

    Returns:
        rows with `device`, `quantity`, `setup`, `value`, `low`, `high` and `status`; values in the unit that
        the quantity's name ends in; one row an own quantity of each device.
    """
    *_, structure = structures(about)
    network = to_meta(structure).eval()
    shape = input_shape_of(network)
    graph = trace(network, shape)
    return [
        {"device": device, "quantity": quantity, **prediction.to_json()}
        for device in devices
        for quantity, prediction in predicted(graph, shape, Device.load(device)).items()
    ]


def fit_digest(device: str) -> str | None:
    """Returns the SHA-256 of what predictions for a device are made from, hexadecimal.

    Args:
        device: NAME or NAME:SETUP.

    Returns:
        that of its `fitted.json`, followed by that of the CPU that it leaves the rest to, where it names one,
        and another on a processor that the fit never saw; with an NPU of its `device.toml` and of the version
        of the compiler. None where there is no such device, no compiler, or a file that cannot be read.
    """
    content, name = b"", device.partition(":")[0]
    try:
        while name:
            folder = device_folder(name)
            about = About.read(folder)
            content += (folder / ("device.toml" if about.has_npu else "fitted.json")).read_bytes()
            if about.has_npu:
                content += f"{PACKAGE} {version(PACKAGE)}".encode()
            if about.other_processor:  # the same fit gives other intervals here
                content += b"another processor"
            name = about.cpu
    except (AtollError, OSError, PackageNotFoundError):
        return None
    return hashlib.sha256(content).hexdigest()


def card_devices(device: str) -> list[str]:
    """Returns the devices of a card's predictions: the study's, and those of the package that predict."""
    predicting = (name for name, _ in DEVICES if Device.load(name).fits)
    return list(dict.fromkeys([device, *predicting]))
