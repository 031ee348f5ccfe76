"""`atoll ablate` on replayed results, whose figures follow from a formula, and once on trained ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.steps.work import Outcome, Work
from atoll.search.commands.cli import main
from atoll.search.driver import work
from atoll.search.store.store import Store
from atoll.spaces.errors import AtollError
from atoll.testing import Replay

#: of the made-up effects: pruning costs 0.002 of quality, clusters 0.004, a tenth more each place further on
RECIPE = "prune_weights(ratio=0.5) -> cluster(clusters=16)"
STORE, RUNS = Path("atoll.duckdb"), Path("atoll-ablations.duckdb")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def found(replayed: None, capsys: pytest.CaptureFixture[str]) -> str:
    """Returns the name of a trial in a store."""
    assert main(["evaluate", RECIPE, "--format", "json"]) == 0
    return str(json.loads(capsys.readouterr().out)[0]["trial"])


def ablate(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, Any]], str]:
    status = main(["ablate", *words, "--format", "json"])
    printed = capsys.readouterr()
    return status, json.loads(printed.out or "[]"), printed.err


def test_the_table_says_what_order_and_steps_were_worth(
    found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, rows, said = ablate(capsys, found)
    assert status == 0
    assert [row["variant"] for row in rows] == [
        "as found",
        "other order",
        "without prune_weights(ratio=0.5)",
        "without cluster(clusters=16)",
    ]
    assert rows[0]["recipe"] == RECIPE and rows[0]["worse_by"] is None
    # 0.002 + 1.1 * 0.004 as found, 0.004 + 1.1 * 0.002 the other way round
    assert [row["quality_drop"] for row in rows] == pytest.approx([0.0064, 0.0062, 0.004, 0.002])
    assert [row["worse_by"] for row in rows[1:]] == pytest.approx([-0.0002, -0.0024, -0.0044])
    assert rows[0]["compression_ratio"] == pytest.approx(1 / (0.7 * 0.3), rel=1e-3)
    assert [row["quality_std"] for row in rows] == [None] * 4
    assert "of 1 other orders 0 end better than the trial's and 0 worse: the best is 0.02 points" in said
    assert "one seed: a difference may be luck, and --seeds 3 shows the spread" in said


def test_the_runs_are_no_trials_of_the_study(found: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = STORE.read_bytes(), Path("atoll.journal.jsonl").read_bytes()
    ablate(capsys, found)
    assert (STORE.read_bytes(), Path("atoll.journal.jsonl").read_bytes()) == before
    (theirs,), (study,) = Store(RUNS).studies(), Store(STORE).studies()
    assert theirs["digest"] == study["digest"], "what decides a result is the same"
    assert len(Store(RUNS).trials()) == 5, "baseline, the trial and three more"


def test_seeds_show_the_spread(
    found: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, replay: Replay
) -> None:
    luck = {0: 0.0, 1: 0.01, 2: 0.02}

    def evaluated(work: Work) -> Outcome:
        outcome = replay(work)
        is_other = str(work.recipe).startswith("cluster(clusters=16) -> ")
        assert outcome.metrics is not None
        told = outcome.metrics.to_json()
        told["quality"] -= luck[work.settings.seed] * (2 if is_other else 1)
        return Outcome("finished", metrics=type(outcome.metrics).from_json(told), seconds=1.0)

    monkeypatch.setattr(work, "evaluate", evaluated)
    status, rows, said = ablate(capsys, found, "--seeds", "3")
    assert status == 0 and "one seed" not in said
    assert [row["n"] for row in rows] == [3] * 4
    # the baseline of each seed is as unlucky as what stands beside it: a drop is paired
    assert [row["quality_drop"] for row in rows] == pytest.approx([0.0064, 0.0162, 0.004, 0.002])
    assert [row["quality_std"] for row in rows] == pytest.approx([0.01, 0.02, 0.01, 0.01])
    assert rows[1]["worse_by"] == pytest.approx(0.0098) and rows[1]["worse_by_std"] == pytest.approx(0.01)
    assert rows[2]["worse_by_std"] == pytest.approx(0.0, abs=1e-12)
    # 0.0098 is more than 0.01 / sqrt(3), by which the mean of three such seeds is uncertain
    assert "of 1 other orders 0 end better than the trial's and 1 worse, beyond the standard error" in said


def test_an_interrupted_ablation_goes_on_where_it_was(
    found: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, replay: Replay
) -> None:
    ran: list[str] = []

    def until(last: int) -> None:
        def evaluated(work: Work) -> Outcome:
            if len(ran) == last:
                raise KeyboardInterrupt
            ran.append(str(work.recipe))
            return replay(work)

        monkeypatch.setattr(work, "evaluate", evaluated)

    until(3)
    status, rows, said = ablate(capsys, found)
    assert (status, rows) == (130, [])
    assert "interrupted; what ended is in atoll-ablations.duckdb: go on with the same command" in said
    assert ran == ["baseline", RECIPE, "cluster(clusters=16)"]
    until(100)
    status, rows, said = ablate(capsys, found)
    assert status == 0 and len(rows) == 4
    assert ran[3:] == ["prune_weights(ratio=0.5)", "cluster(clusters=16) -> prune_weights(ratio=0.5)"]
    assert "2 of 4 recipes to evaluate" in said
    assert ablate(capsys, found)[1] == rows and len(ran) == 5, "a third time nothing runs"


def test_the_time_is_foretold_from_the_trials_own_steps(
    found: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, replay: Replay
) -> None:
    rows = [
        {"step": "prune_weights(ratio=0.5)", "seconds": 30.0},
        {"step": "cluster(clusters=16)", "seconds": 60.0},
    ]
    monkeypatch.setattr(Store, "steps", lambda *_: rows)
    said = ablate(capsys, found)[2]
    # cluster; then pruning after it; what begins like the trial is trained: 60 + 30 seconds
    assert "4 of 4 recipes to evaluate, by 1 seed(s): about 2 minutes for 2 steps to train" in said
    assert "3 of 4, about 30 seconds left: prune_weights(ratio=0.5): " in said


def test_an_order_that_fails_or_reaches_nothing_has_its_reason(
    found: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, replay: Replay
) -> None:
    def evaluated(work: Work) -> Outcome:
        if str(work.recipe).startswith("cluster(clusters=16) -> "):
            raise AtollError("training diverged")
        return replay(work)

    def price(recipe: Any, task: str, device: str) -> None:
        if str(recipe) == "cluster(clusters=16)":
            raise AtollError("touches no layer")

    monkeypatch.setattr(work, "evaluate", evaluated)
    monkeypatch.setattr("atoll.search.ablation.plan.pricer_of", lambda study: lambda one: price(one, "", ""))
    status, rows, _ = ablate(capsys, found)
    assert status == 0
    assert [(row["n"], row["status"], row["reason"]) for row in rows] == [
        (1, "finished", None),
        (0, "failed", "training diverged"),
        (1, "finished", None),
        (0, "rejected", "touches no layer"),
    ]
    assert main(["ablate", found]) == 0
    table = capsys.readouterr().out
    assert "training diverged" in table and "touches no layer" in table


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["t0099"], "no trial 't0099' in study"),
        (["t0001"], "which has no other order"),
        (["t0002", "--study", "nobody"], "no study 'nobody' in atoll.duckdb"),
        (["t0002", "--seeds", "0"], "--seeds"),
        (["t0002", "--store", "no.duckdb"], "no store at no.duckdb"),
    ],
)
def test_wrong_input_ends_in_one_sentence(
    found: str, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    status, rows, said = ablate(capsys, *words)
    assert (status, rows) == (2, []) and message in said and said.count("\n") == 1
    assert not RUNS.exists()


@pytest.mark.slow
def test_a_trained_trial_is_taken_apart(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = "prune_weights(ratio=0.5) -> quantize(bits=8)"
    assert main(["evaluate", recipe, "--epochs", "0.1", "--format", "json"]) == 0
    (own,) = json.loads(capsys.readouterr().out)
    status, rows, said = ablate(capsys, recipe)
    assert status == 0
    assert rows[0]["quality"] == own["quality"], "read back from the step cache, bit for bit"
    assert all(row["status"] == "finished" for row in rows) and len(rows) == 4
    assert rows[2]["model_bytes"] < rows[3]["model_bytes"], "without pruning 8 bits, without 8 bits float"
    assert all(step["cached"] for step in Store(RUNS).steps(Store(RUNS).studies()[0]["study"], "t0002"))
    assert "for 2 steps to train" in said, "quantize, and pruning after it; the trial's own are in the cache"
