"""What a price is computed from: of a recipe on a network of the zoo, of a stored trial, of a file."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from ...evaluators.measuring.artifact import artifact_of
from ...evaluators.steps.evaluate import planned_for, planned_need
from ...hw_models.runtimes.need import Need
from ...hw_models.tables.file_table import layer_table_of
from ...hw_models.tables.flop_count import FlopCount
from ...hw_models.tables.layer_table import LayerTable
from ...hw_models.tables.network_table import table_of_graph
from ...hw_models.tables.planned import planned_steps
from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from ...spaces.graph.reading import trace
from ...spaces.layers.shape import InputShape
from ...spaces.layers.structure import input_shape_of
from ...spaces.layers.structure import structure as describe
from ...spaces.networks import SURROGATES
from ...spaces.recipes.order import check_order
from ...spaces.recipes.recipe import Recipe
from ..store.selection import choose_trial
from ..store.store import Store
from ..store.stored_study import StoredStudy


@dataclass(frozen=True)
class CostInputs:
    """What a price is computed from.

    Args:
        title: what it is, for people.
        table: its layer table.
        model_bytes: size of its file.
        size_status: `interpolated` where that is exact, else what it is: a lower bound, or of weights alone.
        flops: its operations.
        need: the oldest runtime that loads its file.
        file: as it is planned; None where there is none.
        notes: what a reader of the figures should know.
    """

    title: str
    table: LayerTable
    model_bytes: int
    flops: FlopCount
    need: Need
    file: TfliteFile | None = None
    size_status: str = "interpolated"
    notes: tuple[str, ...] = ()


def inputs_of_file(path: Path) -> CostInputs:
    """Returns what a `.tflite` file says by its own operators.

    Raises:
        AtollError: the file cannot be read.
    """

    file = TfliteFile.read(path)
    table = layer_table_of(file, Path(path).stem)
    return CostInputs(str(path), table, file.size_bytes, FlopCount.of(table), Need.of(file), file)


def inputs_of_trial(store: Store, study: StoredStudy, trial: str, drawn: bool = False) -> CostInputs:
    """Returns what a stored trial says: its recipe on its task's network; `drawn` as for `lower_graph`.

    Raises:
        AtollError: there is no such trial.
    """

    chosen = choose_trial(store, study, trial)
    return inputs_on_task(Recipe.parse(chosen["recipe"]), study.task, study.name, drawn)


def inputs_on_task(recipe: Recipe, task: str, title: str, drawn: bool = False) -> CostInputs:
    """Returns what a recipe says on a task's network.

    Args:
        recipe: any, legal or not.
        task: its name.
        title: what the figures are of, for people.
        drawn: as for `lower_graph`.

    Raises:
        AtollError: for a recipe that is not legal, or an unknown task.
    """

    check_order(recipe)
    structures = [planned_for(prefix, task) for prefix in recipe.prefixes()]
    return _inputs(f"{recipe} of {title}", recipe, structures, input_shape_of(structures[0]), drawn)


def inputs_of_recipe(
    recipe: Recipe, network: str, shape: InputShape, classes: int, drawn: bool = False
) -> CostInputs:
    """Returns what a recipe says on a network of the zoo.

    Args:
        recipe: any, legal or not.
        network: its name.
        shape: (channels, height, width) of one image.
        classes: that it tells apart.
        drawn: as for `lower_graph`.

    Raises:
        AtollError: for a recipe that is not legal, an unknown network, or a size that does not fit it.
    """

    check_order(recipe)
    structures = list(planned_steps(recipe, network, shape, classes))
    inputs = _inputs(f"{recipe} of {network}", recipe, structures, shape, drawn)
    if network not in SURROGATES:
        return inputs
    note = f"{network} stands in for a network that its publication does not define"
    return replace(inputs, table=replace(inputs.table, surrogate=True), notes=(*inputs.notes, note))


def _inputs(
    title: str, recipe: Recipe, structures: list[nn.Module], shape: InputShape, drawn: bool
) -> CostInputs:
    """Reads the last of the structures that a recipe's steps leave, the uncompressed network first."""

    notes = [f"{step} is a lower bound" for step in recipe if not step.plan_is_exact]
    size_status = "extrapolated" if notes else "interpolated"
    described = [describe(structure) for structure in structures]
    for step, before, after in zip(recipe, described, described[1:], strict=False):
        if step.stage != "training" and before == after:
            notes.append(f"{step} changes nothing in this network")
    graph = trace(structures[-1], shape)
    table = table_of_graph(graph, shape, title)
    file = None
    try:
        file = TfliteFile.parse(artifact_of(graph, drawn))
        size, need = file.size_bytes, planned_need(recipe, Need.of(file))
    except AtollError as error:
        size, size_status = table.weight_bytes, "unknown operation: no LiteRT file can be written"
        need = Need("", "no LiteRT file can be written")
        notes.append(f"no LiteRT file can be written ({error}): model_bytes are the weights alone")
    flops = FlopCount.of(table_of_graph(graph, shape, title, as_written=True))
    return CostInputs(title, table, size, flops, need, file, size_status, tuple(notes))
