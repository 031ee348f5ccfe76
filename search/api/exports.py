"""Exports: a trial as the folder that ships, and the check of such a folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ...evaluators.ranking.against_baseline import compression_ratio
from ...evaluators.tasks import load_task
from ...evaluators.tasks.prepared import trust_task
from ...evaluators.tasks.task import Task
from ...hw_models.devices.device_folder import DEFAULT_DEVICE
from ...spaces.layers.shape import InputShape
from ...spaces.outside.file_names import file_name
from ...spaces.recipes.recipe import BASELINE, Recipe
from ..export.checked import Checked
from ..export.export import ARTIFACT, export_trial
from ..export.network_export import export_network_alone
from ..export.quality_on_test import look_again
from ..export.verification import other_versions, verify_export
from ..store.selection import choose_trial
from ..store.stored_study import StoredStudy
from ..study.study import Study
from ..terminal.said import say
from .default_store import Place, store_at
from .searches import stored_study

#: below the current folder, where no folder is given
EXPORTS = Path("exports")


@dataclass(frozen=True)
class Exported:
    """A folder that ships.

    Args:
        folder: that was written.
        card: what is known of it, as `card.json` there holds it: recipe, metrics, baseline, artifact,
            waterfall, predictions, versions.
    """

    folder: Path
    card: dict[str, Any]

    @property
    def artifact(self) -> Path:
        """The `.tflite` file."""
        return self.folder / ARTIFACT

    @property
    def compression_ratio(self) -> float:
        """How many times smaller the file is than the baseline's."""
        return compression_ratio(self.card["baseline"]["model_bytes"], self.card["artifact"]["model_bytes"])


@dataclass(frozen=True)
class Verification:
    """What came of computing an export again.

    Args:
        folder: that was verified.
        rows: every figure of its card beside what its files give.
        notes: what a reader should know, a sentence each.
        looked_at_test: whether the test split was looked at again, which is never done for files that differ.
    """

    folder: Path
    rows: tuple[Checked, ...]
    notes: tuple[str, ...]
    looked_at_test: bool = False

    @property
    def differing(self) -> tuple[str, ...]:
        """The figures that differ."""
        return tuple(row.figure for row in self.rows if row.verdict == "differs")

    @property
    def passed(self) -> bool:
        """Whether none differs; what could not be compared is in the rows and notes."""
        return not self.differing


def export(
    trial: str = "best",
    store: Place = None,
    out: Path | str | None = None,
    *,
    study: Path | str | None = None,
    profile: str | None = None,
    any_agreement: bool = False,
    any_float: bool = False,
    also: Sequence[str] = (),
    thumbnails: bool = True,
    trust: bool = False,
) -> Exported:
    """Writes a trial as a verified LiteRT file with its weights, recipe and model card.

    Args:
        trial: its name, its recipe, or `best`.
        store: where it is; `ATOLL_STORE`, else `./atoll.duckdb`, when None.
        out: the folder; `exports/STUDY-TRIAL` when None. An earlier export there is replaced as a whole.
        study: which, by its name or its file; the newest when None. A file prepares a task of one's own that
            is not on this machine.
        profile: which `best`; by the study's own weights when None.
        any_agreement: write also a file that disagrees with its network and is worse.
        any_float: write also a file that computes in float though integers were asked for.
        also: further forms: `pack`, `c_array`, `onnx`, `executorch`, `torch_export`, `vela`.
        thumbnails: whether a picture beside the card shows five validation images.
        trust: whether code of the task may run that this machine never ran before.

    Returns:
        folder and card.

    Raises:
        AtollError: no such trial or form, a form's packages are not installed, `out` is another folder, or
            the file is not what the network is.
    """
    place = store_at(store)
    stored = stored_study(study, place)
    chosen = choose_trial(place, stored, trial, profile)
    if trust:
        trust_task(_task_of(stored))
    folder = Path(out) if out is not None else EXPORTS / file_name(f"{stored.name}-{chosen['trial']}")
    card = export_trial(
        place,
        stored,
        chosen,
        folder,
        any_agreement=any_agreement,
        any_float=any_float,
        also=also,
        thumbnails=thumbnails,
        say=say,
    )
    return Exported(folder, card.to_json())


def export_network(
    network: nn.Module | str,
    out: Path | str | None = None,
    *,
    recipe: Recipe | str = BASELINE,
    shape: InputShape | None = None,
    device: str = DEFAULT_DEVICE,
    any_agreement: bool = False,
    any_float: bool = False,
    also: Sequence[str] = (),
    thumbnails: bool = True,
    commands: Sequence[str] = (),
    **task: Any,
) -> Exported:
    """Writes a network without a study, as `export` writes a trial; nothing is searched and nothing trained.

    Without data the file is run beside the network on noise, and with pictures that no folder labels on
    those: the quality is then how many answers stay those of the given network.

    Args:
        network: any `nn.Module`, or as `Task` takes it.
        out: the folder; one below `exports` named after the network when None.
        recipe: or its text, of steps that do not train; they measure on the training data.
        shape: of one input, (channels, height, width) of an image; needed without labelled data.
        device: that latency and memory are predicted for.
        any_agreement, any_float, also, thumbnails: as `export` has them.
        commands: that do it again, for the card.
        task: what else `Task` takes: weights, data, input, classes, quality, …

    Returns:
        folder and card.

    Raises:
        AtollError: whatever is wrong with network, weights, data or recipe; a step trains, or has nothing to
            measure on; or as `export`.
    """
    folder, card = export_network_alone(
        {**task, "network": network},
        shape,
        Recipe.parse(recipe) if isinstance(recipe, str) else recipe,
        device,
        None if out is None else Path(out),
        any_agreement=any_agreement,
        any_float=any_float,
        also=also,
        thumbnails=thumbnails,
        commands=commands,
        say=say,
    )
    return Exported(folder, card.to_json())


def _task_of(stored: StoredStudy) -> Task:
    return load_task(Study.of_definition(stored.name, stored.definition).task)


def verify(
    folder: Path | str, trust: bool = False, *, test: bool = False, store: Place = None
) -> Verification:
    """Computes the figures of an export again from its files and compares them with its card.

    Args:
        folder: what `export` wrote, here or elsewhere.
        trust: run also what somebody else may have written: forms that can run code, and a file of which
            Atoll would not write the same bytes.
        test: look at the test split again, if nothing differs, and write that into the card.
        store: counts the look, where it knows the trial.

    Returns:
        every figure with its verdict; `passed` where none differs.

    Raises:
        AtollError: it is no export, a file is missing or unreadable, or a figure cannot be.
    """
    place = Path(folder)
    rows = verify_export(place, trust)
    notes = [*dict.fromkeys(row.why for row in rows if row.why), *other_versions(place)]
    if not test or any(row.verdict == "differs" for row in rows):
        return Verification(place, tuple(rows), tuple(notes))
    trials = store_at(store)
    looked, is_counted = look_again(place, trials, trust)
    rows = [*(row for row in rows if row.figure != looked.figure), looked]
    where = f"and counted in {trials.path}" if is_counted else f"alone: {trials.path} does not know the trial"
    notes.append(f"the test split was looked at again: written into the card {where}")
    return Verification(place, tuple(rows), tuple(notes), looked_at_test=True)
