"""A study looked at before it is searched: network, data, training, layers, techniques, space, costs."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ...evaluators.datasets.data_report import DataReport
from ...evaluators.measuring.measure import Price, check_priced, price
from ...evaluators.own.data_source import count_items
from ...evaluators.own.prepare import described
from ...evaluators.steps.pace import Pace, time_batches
from ...evaluators.tasks import load_task
from ...evaluators.tasks.given_network import adopted_network
from ...evaluators.training.loop import TrainingDiverged
from ...hw_models.devices.device import Device
from ...hw_models.tables.network_table import layer_table
from ...spaces.errors import AtollError
from ...spaces.layers.structure import to_meta
from ..driver.runner import threads_of, workers_of
from ..study.own_task import is_own
from ..study.study import Study
from ..study.study_file import read_study, read_values
from .contact_sheet import draw_contact_sheet
from .costs import Costs, costs_of
from .eight_bits import EightBits, in_eight_bits
from .judged import Judged, judge_given
from .layer_shares import LayerShare, layer_shares
from .problems import of_constraints, of_costs, of_data, of_eight_bits, of_quality, of_reach, of_runtime
from .reach import Reach, reaches
from .space import RuledOut, legal_recipes, ruled_out

#: decoded at most: in seconds, and enough to see what is wrong
IMAGES = 500
#: of pricing recipes; what a check has for it of its minute
_PRICING_S = 10.0


@dataclass(frozen=True)
class Checked:
    """What a look at a study found.

    Args:
        study: the study; the task is the one of the sample, where the data are larger.
        network: what it is called.
        input_shape, classes: of what it takes and gives.
        price: what it costs on the device.
        images: in all; how many were looked at and how they split stand in `looked_at`.
        looked_at: images of each split.
        decode_s: to decode all of them, estimated; None where nothing was decoded.
        data: remarks on the data, a sentence each.
        judged: the given network.
        sheet: file of the contact sheet and the labels of its rows; None where inputs are no pictures.
        pace: of training; None where it diverged.
        costs: of the search; None where training diverged.
        layers: in order.
        reach: of each technique.
        eight_bits: the network in 8 bits; None where it cannot be written so.
        gaps: why the device's predictions are extrapolated, in words.
        legal: recipes that may be proposed.
        ruled: those that the device rules out.
        problems: sentences, each with what mends it.
    """

    study: Study
    network: str
    input_shape: tuple[int, ...]
    classes: int
    price: Price
    images: int
    looked_at: dict[str, int]
    decode_s: float | None
    data: list[str]
    judged: Judged
    sheet: tuple[Path, list[str]] | None
    pace: Pace | None
    costs: Costs | None
    layers: list[LayerShare]
    reach: list[Reach]
    eight_bits: EightBits | None
    gaps: list[str]
    legal: int
    ruled: RuledOut
    problems: list[str]

    def to_json(self) -> dict[str, Any]:
        """Returns it in JSON's own types."""
        sheet = self.sheet and {"file": str(self.sheet[0]), "rows": self.sheet[1]}
        costs = self.costs and {**asdict(self.costs), "search_s": self.costs.search_s}
        reach = [{**asdict(one), "reasons": one.reasons} for one in self.reach]
        return {
            "network": self.network,
            "classes": self.classes,
            "price": self.price.to_metrics(),
            "images": self.images,
            "looked_at": self.looked_at,
            "study": self.study.study_name,
            "device": self.study.device,
            "runtime": self.study.runs_on and asdict(self.study.runs_on),
            "input_shape": list(self.input_shape),
            "decode_s": self.decode_s,
            "data": self.data,
            "judged": asdict(self.judged),
            "contact_sheet": sheet,
            "pace": self.pace and asdict(self.pace),
            "costs": costs,
            "layers": [asdict(layer) for layer in self.layers],
            "reach": reach,
            "eight_bits": self.eight_bits and self.eight_bits.to_json(),
            "gaps": self.gaps,
            "legal_recipes": self.legal,
            "ruled_out": asdict(self.ruled),
            "problems": self.problems,
        }


def check_study(file: Path, sheet: Path, tell: Callable[[str], None], images: int = IMAGES) -> Checked:
    """Looks at a study; nothing of it is searched, and of large data a sample alone is decoded.

    Args:
        file: the study.
        sheet: where the contact sheet is written.
        tell: hears what takes a while.
        images: that are decoded at most.

    Raises:
        AtollError: the study, its network, weights or data are not allowed; the message says what is.
    """
    value = read_values(file).get("task")
    tell("reading the study: network, weights, and images where they were not decoded yet")
    study = read_study(file, images=images)
    own = described(value, file.absolute().parent) if is_own(value) else None
    task, device = load_task(study.task), Device.load(study.device)
    torch.set_num_threads(threads_of(study, workers_of(study)))
    network, dataset = adopted_network(task), task.dataset()
    check_priced(network, device)
    priced = price(to_meta(network), device)
    looked_at = {name: len(getattr(dataset, name)) for name in ("train", "validation", "test")}
    seen = sum(looked_at.values())
    report: DataReport | None = getattr(dataset, "report", None)
    total = seen if own is None else max(seen, count_items(own, file.absolute().parent))
    tell("judging the given network")
    judged = judge_given(task, network, dataset, None if own is None else own.expected_quality)
    labels = draw_contact_sheet(dataset, task.training.augment, sheet)
    problems = [*of_quality(judged, task, own), *of_constraints(study, judged, task)]
    problems += of_runtime(study, priced)
    problems += of_data(report, task, own) if report and own else ()
    tell("timing batches of training")
    pace, costs = None, None
    try:
        pace = time_batches(task, dataset, study.seed)
        costs = costs_of(study, network, dataset, pace.epoch_s(round(total * looked_at["train"] / seen)))
        problems += of_costs(study, costs, pace.step_s)
    except TrainingDiverged as error:
        problems.append(f"{error}: make learning_rate smaller, or look at the scaling of inputs")
    tell("trying techniques and pricing recipes")
    reach = reaches(study.technique_types, study.grids, network, task, dataset)
    problems += of_reach(reach)
    eight_bits = None
    try:
        eight_bits = in_eight_bits(study.task, device)
        problems += of_eight_bits(eight_bits)
    except AtollError as error:
        problems.append(f"in 8 bits the network has no price or no file: {error}")
    return Checked(
        study=study,
        network=task.network,
        input_shape=task.input_shape,
        classes=len(dataset.class_names),
        price=priced,
        images=total,
        looked_at=looked_at,
        decode_s=None if report is None else report.seconds / seen * total,
        data=[] if report is None else report.lines(),
        judged=judged,
        sheet=None if labels is None else (sheet, labels),
        pace=pace,
        costs=costs,
        layers=layer_shares(network, device),
        reach=reach,
        eight_bits=eight_bits,
        gaps=device.gaps(layer_table(network, task.input_shape)),
        legal=legal_recipes(study),
        ruled=ruled_out(study, _PRICING_S),
        problems=problems,
    )
