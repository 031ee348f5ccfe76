"""What a look at a study finds wrong, each with what mends it."""

from collections.abc import Iterator

from ...evaluators.datasets.data_report import DataReport
from ...evaluators.measuring.measure import Price
from ...evaluators.own.task import Task as OwnTask
from ...evaluators.ranking.constraints import DEFAULT_CONSTRAINTS
from ...evaluators.ranking.demands import unloadable
from ...evaluators.tasks.task import Task
from ..study.study import Study
from ..terminal.amounts import duration
from .costs import Costs
from .eight_bits import EightBits
from .judged import Judged
from .reach import Reach

#: how many times as many images the largest class may have: accuracy then says little of the smallest
_UNEVEN = 5.0
#: images of a class in train below which there is little to learn from
_FEW = 20
#: share of the weights below which a technique is hardly worth a place in the space
_HARDLY = 0.05


def of_quality(judged: Judged, task: Task, own: OwnTask | None) -> Iterator[str]:
    """Yields what is wrong with the given network's quality; the scaling of its inputs comes first."""
    figure = f"{task.quality_name} {_said(judged.quality, task)} on {judged.images:,} validation images"
    better = judged.best_scaling
    if better is not None:
        yield (
            f"the given network reaches {figure}, and {_said(judged.by_scaling[better], task)} with pixels "
            f"scaled as `{better}`: say `input: {{normalize: {better}}}`"
        )
    expected = None if own is None else own.expected_quality
    if expected is None or abs(judged.quality - expected) <= judged.tolerance:
        return
    if better is None:
        yield (
            f"the given network reaches {figure}, expected_quality is {_said(expected, task)}: look at the "
            "scaling of pixels first (input.mean and input.std as in its training; no usual one "
            "is better), then at the order of the classes (`classes: [names in its outputs' order]`) and at "
            "input.size"
        )


def of_constraints(study: Study, judged: Judged, task: Task) -> Iterator[str]:
    """Yields that nobody said how much worse an error may become: the usual bound is one of shares."""
    usual = tuple(str(constraint) for constraint in DEFAULT_CONSTRAINTS)
    if study.constraints == usual and not task.quality_terms.is_share:
        yield (
            f"constraints: {', '.join(usual)}, the usual one, is of shares; {task.quality_name} is "
            f"{_said(judged.quality, task)} as the network was given: state what it may lose, in its unit"
        )


def of_runtime(study: Study, price: Price) -> Iterator[str]:
    """Yields that the study's runtime does not load the network as it is: few recipes can mend that."""
    for said in unloadable(study.demands, price.need.to_metrics()):
        yield f"the network as it is: {said}"


def of_data(report: DataReport, task: Task, own: OwnTask) -> Iterator[str]:
    """Yields what is wrong with the data that were decoded."""
    counts = report.per_class.get("train", ())
    least, most = min(counts, default=0), max(counts, default=0)
    if least and most / least >= _UNEVEN:
        if task.training.balance == "none":
            yield (
                f"classes have {least:,} to {most:,} images in train: `balance: weights` makes "
                "up for it in training, `quality: balanced_accuracy` in judging"
            )
    elif 0 < least < _FEW and report.images["train"] >= _FEW * len(counts):
        yield f"a class has {least:,} images in train: more of it, or `augment`, helps most"
    if report.empty_classes:
        yield (
            f"no image in train: {', '.join(report.empty_classes[:3])}: add some, or take it out of the "
            "folder and out of `classes`"
        )
    if report.across_splits:
        first, second = report.across_names[0]
        yield (
            f"{report.across_splits:,} images are in two splits, which flatters every figure: remove one of "
            f"{first} and {second}, and so on, or let Atoll make the splits"
        )
    if report.contradicting:
        yield f"{report.contradicting:,} images come twice with two labels: keep the right one"
    if report.skipped:
        name, why = report.skipped_names[0]
        yield f"{report.skipped:,} images cannot be read and are left out: mend them, first {name} ({why})"
    if own.input.scaling(of_bytes=True) is None:
        yield (
            "the task does not say how inputs are scaled, so that mean and deviation were measured: if the "
            "network was trained otherwise, say so (`input: {normalize: imagenet}`, or mean and std)"
        )


def of_reach(found: list[Reach]) -> Iterator[str]:
    """Yields which techniques find next to nothing to change."""
    for reach in found:
        if reach.weights_share is not None and reach.weights_share < _HARDLY:
            why = reach.remark or next(iter(reach.reasons), "")
            yield (
                f"{reach.technique} reaches {reach.weights_share:.1%} of the weights"
                f"{f' ({why})' if why else ''}: leave it out of `techniques`, or let `settings` try more"
            )


def of_eight_bits(eight: EightBits) -> Iterator[str]:
    """Yields what keeps a network of 8 bits off an Edge TPU."""
    if eight.edge_tpu is not None and eight.edge_tpu.mappable < 1:
        yield f"in 8 bits {eight.edge_tpu.summary()}"
        yield from eight.edge_tpu.advice


def of_costs(study: Study, costs: Costs, step_s: float) -> Iterator[str]:
    """Yields which limits cannot be kept."""
    if costs.limit_s is None:
        if not costs.searched:
            yield "nothing ends the search: say `limits: {ensembles: 30}`, or `--time MINUTES`"
        return
    begin_s = costs.baseline_s + costs.fixed_s
    said = f"the time limit is {duration(costs.limit_s)}"
    if costs.baseline_s > costs.limit_s:
        yield (
            f"{said}, and the baseline alone takes about {duration(costs.baseline_s)} (it is finished, then "
            f"the search ends): allow more, or make epochs_per_step smaller than {study.budget_epochs:g}"
        )
    elif begin_s + costs.ensemble_s > costs.limit_s:
        yield (
            f"{said}, and baseline and reference set take about {duration(begin_s)}: no ensemble is sure to "
            f"be tried; allow more, or make epochs_per_step smaller than {study.budget_epochs:g}"
        )
    if step_s > 60:
        yield (
            f"a batch takes {duration(step_s)}: a smaller batch_size, a smaller input.size or a GPU keeps "
            "`--time` meaningful, since what runs is always finished"
        )


def _said(value: float, task: Task) -> str:
    unit = task.judged_by.unit
    return f"{value:.1%}" if unit == "%" else f"{value:.4g} {unit}".strip()
