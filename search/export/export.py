"""Exports a trial: the file that ships, proven against its network, with everything that is known of it."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from torch import nn

from ...evaluators.cache_dir import cache_dir
from ...evaluators.card.bundle import RECIPE, TENSORS, save_bundle
from ...evaluators.card.card import Card, card_digest
from ...evaluators.card.model_card import card_markdown
from ...evaluators.card.pictures import pictures
from ...evaluators.delivery.delivery import Source
from ...evaluators.delivery.forms import C_ARRAY, VELA, check_forms, deliver
from ...evaluators.delivery.micro_use import check_runs
from ...evaluators.host.figures import host_figures
from ...evaluators.litert.silent_float import silent_floats
from ...evaluators.measuring.artifact import artifact_bytes
from ...evaluators.measuring.artifact_report import (
    ArtifactReport,
    file_quality,
    report_artifact,
    report_samples,
)
from ...evaluators.measuring.noise import quality_error
from ...evaluators.ranking.metrics import Metrics
from ...evaluators.ranking.quality_terms import QualityTerms
from ...evaluators.steps.evaluate import pipeline_for
from ...evaluators.steps.pipeline import Pipeline
from ...evaluators.steps.pipeline_result import PipelineResult
from ...evaluators.tasks.task import Task
from ...hw_models.devices.device import npu_of
from ...hw_models.runtimes.micro import RUNS
from ...spaces.errors import AtollError
from ...spaces.layers.structure import input_shape_of
from ...spaces.recipes.recipe import Recipe
from ..store.events import LookedAtTest, Measured
from ..store.selection import to_measure, to_test
from ..store.store import READ_WAIT_S, Store
from ..store.stored_rows import TrialRow
from ..store.stored_study import StoredStudy
from ..study.study import Study
from .card import Origin, file_digests, make_card, origin_of
from .whole_folder import check_replaceable, whole_folder

#: below this share of equal labels a file is the network that was trained only if it is as good
LEAST_AGREEMENT = 0.99
ARTIFACT, CARD, CARD_JSON = "model.tflite", "MODEL_CARD.md", "card.json"

Say = Callable[[str], None]


def export_trial(
    store: Store,
    stored: StoredStudy,
    trial: TrialRow,
    out: Path,
    *,
    any_agreement: bool = False,
    any_float: bool = False,
    also: Sequence[str] = (),
    thumbnails: bool = True,
    say: Say = print,
) -> Card:
    """Writes a trial's folder: `.tflite`, safetensors with recipe, model card as Markdown, JSON and pictures.

    The weights come from the step cache; where they were evicted the recipe is trained again with its seed
    and threads, and the card says whether quality and weights equal the stored ones.

    Args:
        store: where the trial lives.
        stored, trial: the study and the row of the trial.
        out: the folder to write; an earlier export there is replaced as a whole, another folder refused.
        any_agreement: whether a file that disagrees with its network, and is worse, is written all the same.
        any_float: whether a file is written that computes in float though integers were asked for.
        also: further forms to write beside, of `evaluators.delivery.forms.FORMS`.
        thumbnails: whether a picture beside the card shows validation images.
        say: hears about what takes time.

    Returns:
        the card, sealed.

    Raises:
        AtollError: the study cannot be read, the network cannot be written, a form is unknown or lacks a
            package, a file disagrees with the network and is worse, or computes in float what was quantized.
    """
    check_forms(also)  # before any training
    if C_ARRAY in also:
        status = trial["micro_status"]
        check_runs("" if status in (None, RUNS) else status)
    check_replaceable(out, CARD_JSON, (CARD,))
    study = Study.of_definition(stored.name, stored.definition)
    if VELA in also and npu_of(study.device) is None:
        raise AtollError(f"--also vela: {study.device} has no Ethos-U; allowed is a study for ethos-u…")
    recipe = Recipe.parse(trial["recipe"])
    pipeline = trial_pipeline(study, trial)
    if not pipeline.is_cached(recipe):
        expected = sum(step["seconds"] or 0 for step in store.steps(stored.name, trial["trial"]))
        say(f"{recipe} is no longer in the step cache: it is trained again, about {expected:.0f} s")
    result = pipeline.run(recipe, keep=True)
    return write_export(
        f"trial {trial['trial']}",
        out,
        pipeline,
        result,
        recipe,
        lambda content, remarks: origin_of(store, study, trial, result, content, remarks),
        any_agreement=any_agreement,
        any_float=any_float,
        also=also,
        thumbnails=thumbnails,
    )


def write_export(
    what: str,
    out: Path,
    pipeline: Pipeline,
    result: PipelineResult,
    recipe: Recipe,
    origin: Callable[[bytes, Sequence[str]], Origin],
    *,
    any_agreement: bool,
    any_float: bool,
    also: Sequence[str],
    thumbnails: bool,
) -> Card:
    """Writes the folder of a network that was made, and proves its file.

    Args:
        what: is exported, for messages.
        out, any_agreement, any_float, also, thumbnails: as `export_trial` has them.
        pipeline, result, recipe: what made it, and the network.
        origin: returns where it comes from, given its file and what there is to say of that.

    Returns:
        the card, sealed.

    Raises:
        AtollError: as `export_trial`.
    """
    content = artifact_bytes(result.network, input_shape_of(result.network))
    split = pipeline.dataset.validation
    report, samples = report_samples(content, result.network, split, pipeline.task.judged_by)
    from_where = origin(content, _agreement(what, report, result.metrics, any_agreement))
    floats = silent_floats(result.network, input_shape_of(result.network), content)
    if floats and not any_float:
        raise AtollError(
            f"{what}: integers were asked for everywhere, and the file has float tensors: "
            f"{'; '.join(floats)} (--any-float writes it all the same)"
        )
    with whole_folder(out) as folder:
        (folder / ARTIFACT).write_bytes(content)
        about = save_bundle(folder, result.network, pipeline.task, recipe, result.decisions)
        card = make_card(from_where, pipeline, result, report, samples, about, content)
        source = source_of(card, result.network, content, pipeline.task)
        deliveries = deliver(also, folder, source)
        drawn = pictures(card, split.images if thumbnails else None)
        for name, picture in drawn.items():
            (folder / name).write_bytes(picture)
        beside = [name for delivery in deliveries for name in (delivery.file, *delivery.beside)]
        files = file_digests(folder, (ARTIFACT, TENSORS, RECIPE, *drawn, *beside))
        return write_card(folder, replace(card, deliveries=deliveries, files=files))


def _agreement(what: str, report: ArtifactReport, metrics: Metrics, any_agreement: bool) -> list[str]:
    """Returns what is to be said of a file that disagrees with its network.

    Two networks that are right on as many images may be wrong on other ones: labels alone refuse no file.

    Raises:
        AtollError: it is also worse than its network, by more than the noise of the split.
    """
    if report.agreement >= LEAST_AGREEMENT:
        return []
    terms = QualityTerms.of(metrics)
    noise = max(quality_error(metrics, report.images), terms.resolution(metrics.quality))
    said = (
        f"the file agrees with its network on {100 * report.agreement:.2f} % of {report.images} validation "
        "images"
    )
    apart = f"{terms.name} {terms.difference(metrics.quality, report.quality)}"
    if terms.drop(metrics.quality, report.quality) <= noise:
        return [f"{said} and is as good: {apart}, within the noise of the split, {terms.said(noise)}"]
    if any_agreement:
        return []
    raise AtollError(
        f"{what}: {said}, allowed are {100 * LEAST_AGREEMENT:.0f} % at least or a quality "
        f"within the noise of the split, {terms.said(noise)}: got {apart} (--any-agreement writes it all the "
        "same)"
    )


def source_of(card: Card, network: nn.Module, artifact: bytes, task: Task) -> Source:
    """Returns what further forms of an export are made from.

    Args:
        card: of the export.
        network, artifact: what is exported, and its file.
        task: real images, and what agrees on them.
    """
    name = f"{card.task}_{card.trial}".rstrip("_")  # no study, no trial
    dataset = task.dataset()
    classes = dataset.class_names if task.judged_by.of_classes and task.outputs is None else ()
    images, npu = dataset.validation.images, npu_of(card.device)
    return Source(name, network, artifact, images, task.judged_by, classes, npu)


def write_card(folder: Path, card: Card) -> Card:
    """Writes a card as JSON, sealed with its digest, and as Markdown: both, or what was there stays.

    Returns:
        the sealed card.

    Raises:
        AtollError: they cannot be written.
    """
    text = card_markdown(card)
    card = replace(card, text_digest=hashlib.sha256(text.encode()).hexdigest())
    card = replace(card, card_digest=card_digest(card))
    texts = {CARD_JSON: json.dumps(card.to_json(), indent=1) + "\n", CARD: text}
    drafts = {name: folder / f".{name}.{os.getpid()}" for name in texts}
    try:
        for name, text in texts.items():
            with drafts[name].open("w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
        for name, draft in drafts.items():
            draft.replace(folder / name)
    except OSError as error:
        raise AtollError(f"cannot write the card in {folder}: {error.strerror or error}") from error
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)
    return card


def trial_pipeline(study: Study, trial: TrialRow) -> Pipeline:
    """Returns the pipeline that made a trial: the same seed, budget and threads."""
    settings = replace(
        study.trial_settings(trial["threads"] or 1),
        seed=trial["seed"],
        epochs_per_step=trial["epochs_per_step"],
    )
    return pipeline_for(settings, cache_dir())


def measure_finalists(store: Store, study: Study, say: Say = print) -> list[str]:
    """Measures the finalists and their baselines from their files, test quality included, and writes it down.

    Called by the driver when a study ends, after the choice; a finalist that was measured before is left as
    it is, so that the test split is looked at once. Of each the seed nearest its mean is measured whole, and
    the others on the test split alone. Then the files of the former are timed in turns on this machine,
    beside its predictions.

    Args:
        store: held by the caller as its driver.
        study: the study that ended.
        say: hears what is measured.

    Returns:
        names of the trials that were measured now.
    """
    row = store.study(study.study_name)
    if row is None:
        return []
    stored = StoredStudy.from_row(row)
    finalists = to_measure(store, stored, study.finalists)
    others = to_test(store.trials(stored.name), finalists)
    rows = {trial["trial"]: trial for trial in finalists}
    measured = []
    contents: dict[str, bytes] = {}
    for trial in finalists:
        name = trial["trial"]
        if trial["latency_host_ms"] is not None:
            continue
        pipeline = trial_pipeline(study, trial)
        result = pipeline.run(Recipe.parse(trial["recipe"]), keep=True)
        contents[name] = artifact_bytes(result.network, input_shape_of(result.network))
        if trial["model_bytes_measured"] is None:
            say(f"measuring {name} from its file: {trial['recipe']}")
            report = report_artifact(
                contents[name], result.network, pipeline.dataset.validation, pipeline.task.judged_by
            )
            store.journal.append(Measured.of_row(trial, figures=report.to_event()))
            measured.append(name)
        _look_at_test(store, trial, pipeline, contents[name])
    for trial in others:
        if trial["test_quality"] is None:
            say(f"testing {trial['trial']}, seed {trial['seed']} of {trial['recipe']}")
            pipeline = trial_pipeline(study, trial)
            network = pipeline.run(Recipe.parse(trial["recipe"]), keep=True).network
            _look_at_test(store, trial, pipeline, artifact_bytes(network, input_shape_of(network)))
            measured.append(trial["trial"])
    if contents:
        say(f"timing {len(contents)} file{'s in turns' * (len(contents) != 1)} on this machine")
        for name, timed in zip(contents, host_figures(list(contents.values())), strict=True):
            store.journal.append(Measured.of_row(rows[name], figures=dict(timed.to_event())))
    store.fold(READ_WAIT_S)
    return measured


def _look_at_test(store: Store, trial: TrialRow, pipeline: Pipeline, content: bytes) -> None:
    """Judges a file on the test split and writes that down, unless it was done before."""
    if trial["test_quality"] is not None:
        return
    task, now = pipeline.task, datetime.now(UTC).isoformat()
    quality = file_quality(content, pipeline.dataset.test, task.judged_by, task.scaling)
    figures = {"test_quality": quality, "test_quality_at": now}
    store.journal.append(Measured.of_row(trial, figures=figures))
    store.journal.append(LookedAtTest.of_row(trial, command="search", quality=quality, looked_at=now))
