"""The model card of a trial: everything that is known of an export, put together once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...evaluators.card.card import MOST_NAMES, Card, PredictedFigure, TestLook
from ...evaluators.card.card_noise import noise_of
from ...evaluators.card.waterfall import card_devices, fit_digest, predictions, waterfall
from ...evaluators.litert.flatbuffer import DROPPED
from ...evaluators.measuring.artifact import FILE_VERSION
from ...evaluators.measuring.artifact_report import ArtifactReport
from ...evaluators.measuring.file_ends import FileInterface, file_inputs, file_outputs
from ...evaluators.measuring.sample_report import SampleReport
from ...evaluators.ranking.demands import unloadable
from ...evaluators.ranking.finalists import said_on_test
from ...evaluators.ranking.leaderboard import BASELINE, recipe_rows
from ...evaluators.steps.pipeline import Pipeline
from ...evaluators.steps.pipeline_result import PipelineResult
from ...evaluators.tasks.task import Task
from ...hw_models.runtimes.need import Need
from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.layers.scaling import PIXELS
from ...spaces.outside.foreign_file import inside, sha256_of
from ..store.store import Store
from ..store.stored_rows import TrialRow
from ..study.made_again import made_again, quoted
from ..study.study import Study
from .compiled import as_compiled

#: under which name the versions have how Atoll itself writes and judges files
FILES = "files"
#: what decides the bytes of an export and the last bits of its figures
_VERSIONS = (
    "atoll",
    "torch",
    "ai-edge-litert",
    "tensorly",
    "numpy",
    "safetensors",
    "zstandard",
    "matplotlib",
    "pillow",
)


@dataclass(frozen=True)
class Origin:
    """Where an exported network comes from, as its card tells it.

    Args:
        study, trial: names; both "" where no study chose it.
        device: that latency and memory are predicted for.
        recipe: text form.
        seed, epochs_per_step, threads: that it was made with.
        test_looks, baseline_test_looks: the first one first.
        remarks: a sentence each.
        commands: that make it again.
    """

    study: str
    trial: str
    device: str
    recipe: str
    seed: int
    epochs_per_step: float
    threads: int | None
    test_looks: Sequence[TestLook]
    baseline_test_looks: Sequence[TestLook]
    remarks: Sequence[str]
    commands: Sequence[str]


def origin_of(
    store: Store,
    study: Study,
    trial: TrialRow,
    result: PipelineResult,
    content: bytes,
    remarks: Sequence[str] = (),
) -> Origin:
    """Returns where a trial comes from.

    Args:
        store, study, trial: what is exported.
        result: what made it again, and the network.
        content: of its file.
        remarks: what else there is to say of it.
    """
    name = study.study_name
    trials = store.trials(name)
    base_trial = next(
        (t["trial"] for t in trials if t["recipe"] == BASELINE and t["seed"] == trial["seed"]), ""
    )
    return Origin(
        study=name,
        trial=trial["trial"],
        device=study.device,
        recipe=trial["recipe"],
        seed=trial["seed"],
        epochs_per_step=trial["epochs_per_step"],
        threads=trial["threads"],
        test_looks=_looks(store, name, trial["trial"]),
        baseline_test_looks=_looks(store, name, base_trial),
        remarks=[
            *_remarks(trial, result),
            *_training(study),
            *_over_seeds(trials, trial),
            *remarks,
            *unloadable(study.demands, result.metrics),
            *as_compiled(content, study.device, study.demands),
        ],
        commands=[*made_again(study.definition(), trial), f"atoll export {quoted(trial['recipe'])}"],
    )


def make_card(
    origin: Origin,
    pipeline: Pipeline,
    result: PipelineResult,
    report: ArtifactReport,
    samples: SampleReport,
    about: Mapping[str, Any],
    content: bytes,
) -> Card:
    """Returns the card of an export, with no `deliveries` and `files` as yet, not sealed.

    Args:
        origin: where it comes from.
        pipeline, result: what made it, and the network.
        report, samples: of its file, as a whole and sample by sample.
        about: what its `recipe.json` holds.
        content: of its file.
    """
    # priced as the network is, by the device's models of today
    baseline = pipeline.baseline.metrics.to_json()
    steps = [asdict(step) for step in result.steps if step.position > 0]
    devices = card_devices(origin.device)
    several = pipeline.task.outputs
    return Card(
        study=origin.study,
        trial=origin.trial,
        task=pipeline.task.name,
        network=pipeline.task.network,
        input_shape=list(pipeline.task.input_shape),
        scaling=None if pipeline.task.scaling == PIXELS else pipeline.task.scaling.to_json(),
        inputs=file_inputs(content),
        numbers=None if pipeline.task.judged_by.of_classes else True,
        recipe=origin.recipe,
        seed=origin.seed,
        epochs_per_step=origin.epochs_per_step,
        threads=origin.threads,
        device=origin.device,
        metrics=result.metrics.to_json(),
        baseline=baseline,
        waterfall=waterfall(about, baseline, steps, origin.device),
        predictions=[PredictedFigure(**row) for row in predictions(about, devices)],
        fit_digests={device: fit_digest(device) for device in devices},
        artifact=report,
        outputs=None if several is None else file_outputs(content, several.names),
        interface=FileInterface.of(TfliteFile.parse(content)),
        classes=class_names(pipeline.task),
        samples=samples,
        noise=noise_of(result.network, pipeline.dataset.validation.images),
        test_looks=list(origin.test_looks),
        baseline_test_looks=list(origin.baseline_test_looks),
        test_images=len(pipeline.dataset.test),
        weights_digest=result.digest,
        dropped=list(DROPPED),
        remarks=[*origin.remarks, *_not_in(content)],
        versions=versions(),
        data=pipeline.dataset.version,
        commands=list(origin.commands),
        exported_at=datetime.now(UTC).isoformat(timespec="seconds"),
        deliveries=[],
        files={},
    )


def class_names(task: Task) -> list[str] | None:
    """Returns the names of the classes that a card has; None where outputs are numbers, or too many."""
    names = task.dataset().class_names
    return list(names) if task.judged_by.of_classes and 0 < len(names) <= MOST_NAMES else None


def _over_seeds(trials: Sequence[TrialRow], trial: TrialRow) -> list[str]:
    """Returns what the test split says of a finalist's seeds together."""
    own = [row for row in trials if row["recipe"] in (BASELINE, trial["recipe"])]
    baseline = next((row for row in own if row["origin"] == "baseline"), None)
    said = map(said_on_test, recipe_rows(own, baseline or {}))
    return [text for text in said if text is not None]


def _not_in(content: bytes) -> list[str]:
    """Returns in which runtimes a file is known not to run though they are newer than what it needs."""
    need = Need.of(TfliteFile.parse(content))
    return [f"runs in TensorFlow Lite from {need.release} on, {need.exception}"] if need.not_in else []


def _training(study: Study) -> list[str]:
    """Returns what there is to say of a study's training where it is not that of most."""
    said = []
    if study.loss != "labels":
        said.append(f"loss {study.loss}: steps were fine-tuned against the baseline's answers too")
    if study.epochs:
        own = ", ".join(f"{name} {epochs:g}" for name, epochs in study.epochs.items())
        said.append(f"epochs of single techniques: {own}")
    return said


def file_digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Returns the SHA-256 of files in a folder, hexadecimal, by name.

    Raises:
        AtollError: a name leads out of the folder, or to something else than a regular file.
    """
    return {name: sha256_of(inside(folder, name)) for name in names}


def versions() -> dict[str, str]:
    """Returns the versions of what an export is made with."""
    return {**{name: version(name) for name in _VERSIONS}, FILES: str(FILE_VERSION)}


def _looks(store: Store, study: str, trial: str) -> list[TestLook]:
    """Returns the looks at the test split that the store has of a trial, the first one first."""
    rows = store.query(
        "SELECT quality, looked_at, command FROM test_looks WHERE study = ? AND trial = ? ORDER BY looked_at",
        [study, trial],
    ).to_pylist()
    return [
        TestLook(
            quality=row["quality"],
            at=row["looked_at"].replace(tzinfo=UTC).isoformat(timespec="seconds"),
            command=row["command"],
        )
        for row in rows
    ]


def _remarks(trial: TrialRow, result: PipelineResult) -> list[str]:
    """Says whether what is exported is what the store knows."""
    quality = "equals" if trial["quality"] == result.metrics.quality else f"differs from {trial['quality']}:"
    remarks = [f"quality {quality} the stored trial's: {result.metrics.quality}"]
    if trial["weights_digest"] is not None:
        same = trial["weights_digest"] == result.digest
        remarks.append(f"weights {'equal' if same else 'DIFFER from'} the stored trial's")
    return remarks
