"""Which layers of a network each technique reaches, and why it leaves others alone."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from ...evaluators.datasets.dataset import Dataset, ImagesInMemory
from ...evaluators.steps.context import TrainingContext
from ...evaluators.tasks.task import Task
from ...spaces.errors import AtollError
from ...spaces.layers.structure import named_layers, structure_changes, to_meta
from ...spaces.recipes.order import Grids, grid_steps
from ...spaces.technique.technique import Technique

#: settings of a technique that are tried, evenly chosen of those that a search tries
_TRIED = 6
#: images that techniques look at: what they decide of each weight is thrown away
_IMAGES = 32
#: seconds in which reasons are asked for: a technique tells them when it is applied
_LONGEST_S = 15.0


@dataclass(frozen=True)
class Reach:
    """What a technique can touch.

    Args:
        technique: its name.
        weights_share: share of the weights in layers that some of its settings change, in [0, 1]; None for
            one that changes no layer's structure.
        step: the settings that reach the most.
        left_alone: layers that none of the tried settings changes, with the reason where it was told.
        remark: of the whole: why it does nothing here, or what it needs.
    """

    technique: str
    weights_share: float | None
    step: str
    left_alone: dict[str, str]
    remark: str = ""

    @property
    def reasons(self) -> dict[str, int]:
        """How many layers are left alone for each reason, the most frequent first."""
        return dict(Counter(why for why in self.left_alone.values() if why).most_common())


def reaches(
    techniques: Sequence[type[Technique]], grids: Grids, network: nn.Module, task: Task, dataset: Dataset
) -> list[Reach]:
    """Plans every technique on a network, and asks why layers are left alone as long as there is time.

    Args:
        techniques: those of a study.
        grids: the values that it tries.
        network: adopted; unchanged.
        task, dataset: for techniques that look at images before they say what they leave alone.
    """
    structure = to_meta(network).eval()
    sizes = {
        name: sum(f.shape.numel() for f in layer.factors().values()) for name, layer in named_layers(network)
    }
    planned = [_planned(technique, grids, structure, sizes) for technique in techniques]
    started = time.monotonic()
    order = sorted(range(len(planned)), key=lambda at: planned[at][0].weights_share or 0.0)
    for at in order:
        reach, step = planned[at]
        if step is None or not reach.left_alone or time.monotonic() - started > _LONGEST_S:
            continue
        told = _reasons(reach, step, network, task, dataset)
        left_alone = {name: told.get(name, "") for name in reach.left_alone}
        planned[at] = replace(reach, left_alone=left_alone), step
    return [reach for reach, _ in planned]


def _planned(
    technique: type[Technique], grids: Grids, structure: nn.Module, sizes: dict[str, int]
) -> tuple[Reach, Technique | None]:
    """Returns what a technique reaches on paper, and the settings that reach the most."""
    if technique.needs_stage is not None:
        return Reach(
            technique.name, None, "", {}, f"comes after a step that changes {technique.needs_stage}"
        ), None
    if technique.stage == "training":
        return Reach(technique.name, None, "", {}, "trains every layer, changes none"), None
    steps = grid_steps(technique, grids)
    touched: set[str] = set()
    best: tuple[int, Technique | None] = (-1, None)
    failed = ""
    for step in steps[:: max(1, len(steps) // _TRIED)][:_TRIED]:
        try:
            changed = structure_changes(structure, step.plan(structure))
        except AtollError as error:
            failed = str(error)
            continue
        names = {name for name in sizes if name in changed}
        reached = sum(sizes[name] for name in names)
        touched |= names
        best = max(best, (reached, step), key=lambda pair: pair[0])
    if best[1] is None:
        return Reach(technique.name, 0.0, "", dict.fromkeys(sizes, ""), failed), None
    share = sum(sizes[name] for name in touched) / max(1, sum(sizes.values()))
    left = dict.fromkeys((name for name in sizes if name not in touched), "")
    return Reach(technique.name, share, str(best[1]), left), best[1]


def _reasons(
    reach: Reach, step: Technique, network: nn.Module, task: Task, dataset: Dataset
) -> dict[str, str]:
    """Returns why a step leaves layers alone, in its own words; nothing is trained for it."""
    splits = {name: getattr(dataset, name).first(_IMAGES) for name in ("train", "validation", "test")}
    few = ImagesInMemory(dataset.name, **splits, class_names=dataset.class_names, version=dataset.version)
    # of those layers alone: the others would be decomposed and fitted, which takes minutes
    settings = {"layers": "|".join(reach.left_alone), "fit_steps": 0}
    known = {key: value for key, value in settings.items() if key in step.domains()}
    try:
        quick = step.from_settings({**step.settings(), **known})
        _, decisions = quick.apply(network, TrainingContext(task, few, network, 0, 0.0))
    except AtollError as error:
        return dict.fromkeys(reach.left_alone, str(error))
    found: dict[str, str] = {}
    for paths, why in decisions.get("left_alone", {}).items():
        found |= dict.fromkeys(paths.split(", "), why)
    return found
