"""Export over a real small store: what is in the folder, that it is what was trained, and what is refused."""

import hashlib
import json
import math
import shlex
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from atoll.evaluators.cache_dir import cache_dir
from atoll.evaluators.card.bundle import load_bundle
from atoll.evaluators.delivery.container import unpack_content
from atoll.evaluators.measuring.artifact import artifact_bytes, outputs_of, run_artifact, verify_artifact
from atoll.evaluators.steps.evaluate import _pipeline, evaluate
from atoll.evaluators.tasks.task import Task
from atoll.evaluators.training.prediction import predict_logits
from atoll.search.commands.cli import main
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.runner import run_here
from atoll.search.driver.single_trial import evaluate_single
from atoll.search.driver.work import carry_out
from atoll.search.export import export as export_module
from atoll.search.export.export import export_trial, measure_finalists, trial_pipeline
from atoll.search.store.driver_lock import living_driver
from atoll.search.store.events import event_from_json
from atoll.search.store.selection import choose_study, choose_trial
from atoll.search.store.store import Store
from atoll.search.store.stored_rows import TrialRow
from atoll.search.store.stored_study import StoredStudy
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError
from atoll.spaces.outside.shown import markdown
from atoll.spaces.recipes.recipe import Recipe

PRUNED = "prune_channels(ratio=0.25)"
ENSEMBLE = f"{PRUNED} -> quantize(bits=8)"
FAILED = "cluster(clusters=8)"
SHIPPED = {"model.tflite", "model.safetensors", "recipe.json", "waterfall.svg", "confusion.svg"}
FILES = SHIPPED | {"card.json", "MODEL_CARD.md"}


@dataclass
class Made:
    """A store with a baseline, two finished trials and a failed one, all really carried out."""

    store: Store
    study: Study

    @property
    def stored(self) -> StoredStudy:
        return choose_study(self.store, None)

    def trial(self, recipe: str) -> TrialRow:
        return next(row for row in self.store.trials() if row["recipe"] == recipe)

    def export(self, out: Path, recipe: str = ENSEMBLE, **more: Any) -> dict[str, Any]:
        return export_trial(self.store, self.stored, self.trial(recipe), out, **more).to_json()


@pytest.fixture(scope="module")
def made(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Made:
    study = Study.create(
        {"task": "tiny", "epochs_per_step": 1.0, "constraints": ["quality_drop <= 0.9"], "finalists": 1}
    )
    store = Store(tmp_path_factory.mktemp("store") / "atoll.duckdb")

    def failing(request: Any) -> Any:
        if str(request.recipe) == FAILED:
            raise AtollError("training diverged")
        return evaluate(request)

    def choose(campaign: Any) -> None:
        for recipe in (PRUNED, ENSEMBLE):
            evaluate_single(campaign, Recipe.parse(recipe), lambda text: None, failing)
        with pytest.raises(AtollError, match="failed: training diverged"):
            evaluate_single(campaign, Recipe.parse(FAILED), lambda text: None, failing)

    run_here(study, store, choose)
    return Made(store, study)


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Made:
    """The same store for a test that writes to it."""
    shutil.copytree(made.store.path.parent, tmp_path / "store")
    return Made(Store(tmp_path / "store" / "atoll.duckdb"), made.study)


@pytest.fixture
def living_driver_elsewhere(copy: Made) -> Iterator[None]:
    """Another process holds the driver's lock of the copied store."""
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom atoll.search.store.driver_lock import DriverLock\n"
        "with DriverLock(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(100)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(copy.store.lock_path)], stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
        process.kill()


def announce(store: Store, recipe: str) -> None:
    """Journals a trial that is being evaluated."""
    key = {"study": store.studies()[-1]["study"], "trial": "t0099"}
    about = {
        "recipe": recipe,
        "recipe_digest": Recipe.parse(recipe).digest,
        "seed": 0,
        "epochs_per_step": 1.0,
    }
    store.journal.append(event_from_json({"type": "proposed", **key, **about, "origin": "search"}))
    store.journal.append(event_from_json({"type": "started", **key}))


# The folder ---------------------------------------------------------------------------------------------


def test_the_folder_holds_what_ships_and_what_is_known_of_it(made: Made, tmp_path: Path) -> None:
    card = made.export(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert json.loads((tmp_path / "out" / "card.json").read_text()) == card
    for name, digest in card["files"].items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == digest
    assert set(card["files"]) == SHIPPED
    text = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert text.startswith(f"# {ENSEMBLE}\n")
    for command in card["commands"]:
        assert command in text


def test_the_card_shows_the_samples_on_which_file_and_network_are_furthest_apart(
    made: Made, tmp_path: Path
) -> None:
    card = made.export(tmp_path / "shown", PRUNED)
    assert {path.name for path in (tmp_path / "shown").iterdir()} == FILES | {"disagreements.svg"}
    worst = card["samples"]["disagreements"]
    network, _ = load_bundle(tmp_path / "shown")
    validation = trial_pipeline(made.study, made.trial(PRUNED)).dataset.validation
    found = outputs_of(run_artifact((tmp_path / "shown" / "model.tflite").read_bytes(), validation.images))
    apart = (found - predict_logits(network, validation.images)).abs().amax(dim=1)
    assert [one["difference"] for one in worst] == pytest.approx(sorted(apart.tolist())[:-6:-1], rel=1e-3)
    assert [one["label"] for one in worst] == [int(validation.labels[one["sample"]]) for one in worst]
    assert sum(map(sum, card["samples"]["matrix"])) == len(validation)
    right = sum(row[place] for place, row in enumerate(card["samples"]["matrix"]))
    assert right / len(validation) == card["artifact"]["quality"]
    told = (tmp_path / "shown" / "MODEL_CARD.md").read_text()
    assert "](disagreements.svg)" in told and f"on image {worst[0]['sample']}." in told
    made.export(tmp_path / "left out", PRUNED, thumbnails=False)
    assert {path.name for path in (tmp_path / "left out").iterdir()} == FILES
    assert "Thumbnails of them were left out." in (tmp_path / "left out" / "MODEL_CARD.md").read_text()


def test_what_ships_is_what_was_trained(made: Made, tmp_path: Path) -> None:
    card = made.export(tmp_path)
    trial = made.trial(ENSEMBLE)
    network, about = load_bundle(tmp_path)
    assert about["weights_digest"] == card["weights_digest"] == trial["weights_digest"]
    assert card["remarks"] == [
        f"quality equals the stored trial's: {trial['quality']}",
        "weights equal the stored trial's",
    ]
    validation = trial_pipeline(made.study, trial).dataset.validation
    found = verify_artifact(tmp_path / "model.tflite", network, validation.images, validation.labels)
    assert card["artifact"]["agreement"] == found.agreement >= 0.99
    assert card["artifact"]["images"] == len(validation)
    assert card["metrics"]["quality"] == trial["quality"] == pytest.approx(found.network_quality)
    assert card["artifact"]["model_bytes"] == trial["model_bytes"]
    assert card["artifact"]["model_bytes"] == (tmp_path / "model.tflite").stat().st_size
    assert [row["step"] for row in card["waterfall"]] == ["baseline", PRUNED, "quantize(bits=8)"]


def test_the_baseline_itself_can_be_exported(made: Made, tmp_path: Path) -> None:
    card = made.export(tmp_path, "baseline")
    assert len(card["waterfall"]) == 1
    assert card["metrics"]["model_bytes"] == card["baseline"]["model_bytes"]
    assert load_bundle(tmp_path)[1]["recipe"] == "baseline"


def test_exporting_twice_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    made.export(tmp_path / "a")
    made.export(tmp_path / "b")
    made.export(tmp_path / "b")  # over the files of an earlier one
    for name in SHIPPED:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_no_file_is_a_pickle(made: Made, tmp_path: Path) -> None:
    made.export(tmp_path)
    assert not any(path.read_bytes()[:2] in (b"\x80\x02", b"\x80\x04", b"PK") for path in tmp_path.iterdir())


def test_further_forms_lie_beside_and_are_verified(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = made.export(tmp_path, also=["pack", "c_array"])
    added = {"model.tflite.packed", "unpack.py", "unpack.c", "model_data.h", "micro_main.cc"}
    assert {path.name for path in tmp_path.iterdir()} == FILES | added
    assert added <= set(card["files"])
    by_form = {form["form"]: form for form in card["deliveries"]}
    assert set(by_form) == {"pack", "c_array"}
    for form in by_form.values():
        assert form["bytes"] == (tmp_path / form["file"]).stat().st_size
        assert markdown(form["holds"]) in (tmp_path / "MODEL_CARD.md").read_text()
    assert (
        unpack_content((tmp_path / "model.tflite.packed").read_bytes())
        == (tmp_path / "model.tflite").read_bytes()
    )
    assert f"atoll_tiny_{card['trial']}[" in (tmp_path / "model_data.h").read_text()
    assert main(["verify", str(tmp_path), "--format", "json"]) == 0
    rows = {row["figure"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["deliveries.0.bytes"]["verdict"] == "same"
    assert rows["deliveries.1.figures.arena_bytes"]["verdict"] == "same"
    made.export(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_an_unknown_form_is_refused_before_anything_is_written(made: Made, tmp_path: Path) -> None:
    with pytest.raises(AtollError, match="unknown form 'tensorrt'"):
        made.export(tmp_path / "out", also=["tensorrt"])
    assert not (tmp_path / "out").exists()


def test_a_form_that_fails_leaves_no_folder_or_the_one_that_was_there(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of several: all files but the card would lie there."""

    def refuse(*_: object) -> None:
        raise AtollError("model_data.h holds other bytes than model.tflite")

    card = made.export(tmp_path / "there")
    monkeypatch.setattr("atoll.evaluators.delivery.c_array.CArray.measure", refuse)
    for name in ("there", "new"):
        with pytest.raises(AtollError, match=r"model_data\.h holds other bytes"):
            made.export(tmp_path / name, also=["pack", "c_array"])
    assert {path.name for path in tmp_path.iterdir()} == {"there"}
    assert {path.name for path in (tmp_path / "there").iterdir()} == FILES
    assert json.loads((tmp_path / "there" / "card.json").read_text()) == card


def test_a_folder_of_something_else_is_refused_before_any_training(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "trial_pipeline", lambda *_: pytest.fail("it was made"))
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(AtollError, match=r"it holds 'mine\.txt', which is of no export"):
        made.export(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.txt"}


# Refusals -----------------------------------------------------------------------------------------------


@pytest.fixture
def another_network_s_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's last layer answers with its classes in another order."""

    def twisted(network: torch.nn.Module, shape: tuple[int, int, int]) -> bytes:
        from copy import deepcopy

        other = deepcopy(network)
        weight = other.get_parameter("classifier.dense2.weight.raw")
        with torch.no_grad():
            weight.copy_(weight.flip(0))
        return artifact_bytes(other, shape)

    monkeypatch.setattr(export_module, "artifact_bytes", twisted)


def test_a_file_that_disagrees_with_its_network_is_refused(
    made: Made, tmp_path: Path, another_network_s_file: None
) -> None:
    with pytest.raises(
        AtollError,
        match=r"the file agrees with its network on \d+\.\d\d % of 200 validation images, "
        r"allowed are 99 % at least or a quality within the noise of the split, \d\.\d\d %: got accuracy "
        r"\d+\.\d\d points worse \(--any-agreement",
    ):
        made.export(tmp_path / "out", PRUNED)
    assert not (tmp_path / "out").exists()


def test_it_is_written_where_the_user_insists(
    made: Made, tmp_path: Path, another_network_s_file: None
) -> None:
    card = made.export(tmp_path, PRUNED, any_agreement=True)
    assert card["artifact"]["agreement"] < 0.5
    assert f"{100 * card['artifact']['agreement']:.2f} % of them" in (tmp_path / "MODEL_CARD.md").read_text()


def reported(monkeypatch: pytest.MonkeyPatch, **changed: float) -> None:
    """What is measured of a file, some of it as given."""
    measured = export_module.report_samples

    def other(*about: Any) -> Any:
        report, samples = measured(*about)
        return replace(report, **changed), samples

    monkeypatch.setattr(export_module, "report_samples", other)


def test_a_file_that_is_as_good_as_its_network_is_not_refused_for_its_labels_alone(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies one standard error of 200 images below its network, less a hair, and says so."""
    quality = made.trial(PRUNED)["quality"]
    error = math.sqrt(quality * (1 - quality) / 200)
    reported(monkeypatch, agreement=0.9, quality=quality - 0.999 * error)
    card = made.export(tmp_path / "out", PRUNED)
    said = [remark for remark in card["remarks"] if "agrees with its network on 90.00 % of 200" in remark]
    assert len(said) == 1
    assert f"as good: accuracy {99.9 * error:.2f} points worse, within the noise" in said[0]
    assert said[0].endswith(f"{100 * error:.2f} %")
    assert markdown(said[0]) in (tmp_path / "out" / "MODEL_CARD.md").read_text()


def test_a_file_that_is_worse_by_more_than_the_noise_is_refused(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quality = made.trial(PRUNED)["quality"]
    worse = quality - 1.001 * math.sqrt(quality * (1 - quality) / 200)
    reported(monkeypatch, agreement=0.989, quality=worse)
    with pytest.raises(AtollError, match=r"on 98\.90 % of 200 .*: got accuracy .* points worse"):
        made.export(tmp_path / "out", PRUNED)


@pytest.fixture
def a_layer_left_float(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's last layer answers in float, as a writer would leave what it does not support."""

    def skipping(network: torch.nn.Module, shape: tuple[int, int, int]) -> bytes:
        from copy import deepcopy

        other = deepcopy(network)
        setattr(other.get_submodule("classifier.dense2"), "output_grid", None)  # noqa: B010
        return artifact_bytes(other, shape)

    monkeypatch.setattr(export_module, "artifact_bytes", skipping)


def test_a_file_that_is_float_where_integers_were_asked_for_is_refused(
    made: Made, tmp_path: Path, a_layer_left_float: None
) -> None:
    with pytest.raises(
        AtollError,
        match=r"the file has float tensors: .*(FULLY_CONNECTED|DEQUANTIZE) of .* makes .*\(--any-float",
    ):
        made.export(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert made.export(tmp_path / "out", any_float=True)["artifact"]["agreement"] > 0.9


def test_a_place_that_cannot_be_written_is_named(made: Made, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AtollError, match=f"cannot write the export to {tmp_path / 'file'}: File exists"):
        made.export(tmp_path / "file")


# Evicted weights ----------------------------------------------------------------------------------------


def test_evicted_weights_are_trained_again_and_said_to_be_the_same(made: Made, tmp_path: Path) -> None:
    shutil.rmtree(cache_dir())
    _pipeline.cache_clear()
    said: list[str] = []
    card = made.export(tmp_path, say=said.append)
    assert len(said) == 1
    assert f"{ENSEMBLE} is no longer in the step cache: it is trained again, about " in said[0]
    assert card["weights_digest"] == made.trial(ENSEMBLE)["weights_digest"]
    assert "weights equal the stored trial's" in card["remarks"]
    said.clear()
    made.export(tmp_path, say=said.append)
    assert said == []


def test_weights_that_came_out_otherwise_are_said_to_differ(made: Made, tmp_path: Path) -> None:
    trial = {**made.trial(ENSEMBLE), "weights_digest": "0" * 64, "quality": 0.123}
    card = export_trial(made.store, made.stored, trial, tmp_path).to_json()
    assert "weights DIFFER from the stored trial's" in card["remarks"]
    assert card["remarks"][0].startswith("quality differs from 0.123: the stored trial's: ")


def test_it_is_trained_with_the_trial_s_seed_budget_and_threads(made: Made) -> None:
    before = torch.get_num_threads()
    try:
        trial = {**made.trial(ENSEMBLE), "seed": 5, "threads": 2, "epochs_per_step": 0.4}
        pipeline = trial_pipeline(made.study, trial)
        settings = pipeline.settings
        assert (settings.seed, settings.threads, settings.epochs_per_step) == (5, 2, 0.4)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# Beside a search ----------------------------------------------------------------------------------------


def test_it_only_reads_a_store_that_another_process_drives(
    copy: Made, tmp_path: Path, living_driver_elsewhere: None
) -> None:
    announce(copy.store, FAILED)
    files = (copy.store.path, copy.store.journal_path, copy.store.lock_path)
    before = [file.read_bytes() for file in files]
    card = copy.export(tmp_path / "out")
    assert card["trial"] == copy.trial(ENSEMBLE)["trial"]
    assert [file.read_bytes() for file in files] == before
    assert living_driver(copy.store.lock_path) is not None


def test_measuring_the_finalists_ends_no_running_trial(copy: Made) -> None:
    """The driver measures while it holds the lock; what it announced before goes on."""
    said: list[str] = []
    with copy.store.lock():
        announce(copy.store, "binarize")
        measured = measure_finalists(copy.store, copy.study, said.append)
        assert copy.trial("binarize")["status"] == "running"
        baseline = copy.trial("baseline")["trial"]
        assert measured[0] == baseline
        assert len(measured) == 2  # and one finalist, as the study says
        assert said[2:] == ["timing 2 files in turns on this machine"]
        best = choose_trial(copy.store, copy.stored, "best")
        assert best["trial"] == measured[1]
        assert best["model_bytes_measured"] == best["model_bytes"]
        assert 0 <= best["test_quality"] <= 1
        for quantity in ("latency_host_ms", "peak_memory_host_bytes"):
            assert best[f"{quantity}_measured"] > 0
            assert best[f"{quantity}_low"] < best[quantity] < best[f"{quantity}_high"]
        assert best["latency_host_status"]
        looks = copy.store.query("SELECT trial FROM test_look_rows ORDER BY trial").to_pylist()
        assert [look["trial"] for look in looks] == sorted(measured)
        assert (
            measure_finalists(copy.store, copy.study, said.append) == []
        )  # the test split is looked at once


@pytest.mark.slow
def test_every_seed_of_a_finalist_is_tested_once_after_the_choice(
    copy: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = SimpleNamespace(to_event=lambda: {"latency_host_ms": 1.0, "latency_host_ms_measured": 1.0})
    monkeypatch.setattr(export_module, "host_figures", lambda contents: [timed] * len(contents))

    def further_seeds(campaign: Campaign) -> None:
        campaign.end_reason = "enough"
        while (trial := campaign.next()) is not None:
            campaign.end(trial.name, carry_out(campaign.work(trial).to_json()))

    run_here(copy.study, copy.store, further_seeds)
    assert copy.store.studies()[0]["test_looks"] == 0
    best = choose_trial(copy.store, copy.stored, "best")
    with copy.store.lock():
        measured = measure_finalists(copy.store, copy.study, lambda text: None)
        assert measure_finalists(copy.store, copy.study, lambda text: None) == []
    tested = {(r["recipe"], r["seed"]): r for r in copy.store.trials() if r["test_quality"] is not None}
    assert {row["trial"] for row in tested.values()} == set(measured)
    assert tested.keys() == {(recipe, seed) for recipe in ("baseline", best["recipe"]) for seed in range(3)}
    assert choose_trial(copy.store, copy.stored, "best")["trial"] == best["trial"], "no test decides"
    looks = copy.store.query("SELECT trial FROM test_looks").to_pylist()
    assert sorted(look["trial"] for look in looks) == sorted(measured)
    # the seed that ships is measured whole and timed, the others are tested alone
    whole = {row["trial"] for row in tested.values() if row["latency_host_ms_measured"] is not None}
    assert best["trial"] in whole and len(whole) == len({best["seed"], 0}) + 1
    assert {row["trial"] for row in tested.values() if row["agreement"] is not None} == whole
    drops = [
        tested["baseline", seed]["test_quality"] - tested[best["recipe"], seed]["test_quality"]
        for seed in range(3)
    ]
    (row,) = (row for row in copy.stored.ranked(copy.store.trials()) if row["recipe"] == best["recipe"])
    assert row["test_drop"] == pytest.approx(statistics.fmean(drops))
    assert row["test_drop_error"] == pytest.approx(statistics.stdev(drops) / 3**0.5)
    assert row["test_gap"] == pytest.approx(statistics.fmean(drops) - row["quality_drop"])
    card = export_trial(copy.store, copy.stored, best, tmp_path / "out").to_json()
    (said,) = (remark for remark in card["remarks"] if remark.startswith("mean over its seeds: "))
    assert f"on the test split (files) {100 * abs(row['test_drop']):.2f} points " in said


def test_the_card_shows_the_stored_look_at_the_test_split(copy: Made, tmp_path: Path) -> None:
    with copy.store.lock():
        measured = measure_finalists(copy.store, copy.study, lambda text: None)
    best = choose_trial(copy.store, copy.stored, "best")
    card = export_trial(copy.store, copy.stored, best, tmp_path / "out").to_json()
    assert best["trial"] in measured
    for looks, trial in (("test_looks", best), ("baseline_test_looks", copy.trial("baseline"))):
        (look,) = card[looks]
        assert look["quality"] == trial["test_quality"]
        assert look["command"] == "search"
    assert f"{100 * best['test_quality']:.2f} %" in (tmp_path / "out" / "MODEL_CARD.md").read_text()


def test_the_card_s_commands_make_the_same_file_again(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an empty folder, with nothing in the cache."""
    card = made.export(tmp_path / "first")
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for command in card["commands"]:
        program, *words = shlex.split(command)
        assert program == "atoll"
        assert main(words) == 0
    (again,) = (tmp_path / "empty" / "exports").iterdir()
    for name in ("model.tflite", "model.safetensors", "recipe.json"):
        assert (again / name).read_bytes() == (tmp_path / "first" / name).read_bytes(), name


# The command --------------------------------------------------------------------------------------------


def test_the_command_exports_the_best_below_the_current_folder(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    best = choose_trial(made.store, made.stored, "best")
    assert main(["export", "best", "--store", str(made.store.path), "--format", "json"]) == 0
    out = capsys.readouterr().out
    row = json.loads(out) if out.lstrip().startswith("{") else json.loads(out)[0]
    folder = tmp_path / "exports" / f"{made.study.study_name}-{best['trial']}"
    assert tmp_path / row["folder"] == folder
    assert {path.name for path in folder.iterdir()} == FILES
    assert row["agreement"] >= 0.99
    assert row["images"] == 200
    assert row["model_bytes"] == (folder / "model.tflite").stat().st_size


def test_the_command_prints_file_packed_and_payload_bytes_side_by_side(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "export",
        ENSEMBLE,
        "--store",
        str(made.store.path),
        "--output",
        str(tmp_path),
        "--format",
        "json",
    ]
    assert main([*words, "--pack", "--also", "c_array", "--c-array"]) == 0
    captured = capsys.readouterr()
    (row,) = json.loads(captured.out)
    for name, file in (
        ("model", "model.tflite"),
        ("pack", "model.tflite.packed"),
        ("c_array", "model_data.h"),
    ):
        assert row[f"{name}_bytes"] == (tmp_path / file).stat().st_size
    assert row["payload_bytes"] == made.trial(ENSEMBLE)["payload_bytes"]
    assert row["pack_bytes"] <= row["packed_bytes"] + 64 < row["model_bytes"]
    assert 0 < row["structure_bytes"] < row["model_bytes"]
    assert "model_data.h holds model.tflite as the array" in captured.err
    assert "dropped from model.tflite: names of tensors" in captured.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["best", "--also", "onix"], "unknown form 'onix'"),
        (["t9999"], "no trial 't9999' in study"),
        (["best", "--study", "nothing"], "no study 'nothing' in"),
        (["best", "--profile", "fastest"], "fastest"),
    ],
)
def test_wrong_input_ends_with_one_sentence(
    made: Made, words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *words, "--store", str(made.store.path), "--output", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


def test_a_failed_trial_is_refused_with_its_reason(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    name = made.trial(FAILED)["trial"]
    assert main(["export", name, "--store", str(made.store.path)]) == 2
    assert "is failed (training diverged): only a finished one can be exported" in capsys.readouterr().err


def test_a_missing_store_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--store", str(tmp_path / "none.duckdb")]) == 2
    assert "no store at" in capsys.readouterr().err
