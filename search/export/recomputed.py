"""The figures of a card that the files of its folder tell, in places as the card's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from torch import nn

from ...evaluators.card.bundle import structures
from ...evaluators.card.card import Card
from ...evaluators.card.card_noise import noise_of
from ...evaluators.card.waterfall import counts, fit_digest, predictions, prices
from ...evaluators.measuring.artifact import shipped_logits
from ...evaluators.measuring.artifact_report import report_samples
from ...evaluators.measuring.file_ends import file_outputs
from ...evaluators.measuring.measure import nonzero_parameter_count, payload_bytes
from ...evaluators.tasks.task import Task
from ...spaces.errors import AtollError

#: figures of these sections, by how their names begin, are predicted for the study's device
_PRICED = ("metrics", "baseline", "waterfall")
_PREDICTED = ("latency_", "peak_memory_", "ethos_u_")
#: parts that are compared as a whole, or not at all
_NO_FIGURES = ("notes", "matrix")


def other_fits(card: Card) -> dict[str, str]:
    """Returns the devices that have another fit here than the card's, or none, each with a sentence."""
    then = card.fit_digests or {}
    found = {}
    for device in dict.fromkeys([card.device, *(row.device for row in card.predictions)]):
        now = fit_digest(device)
        if now is None:
            found[device] = f"{device} is no device here: its predictions are not compared"
        elif now != then.get(device):
            found[device] = f"{device} has another fit here than the card's: its predictions are not compared"
    return found


def by_device(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns predictions by device and quantity, so that one that is missing moves no other."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        found.setdefault(row["device"], {})[row["quantity"]] = row
    return found


def device_of(figure: str, card: Card) -> str:
    """Returns the device that a figure is predicted for; "" for any other figure."""
    section, *place, name = figure.split(".")
    if section == "predictions":
        return ".".join(place[:-1])  # behind it the quantity
    return card.device if section in _PRICED and name.startswith(_PREDICTED) else ""


def recomputed_figures(
    card: Card,
    about: Mapping[str, Any],
    network: nn.Module,
    artifact: bytes,
    task: Task | None,
    other: Mapping[str, str],
    run: bool,
) -> dict[str, Any]:
    """Returns the figures that the files can tell, in places as the card's.

    Args:
        card, about: what is verified.
        network, artifact: the network, and the file that is run.
        task: judges; None where it is not here.
        other: devices that cannot predict here what the card says.
        run: whether the file is.
    """
    of_network: dict[str, Any] = {"payload_bytes": payload_bytes(network)}
    report: dict[str, Any] = {}
    noise: dict[str, float] | None = None
    samples: dict[str, Any] = {}
    if task is not None:
        split = task.dataset().validation
        of_network["quality"] = task.judged_by.measure(shipped_logits(network, split.images), split.labels)
        noise = noise_of(network, split.images) if card.noise else None
        if run:
            places = told_places(card, len(split))
            found, seen = report_samples(artifact, network, split, task.judged_by, places)
            report, samples = found.to_json(), asdict(seen)
    of_network |= {name: report[name] for name in ("packed_bytes",) if run}
    rows = counts(about) if card.device in other else prices(about, card.device)
    devices = dict.fromkeys(row.device for row in card.predictions if row.device not in other)
    rows[0] |= {"payload_bytes": payload_bytes(next(structures(about)))}
    rows[-1] |= of_network
    return {
        "metrics": {**rows[-1], "nonzero_parameters": nonzero_parameter_count(network)},
        "baseline": rows[0],
        "waterfall": rows,
        "predictions": by_device(predictions(about, list(devices))),
        "artifact": report,
        "samples": samples,
        "outputs": _outputs(card, artifact),
        "noise": noise or {},
    }


def told_places(card: Card, total: int) -> list[int]:
    """Returns the samples that a card tells of.

    Args:
        card: of an export.
        total: samples of the validation split.

    Raises:
        AtollError: the split has no such sample.
    """
    places = [] if card.samples is None else [one.sample for one in card.samples.disagreements]
    for place in places:
        if place >= total:
            raise AtollError(f"samples: got sample {place}, allowed are 0 to {total - 1}, those of the split")
    return places


def _outputs(card: Card, artifact: bytes) -> list[dict[str, Any]]:
    """Returns what the file says of its outputs, where the card lists them."""
    names = [output.name for output in card.outputs or []]
    return [asdict(output) for output in file_outputs(artifact, names)] if names else []


def flat_figures(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Gives every number, every status of a prediction and every runtime with its place: `metrics.macs`."""
    if isinstance(value, Mapping | list):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, item in items:
            if name not in _NO_FIGURES:
                yield from flat_figures(item, f"{place}.{name}" if place else str(name))
    elif (isinstance(value, int | float) and not isinstance(value, bool)) or place.endswith(
        ("status", "minimum_runtime")
    ):
        yield place, value
