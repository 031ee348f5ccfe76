"""An export by somebody else: none of its code is run, nothing outside is read, no figure takes memory."""

import copy
import hashlib
import io
import json
import os
import random
import resource
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from atoll.evaluators.card.card import card_digest
from atoll.evaluators.card.model_card import card_markdown
from atoll.evaluators.card.rebuild import rebuild
from atoll.evaluators.tasks.task import Task
from atoll.search.commands.cli import main
from atoll.search.driver.runner import run_here
from atoll.search.driver.single_trial import evaluate_single
from atoll.search.export.export import export_trial
from atoll.search.export.pre_check import pre_check
from atoll.search.export.recomputed import recomputed_figures
from atoll.search.export.verification import verify_export
from atoll.search.store.selection import choose_study, choose_trial
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from torch import nn

RECIPE = "tensor_train(rank=2, fit_steps=5) -> prune_channels(ratio=0.25) -> quantize(bits=8)"
#: what a figure of a card or recipe is changed to
ABSURD: tuple[Any, ...] = (
    0, -1, 1, 3, 10**6, 10**9, 10**17, -(10**17), 0.5, -1e17, 1e17, True, None, "", "9" * 50, "../../x",
    "$\\frac{", [], {}, [[]], [10**9] * 3, {"a": {"b": [None]}}, "\ud800", "\x1b[2J", 2**31, 2**53,
)  # fmt: skip


@pytest.fixture(scope="module")
def exported(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `atoll export` wrote; nobody may change it."""
    study = Study.create({"task": "tiny", "epochs_per_step": 0.2, "constraints": ["quality_drop <= 0.99"]})
    store = Store(tmp_path_factory.mktemp("store") / "atoll.duckdb")
    run_here(
        study, store, lambda campaign: evaluate_single(campaign, Recipe.parse(RECIPE), lambda text: None)
    )
    row, folder = choose_study(store, None), tmp_path_factory.mktemp("export") / "it"
    trial = choose_trial(store, row, RECIPE)
    export_trial(store, row, trial, folder, also=["pack", "c_array"], any_agreement=True)
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "export"))


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Room for 3 GiB of addresses more than the process has now: what asks for more fails here."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 3 * 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def read(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "card.json").read_text()))


def seal(folder: Path, card: dict[str, Any]) -> None:
    """Writes a card that fits its folder, as far as its figures allow."""
    for name in ("recipe.json", "model.safetensors", "model.tflite"):
        if (folder / name).is_file() and isinstance(card.get("files"), dict):
            card["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    card["card_digest"] = card_digest(card)
    (folder / "card.json").write_text(json.dumps(card))
    try:
        (folder / "MODEL_CARD.md").write_text(card_markdown(card))
    except Exception:
        (folder / "MODEL_CARD.md").write_text("")


def ends_well(work: Callable[[Path], object], folder: Path) -> str:
    """Returns how the work ended: with a report, or with one sentence."""
    try:
        work(folder)
    except AtollError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000
        return str(error)
    return ""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Gives the place of every part of a JSON value."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from places(item, (*path, name))


def changed(value: Any, path: tuple[Any, ...], to: Any) -> Any:
    """Returns a JSON value with another part at a place."""
    result = copy.deepcopy(value)
    part = result
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = to
    return result


def mutations(value: Any, count: int, seed: int) -> list[tuple[tuple[Any, ...], Any]]:
    """Returns so many places of a JSON value, each with something absurd; entries of a list count once."""
    by_kind: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for path in places(value):
        by_kind.setdefault(tuple(name for name in path if isinstance(name, str)), []).append(path)
    draw = random.Random(seed)
    kinds = [draw.choice(paths) for paths in by_kind.values()]
    draw.shuffle(kinds)
    return [(kinds[n % len(kinds)], draw.choice(ABSURD)) for n in range(count)]


def mutate_recipe(folder: Path, path: tuple[Any, ...], to: Any) -> None:
    about = json.loads((folder / "recipe.json").read_text())
    (folder / "recipe.json").write_text(json.dumps(changed(about, path, to)))
    seal(folder, read(folder))


def mutate_card(folder: Path, path: tuple[Any, ...], to: Any) -> None:
    seal(folder, changed(read(folder), path, to))


# Code -----------------------------------------------------------------------------------------------------


class Payload:
    """What runs a command where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def program_with(payload: Payload) -> bytes:
    """Returns a `torch.export` program whose weights are pickled: the payload."""
    pickled, program, changed_program = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save(payload, pickled)
    torch.export.save(torch.export.export(nn.Sequential(nn.Linear(4, 2)), (torch.randn(1, 4),)), program)
    with zipfile.ZipFile(program) as source, zipfile.ZipFile(changed_program, "w") as target:
        for item in source.infolist():
            data = source.read(item)
            if "weights" in item.filename and item.filename.endswith(".json"):
                config = json.loads(data)
                for value in config["config"].values():
                    value["use_pickle"] = True
                data = json.dumps(config).encode()
            elif "/weights/" in item.filename:
                data = pickled.getvalue()
            target.writestr(item.filename, data)
    return changed_program.getvalue()


def deliver_program(folder: Path, content: bytes) -> None:
    """Puts a `torch.export` program into an export, named and sealed."""
    (folder / "model.pt2").write_bytes(content)
    card = read(folder)
    figures = {"agreement": 1.0, "images": 1, "largest_difference": 0.0}
    form = {"form": "torch_export", "file": "model.pt2", "beside": [], "bytes": len(content), "holds": "it"}
    card["deliveries"] = [{**form, "figures": figures, "versions": {}}]
    card["files"]["model.pt2"] = hashlib.sha256(content).hexdigest()
    seal(folder, card)


@pytest.mark.slow
def test_code_in_a_program_is_run_only_where_it_is_trusted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "CODE-HAS-RUN"
    deliver_program(folder, program_with(Payload(marker)))
    assert main(["verify", str(folder)]) == 0
    said = capsys.readouterr().err
    assert "model.pt2: not compared (its format can run code; --trust runs it)\n" in said
    assert main(["rebuild", str(folder)]) == 0
    assert not marker.exists()
    rows = {row.figure: row for row in verify_export(folder)}
    assert rows["deliveries.0.figures.agreement"].verdict == "not compared"
    assert rows["deliveries.0.bytes"].verdict == "same"
    assert main(["verify", str(folder), "--trust"]) in (1, 2)
    assert marker.exists()  # so the payload was one


def test_a_file_that_the_weights_do_not_give_is_not_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its runtime is no sandbox; whether it is what the card says is told by its bytes."""
    content = bytearray((folder / "model.tflite").read_bytes())
    content[-1] ^= 1
    (folder / "model.tflite").write_bytes(content)
    seal(folder, read(folder))
    run: list[bytes] = []
    module = "atoll.search.export.recomputed.report_samples"
    report = recomputed_figures.__globals__["report_samples"]

    def watched(content: bytes, *rest: Any) -> Any:
        run.append(content)
        return report(content, *rest)

    monkeypatch.setattr(module, watched)
    assert main(["verify", str(folder)]) == 1
    said = capsys.readouterr().err
    assert "model.tflite: not compared (the weights give another file; --trust runs it)\n" in said
    assert "model.tflite written anew from the weights differ" in said
    rows = {row.figure: row.verdict for row in verify_export(folder)}
    assert rows["artifact.quality"] == rows["deliveries.0.figures.content_bytes"] == "not compared"
    assert (rows["metrics.quality"], rows["metrics.packed_bytes"]) == ("same", "not compared")
    assert run == []
    assert main(["verify", str(folder), "--trust"]) == 1
    assert run == [bytes(content)]


# Paths ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../secret.txt", "SECRET", "link", "pipe", "/dev/zero", "", "deep/../../secret.txt"]
)
def test_a_card_names_no_file_outside_its_folder(folder: Path, name: str) -> None:
    secret = folder.parent / "secret.txt"
    secret.write_text("x")
    (folder / "link").symlink_to(secret)
    os.mkfifo(folder / "pipe")
    card = read(folder)
    card["files"][name.replace("SECRET", str(secret))] = hashlib.sha256(b"x").hexdigest()
    seal(folder, card)
    with pytest.raises(AtollError, match=r"allowed is|no regular file"):
        verify_export(folder)


@pytest.mark.parametrize("work", [verify_export, rebuild, lambda folder: pre_check(folder, "coral-edge-tpu")])
@pytest.mark.parametrize(
    "name", ["card.json", "MODEL_CARD.md", "recipe.json", "model.safetensors", "model.tflite", "model_data.h"]
)
def test_a_link_out_a_pipe_and_a_file_of_holes_are_sentences(
    folder: Path, name: str, work: Callable[[Path], object], little_memory: None
) -> None:
    """Or nothing, for a command that does not read that file."""
    shutil.copy(folder / name, folder.parent / "outside")
    (folder / name).unlink()
    reads = {name: work is verify_export for name in ("MODEL_CARD.md", "model_data.h")}
    reads["card.json"] = work in (verify_export, rebuild)

    def holes(path: Path) -> None:
        shutil.copy(folder.parent / "outside", path)
        os.truncate(path, 2**42)

    for make in (
        lambda path: path.symlink_to(folder.parent / "outside"),
        os.mkfifo,
        holes,
        lambda path: path.symlink_to("/dev/zero"),
    ):
        make(folder / name)
        said = ends_well(work, folder)
        (folder / name).unlink()
        assert bool(said) == reads.get(name, True)


# Figures --------------------------------------------------------------------------------------------------


def test_an_untouched_export_is_a_normal_report(folder: Path, little_memory: None) -> None:
    seal(folder, read(folder))
    assert {row.verdict for row in verify_export(folder)} == {"same", "not compared"}
    assert rebuild(folder).identical


@pytest.mark.parametrize("number", [10**9, 10**17, -5, 1.5, "8", None, 2**31])
def test_no_size_of_a_recipe_takes_memory(folder: Path, number: object, little_memory: None) -> None:
    about = json.loads((folder / "recipe.json").read_text())
    sizes = (
        "bits",
        "ranks",
        "in_modes",
        "out_modes",
        "inputs",
        "outputs",
        "features",
        "num_classes",
        "input_shape",
    )
    wrong = [path for path in places(about) if path[-1] in sizes or (len(path) > 1 and path[-2] in sizes)]
    assert len({name for path in wrong for name in path if name in sizes}) > 4
    first = {tuple(name for name in path if name in sizes): path for path in wrong}
    for path in (*first.values(), *wrong[:: len(wrong) // 8]):
        (folder / "recipe.json").write_text(json.dumps(changed(about, path, number)))
        seal(folder, read(folder))
        ends_well(rebuild, folder)


def test_a_network_of_more_classes_than_the_weights_hold_is_refused(
    folder: Path, little_memory: None
) -> None:
    for classes in (10**6, 10**9):
        mutate_recipe(folder, ("num_classes",), classes)
        assert "recipe.json" in ends_well(verify_export, folder)
    assert "recipe.json: got 1000000000 classes" in ends_well(rebuild, folder)
    for name, value in (("num_classes", 10**6), ("steps", []), ("decisions", [])):
        mutate_recipe(folder, (name,), value)
    assert "does not fit the structure" in ends_well(rebuild, folder)


def test_more_steps_than_any_recipe_has_are_refused(folder: Path) -> None:
    about = json.loads((folder / "recipe.json").read_text())
    about |= {"steps": about["steps"][-1:] * 100, "decisions": about["decisions"][-1:] * 100}
    (folder / "recipe.json").write_text(json.dumps(about))
    seal(folder, read(folder))
    assert "got 100 steps, allowed are 64 at most" in ends_well(rebuild, folder)


@pytest.mark.parametrize("seed", range(4))
def test_no_part_of_a_recipe_breaks_a_command(
    exported: Path, tmp_path: Path, seed: int, little_memory: None
) -> None:
    about = json.loads((exported / "recipe.json").read_text())
    folder = Path(shutil.copytree(exported, tmp_path / "export"))
    for path, to in mutations(about, 12, seed):
        shutil.copy(exported / "recipe.json", folder)
        mutate_recipe(folder, path, to)
        ends_well(rebuild, folder)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_no_part_of_a_card_breaks_verify(
    exported: Path, tmp_path: Path, seed: int, little_memory: None
) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "export"))
    for path, to in mutations(read(exported), 8, seed):
        shutil.copy(exported / "card.json", folder)
        mutate_card(folder, path, to)
        ends_well(verify_export, folder)


@pytest.mark.parametrize(
    "text", ["[" * 10**5, '{"files":' * 10**5, "NaN", "1" * 10**6, '{"files": {"a": NaN}}']
)
@pytest.mark.parametrize("name", ["card.json", "recipe.json"])
def test_json_that_breaks_parsers_is_one_sentence(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    for work in (verify_export, rebuild):
        if work is rebuild or name == "card.json":
            assert name in ends_well(work, folder)


@pytest.mark.parametrize("size", [2**40, 2**63, 10**8])
def test_a_tensors_file_whose_header_lies_is_one_sentence(
    folder: Path, size: int, little_memory: None
) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(size.to_bytes(8, "little") + content[8:])
    assert "no bundle in" in ends_well(rebuild, folder)
