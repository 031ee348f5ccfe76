"""`atoll show`: a trial from its beginning to its end, however that was."""

import json
import shlex

import pytest
from atoll.search.commands import cli
from atoll.search.store.store import Store
from atoll.search.story.remarks import remarks

QUANTIZE, SVD = "quantize(bits=8)", "svd(rank=0.5)"


@pytest.fixture
def show(store: Store, capsys, monkeypatch):
    """Runs `atoll show` on 80 columns; returns exit status, stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words):
        status = cli.main(["show", *words, "--store", str(store.path)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def whole(show, trial):
    status, out, _ = show(trial, "--format", "json")
    assert status == 0
    return json.loads(out)


def test_steps_begin_at_the_baseline_and_name_who_made_them(show):
    steps = whole(show, "t0003")["steps"]
    assert [(step["position"], step["made_by"]) for step in steps][1:] == [(1, "t0002"), (2, "t0003")]
    assert [step["quality_drop"] for step in steps] == [None, pytest.approx(0.02), pytest.approx(0.025)]
    assert [step["model_bytes"] for step in steps] == [1_000_000, 400_000, 100_000]


def test_a_drop_is_against_the_baseline_of_the_same_seed(show):
    steps = whole(show, "t0006")["steps"]
    assert steps[0]["quality"] == pytest.approx(0.89)
    assert steps[2]["quality_drop"] == pytest.approx(0.024)


def test_time_place_and_siblings(show):
    story = whole(show, "t0003")
    assert (story["seconds_here"], story["seconds_saved"]) == (6.0, 3.0)
    assert (story["place"]["rank"], story["place"]["of"], story["place"]["n"]) == (1, 4, 2)
    assert [(row["trial"], row["seed"]) for row in story["siblings"]] == [("t0006", 1)]


def test_the_table_fits_80_columns_and_escapes_what_is_foreign(show):
    status, out, err = show("t0003")
    assert (status, err) == (0, "")
    commands = out.split("again, in a store")[1]
    assert all(len(line) <= 80 for line in out.removesuffix(commands).splitlines())
    for said in (
        "rank 1 of 4",
        "2.45 points worse ± 0.05 points, mean of 2 seeds",
        "t0006 (seed 1) finished 86.60 %",
        "bits: 8 (conv2, conv3)",
        "left alone: too small\\x1b[31m (conv1)",
        "steps made here 6 seconds, cached ones saved 3 seconds",
    ):
        assert said in " ".join(out.split()), said


def test_the_commands_train_the_same_again(show):
    commands = whole(show, "t0006")["commands"]
    recipe = "prune_channels(ratio=0.5) -> quantize(bits=8)"
    words = ["atoll", "evaluate", recipe, "--task", "digits", "--seed", "1", "--epochs", "2"]
    assert shlex.split(commands[0]) == words
    assert shlex.split(commands[1]) == ["atoll", "export", "t0006", "--study", "s"]


def test_why_a_trial_is_not_finished(show):
    assert "status failed: out of memory" in " ".join(show("t0008")[1].split())
    out = " ".join(show("t0009")[1].split())
    assert "status rejected: latency_ms 1.25" in out
    assert "breaks latency_ms <= 1 by 25 % of the bound" in out
    assert "quality_drop <= 0.1 by" not in out
    assert "atoll export" not in out


@pytest.mark.parametrize(
    ("words", "trial"),
    [
        ((), "t0003"),
        (("best",), "t0003"),
        (("svd(rank=0.5) -> quantize(bits=8)",), "t0004"),
        (("t0001",), "t0001"),
    ],
)
def test_a_trial_is_named_by_itself_its_recipe_or_best(show, words, trial):
    assert json.loads(show(*words, "--format", "json")[1])["trial"]["trial"] == trial


def test_csv_has_the_steps(show):
    lines = show("t0003", "--format", "csv")[1].splitlines()
    assert lines[0].startswith("position,step,stage") and len(lines) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("t003",), "no trial 't003' in study 's'; did you mean 't0003'?"),
        (("t0003", "--study", "z"), "no study 'z'"),
    ],
)
def test_wrong_inputs_are_one_sentence(show, words, message):
    status, out, err = show(*words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        (None, []),
        ({}, []),
        ("text", ["text"]),
        (
            {"fates": {"a": [["grid", "carried over"]], "b": [["grid", "carried over"]]}},
            ["fates: grid carried over (a, b)"],
        ),
        ({"left_alone": ["a", "b"]}, ["left alone: a, b"]),
        ({"bits": {name: 8 for name in "abcde"}}, ["bits: 8 (a, b, c and 2 more)"]),
        ({"error": {"a": 0.1, "b": 0.25, "c": 0.3, "d": 0.2}}, ["error: 0.1 (a) to 0.3 (c), of 4"]),
        ({"cut": True, "note": "", "deep": {"a": {"b_c": 1}}}, ["cut: yes", "deep: b c 1 (a)"]),
        ([1, {"a": 2}], ["1, a 2"]),
    ],
)
def test_notes_in_words(notes, said):
    assert remarks(notes) == said
