"""Recomputes the figures of an export's card from its files and says which differ."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from ...evaluators.card.bundle import RECIPE, load_bundle
from ...evaluators.card.card import Card, card_digest
from ...evaluators.card.model_card import card_markdown
from ...evaluators.card.pictures import THUMBNAILS, pictures
from ...evaluators.delivery.forms import measure_again
from ...evaluators.measuring.artifact import artifact_bytes
from ...evaluators.measuring.file_ends import FileInterface, file_inputs
from ...evaluators.tasks import load_task
from ...evaluators.tasks.prepared import is_prepared, trust_task
from ...evaluators.tasks.task import Task
from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from ...spaces.layers.structure import input_shape_of
from ...spaces.outside.foreign_file import damage_told, inside, read_bytes, read_json, sha256_of
from .card import FILES, class_names, file_digests, versions
from .checked import Checked, least_compared
from .export import ARTIFACT, CARD, CARD_JSON, source_of
from .recomputed import by_device, device_of, flat_figures, other_fits, recomputed_figures, told_places

#: parts of a card that hold figures
_SECTIONS = (
    "metrics", "baseline", "waterfall", "predictions", "artifact", "samples", "outputs", "noise",
    "deliveries", "test_looks", "baseline_test_looks",
)  # fmt: skip
#: allowed, where nothing says that a folder was changed
_NO_DAMAGE = "what `atoll export` wrote: if it did, this is a mistake in Atoll, and --debug shows where"
#: what follows from other versions: of Atoll's files, and of all else
_OTHER_FILES = (
    "Atoll writes the same network as another file now, or judges it by other roundings, so sizes and "
    "qualities may differ that were right"
)
_OTHER_BITS = "the last bits of figures may differ"
#: packages whose versions decide what a picture's bytes are; older cards, without images, name one alone
_DRAW = ("matplotlib", "pillow")
#: another every time
_TIMES = ("artifact.latency_host_ms",)


def read_card(folder: Path) -> Card:
    """Returns the card of an export.

    Raises:
        AtollError: there is none, or it is something else.
    """
    try:
        content = read_json(inside(folder, CARD_JSON))
    except (OSError, ValueError) as error:
        raise _no_export(folder, error) from error
    try:
        return Card.from_json(content)
    except AtollError as error:
        raise _no_export(folder, f"{CARD_JSON} is no card of this version of Atoll: {error}") from error


def verify_export(folder: Path, trust: bool = False) -> list[Checked]:
    """Returns every figure of a card beside what the files of its folder give.

    Figures are computed only where the files are those of the card. Somebody else may have written them all:
    none is run but the LiteRT file, and that only where Atoll writes the same bytes from the weights.

    Args:
        folder: what `atoll export` wrote.
        trust: whether to run whatever lies there, as the reader of the folder would.

    Raises:
        AtollError: a file is missing or unreadable, or holds figures that cannot be.
    """
    card = read_card(folder)
    try:
        with damage_told(f"no export in {folder}: {CARD_JSON} names no files"):
            found = file_digests(folder, card.files)
        text = sha256_of(inside(folder, CARD))
    except OSError as error:
        raise _no_export(folder, error) from error
    rows = [Checked.of(f"SHA-256 of {name}", wanted, found[name]) for name, wanted in card.files.items()]
    damaged = f"no export in {folder}: {CARD_JSON} is damaged"
    with damage_told(damaged):
        seal = Checked.of(f"SHA-256 of {CARD_JSON}'s figures", card.card_digest, card_digest(card))
    rows.append(seal)
    # What fails over a card as it was written is no damage: it is our mistake, or the writer's.
    as_written = card.card_digest is None or seal.verdict == "same"
    told = (f"no figures of {folder} can be computed", _NO_DAMAGE) if as_written else (damaged,)
    with damage_told(*told):
        rows.append(_checked_text(card, text))
        if all(card.files[name] == digest for name, digest in found.items()):
            rows += _computed(folder, card, trust)
    return rows


def _checked_text(card: Card, text: str) -> Checked:
    """Compares the card's text with what is written from the card here, and says where a difference is from.

    It differs either way: that the text is the one that was written tells nothing of its figures.
    """
    found = Checked.of(f"SHA-256 of {CARD}", _digest(card_markdown(card).encode()), text)
    if found.verdict == "same":
        return found
    if card.text_digest is None:
        why = f"changed, or written by another version of Atoll: this {CARD_JSON} of old does not tell"
    elif card.text_digest == text:
        why = f"as it was written, says {CARD_JSON}: by a version of Atoll that words it otherwise"
    else:
        why = "changed since it was written"
    return replace(found, why=f"{CARD}: {why}")


def other_versions(folder: Path) -> list[str]:
    """Returns in words what an export was made with that is another version here."""
    made, here = {FILES: "1", **read_card(folder).versions}, versions()
    return [
        f"made with {name} {made[name]:.40}, here is {number}: "
        f"{_OTHER_FILES if name == FILES else _OTHER_BITS}"
        for name, number in here.items()
        if name in made and made[name] != number
    ]


def _no_export(folder: Path, why: object) -> AtollError:
    return AtollError(f"no export in {folder}: {why}; allowed is a folder that `atoll export` wrote")


def _computed(folder: Path, card: Card, trust: bool) -> Iterator[Checked]:
    """Compares what the weights give: the file, and with it every number of the card."""
    network, about = load_bundle(folder)
    task, untold = task_here(card, trust)
    check_task(folder, card, about, task)
    yield Checked.of("SHA-256 of the weights", card.weights_digest, about["weights_digest"])
    artifact = artifact_bytes(network, input_shape_of(network))
    anew = Checked.of(f"{ARTIFACT} written anew from the weights", card.files[ARTIFACT], _digest(artifact))
    yield anew
    yield from _said_of_file(card, artifact, task)
    yield from _drawn_anew(card, task, untold)
    if trust:
        artifact = read_bytes(inside(folder, ARTIFACT))
    if not untold and not trust and anew.verdict != "same":
        untold = f"{ARTIFACT}: not compared (the weights give another file; --trust runs it)"
    yield from _figures(folder, card, about, network, artifact, task, trust, untold)


def task_here(card: Card, trust: bool) -> tuple[Task | None, str]:
    """Returns the task of an export where this machine can judge by it, else None and why not.

    Raises:
        AtollError: there is none of this name, and it is no user's own.
    """
    try:
        task = load_task(card.task)
    except AtollError as error:
        if not is_prepared(card.task):
            raise
        return None, f"figures of images: not compared ({error})"
    if task.code is not None and not trust:
        files = ", ".join(task.code_files)
        return None, f"figures of images: not compared (quality or loss is in {files}: --trust runs it)"
    trust_task(task)
    return task, ""


def check_task(folder: Path, card: Card, about: Mapping[str, Any], task: Task | None) -> None:
    """Refuses a network that is not the task's, for which the task's images may be of any size."""
    if task is not None:
        known = {"num_classes": task.num_classes, "input_shape": list(task.input_shape), "graph": task.graph}
        known |= {"network": task.network} if task.graph is None else {}
        named = {name: about.get(name) for name in known}
        if named != known:
            raise _no_export(
                folder, f"{RECIPE} names {named!s:.200}, the task {task.name} has {known!s:.200}"
            )
    rows = len(card.waterfall)
    if rows != 1 + len(about["steps"]):
        raise _no_export(
            folder, f"the waterfall of {CARD_JSON} has {rows} rows for {len(about['steps'])} steps"
        )


def _said_of_file(card: Card, artifact: bytes, task: Task | None) -> Iterator[Checked]:
    """Compares what a program has to know of the file, as far as the card tells it."""
    inputs = file_inputs(artifact)
    if inputs or card.inputs:
        yield _as_a_whole(f"inputs of {ARTIFACT}", card.inputs, inputs)
    if card.interface is not None:
        here = FileInterface.of(TfliteFile.parse(artifact))
        yield _as_a_whole(f"inputs, outputs and operators of {ARTIFACT}", card.interface, here)
    if card.classes is not None and task is not None:
        yield _as_a_whole("names of classes", card.classes, class_names(task))


def _as_a_whole(what: str, card: object, found: object) -> Checked:
    return Checked.of(what, _digest(str(card).encode()), _digest(str(found).encode()))


def _drawn_anew(card: Card, task: Task | None, untold: str) -> Iterator[Checked]:
    """Draws the pictures from the card, and from the images that it names, and compares the bytes."""
    shows_images = THUMBNAILS in card.files
    images = task.dataset().validation.images if shows_images and task is not None else None
    if images is not None:
        told_places(card, len(images))
    then, here = {"pillow": versions()["pillow"], **card.versions}, versions()
    alike = all(then.get(name) == here[name] for name in _DRAW)
    for name, picture in pictures(card, images).items():
        drawn = Checked.of(f"{name} drawn anew from the card", card.files[name], _digest(picture))
        # another version draws the same otherwise
        yield drawn if alike else Checked(drawn.figure, drawn.card, drawn.recomputed, "not compared")
    if shows_images and images is None:
        figure = f"{THUMBNAILS} drawn anew from the card"
        yield Checked(figure, card.files[THUMBNAILS], None, "not compared", untold)


def _figures(
    folder: Path,
    card: Card,
    about: Mapping[str, Any],
    network: nn.Module,
    artifact: bytes,
    task: Task | None,
    trust: bool,
    untold: str,
) -> Iterator[Checked]:
    """Compares every number of the card with what the files give, in the order of the card.

    Args:
        folder, card, about: what is verified.
        network, artifact: the network, and the file that is run.
        task: gives the images; None where it is not here.
        trust: whether forms are run that can run code.
        untold: why the file's figures, and those of the forms beside it, are not compared; "" where they are.
    """
    other = other_fits(card)
    recomputed = recomputed_figures(card, about, network, artifact, task, other, not untold)
    delivered = []
    if task is not None and not untold:
        source = source_of(card, network, artifact, task)
        delivered = measure_again([one.form for one in card.deliveries], folder, source, trust)
    now = dict(flat_figures(recomputed | {"deliveries": delivered}))
    told = card.to_json()
    told["predictions"] = by_device(told["predictions"])
    for figure, value in flat_figures({name: told[name] for name in _SECTIONS if name in told}):
        if why := other.get(device_of(figure, card), ""):
            yield Checked(figure, value, None, "not compared", why)
        elif figure in now and figure not in _TIMES:
            yield Checked.of(figure, value, now[figure], least_compared(figure, card))
        else:
            why = _looked_at(figure, card) or _unrun(figure, delivered, untold)
            yield Checked(figure, value, now.get(figure), "not compared", why)
    if card.samples is not None and card.samples.matrix is not None:
        if untold:
            yield Checked("samples.matrix", "", None, "not compared", untold)
        else:
            yield _as_a_whole("samples.matrix", card.samples.matrix, recomputed["samples"]["matrix"])
    for entry, found in zip(card.deliveries, delivered, strict=not untold):
        if "failure" in found:
            yield Checked(f"deliveries: {entry.form}", "agrees", None, "differs", found["failure"])


def _unrun(figure: str, delivered: Sequence[Mapping[str, Any]], untold: str) -> str:
    """Returns why a figure of a file was not computed: the file is somebody else's; "" for any other one."""
    section, *place = figure.split(".")
    if untold and (
        section in ("artifact", "samples", "deliveries") or figure.endswith(("packed_bytes", ".quality"))
    ):
        return untold
    return delivered[int(place[0])].get("untried", "") if section == "deliveries" else ""


def _looked_at(figure: str, card: Card) -> str:
    """Returns when the test split was looked at, for its quality; "" for any other figure."""
    section, *place = figure.split(".")
    if section not in ("test_looks", "baseline_test_looks") or place[-1] != "quality":
        return ""
    looks = card.test_looks if section == "test_looks" else card.baseline_test_looks
    return f"{section}: quality on the test split, looked at on {looks[int(place[0])].at}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
