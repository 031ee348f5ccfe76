"""What a study runs first: the baseline; where it ranks by the score, what freezes the scales too."""

from functools import lru_cache

import torch

from ...evaluators.ranking.goal import Goal
from ...evaluators.tasks.task import Task
from ...spaces.errors import AtollError
from ...spaces.layers.shape import InputShape, is_image
from ...spaces.networks import build_network
from ...spaces.recipes.recipe import Recipe
from ...spaces.techniques.distill import Distill

BY_SCORE = Goal()

#: Raised when `REFERENCE` changes: scores on other scales are not comparable.
REFERENCE_VERSION = 1

#: The baseline and the papers' five techniques alone at the papers' settings (THESIS table 6, PUB-I table 2).
REFERENCE: tuple[str, ...] = (
    "baseline",
    "quantize(bits=8)",
    "binarize",
    "prune_weights",
    "tensor_train(rank=4)",
    "distill(student=compact_cnn)",
)

#: QuanTT (THESIS ch. 4, PUB-II's TT-V): its mode shapes where the layer is theirs, automatic ones elsewhere.
PAPERS: tuple[str, ...] = ("tensor_train(rank=4, in_dims=16x8x16x8, out_dims=4x2x4x2) -> quantize(bits=8)",)


def left_out(task: Task) -> dict[str, str]:
    """Returns the members of the reference set whose student cannot do the task, with the reason.

    Args:
        task: says what the student would take and give.
    """
    found = {}
    for text in REFERENCE:
        for step in Recipe.parse(text):
            reason = (
                _misfit(step.student, task) if isinstance(step, Distill) and step.replaces_network else ""
            )
            if reason:
                found[text] = reason
    return found


def _misfit(student: str, task: Task) -> str:
    if task.outputs is not None:
        return f"the network has {len(task.outputs.names)} outputs, {student} one"
    return _not_built(student, task.num_classes, task.input_shape)


@lru_cache(maxsize=64)
def _not_built(student: str, outputs: int, shape: InputShape) -> str:
    if not is_image(shape):
        return f"its student takes images, inputs are of {'x'.join(map(str, shape))}"
    try:
        with torch.device("meta"):
            build_network(student, outputs, shape)
    except AtollError as error:
        return str(error)
    return ""


def reference_texts(task: Task) -> tuple[str, ...]:
    """Returns the reference set of a task as texts, the baseline first."""
    without = left_out(task)
    return tuple(text for text in REFERENCE if text not in without)


def reference_recipes(task: Task, goal: Goal = BY_SCORE) -> tuple[Recipe, ...]:
    """Returns what the objective refers to, the baseline first; for a score the reference set, c of them."""
    texts = reference_texts(task) if goal.is_score else REFERENCE[:1]
    return tuple(Recipe.parse(text) for text in texts)


def fixed_recipes(task: Task, goal: Goal = BY_SCORE) -> dict[Recipe, str]:
    """Returns all that a study runs first, in order: recipe -> baseline, reference or paper.

    Where costs alone decide, nothing refers to the reference set, and it is not trained.
    """
    recipes = reference_recipes(task, goal)
    reference = {recipe: "reference" if len(recipe) else "baseline" for recipe in recipes}
    papers = PAPERS if goal.is_score else ()
    return {**reference, **{Recipe.parse(text): "paper" for text in papers}}
