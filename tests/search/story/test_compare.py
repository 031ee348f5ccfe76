"""`atoll compare`: which steps and figures differ, and which of that is no more than luck."""

import json

import duckdb
import pytest
from atoll.search.commands import cli
from atoll.search.store.store import Store
from atoll.search.story.comparison import aligned


@pytest.fixture
def compare(store, capsys, monkeypatch):
    """Runs `atoll compare` on 80 columns; returns exit status, stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words):
        status = cli.main(["compare", *words, "--store", str(store.path)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def figure(compare, name, *trials):
    status, out, _ = compare(*trials, "--format", "json")
    assert status == 0
    return next(one for one in json.loads(out)["figures"] if one["name"] == name)


@pytest.mark.parametrize(
    ("recipes", "rows"),
    [
        ([["a(1)", "b"], ["a(2)", "b"]], [("a(1)", "a(2)"), ("b", "b")]),
        ([["a", "b"], ["b", "a"]], [("", "b"), ("a", "a"), ("b", "")]),
        ([["a"], ["b"]], [("a", ""), ("", "b")]),
        ([[], ["a", "b"]], [("", "a"), ("", "b")]),
        ([["a", "c"], ["a", "b", "c"], ["b", "c"]], [("a", "a", ""), ("", "b", "b"), ("c", "c", "c")]),
        ([[], []], []),
    ],
)
def test_steps_are_aligned_and_none_is_lost(recipes, rows):
    assert aligned(recipes) == rows
    for place, steps in enumerate(recipes):
        assert [row[place] for row in aligned(recipes) if row[place]] == steps


def test_a_lead_is_held_against_the_noise_of_the_seeds_in_common(compare):
    """Drops by seed: 0.025 and 0.024 of one recipe, 0.04 and 0.031 of the other."""
    quality = figure(compare, "quality", "t0003", "t0004")
    assert quality["best"] == ["t0003"]
    assert quality["verdicts"] == [None, "clear"]
    assert quality["noise"][1] == {
        "worse_by": pytest.approx((0.015 + 0.007) / 2),
        "error": pytest.approx(0.004),
        "seeds": 2,
    }
    err = compare("t0003", "t0004")[2]
    assert (
        "t0004 is 1.10 points worse than t0003 ± 0.40 points (standard error over 2 seeds): more than" in err
    )


def test_one_seed_says_nothing_of_luck(compare):
    assert figure(compare, "quality", "t0003", "t0002")["verdicts"] == [None, "unknown"]
    assert "by one seed: whether that is luck is not known" in compare("t0003", "t0002")[2]


def test_what_is_counted_differs_and_what_is_predicted_may_be_within_its_intervals(compare):
    assert figure(compare, "macs", "t0003", "t0004", "t0006")["verdicts"] == [None, "differs", "same"]
    # 0.5 to 2 and 0.625 to 2.5 ms overlap, 2 to 8 ms and 0.5 to 2 touch, 2.5 to 10 and 0.5 to 2 do not
    latency = figure(compare, "latency_ms", "t0003", "t0004", "t0002", "svd(rank=0.5) -> quantize(bits=8)")
    assert latency["verdicts"] == [None, "within", "within"]
    assert figure(compare, "latency_ms", "t0003", "t0001")["verdicts"] == [None, "differs"]


def test_the_table_fits_80_columns_and_marks_what_differs(compare):
    status, out, _ = compare("t0003", "t0004", "t0001")
    assert status == 0
    assert all(len(line) <= 80 for line in out.splitlines())
    lines = [line.split() for line in out.splitlines()]
    assert [">", "step", "1", "pc.5"] in lines
    assert ["work", "[M", "MAC],", "less", "is", "better", "1.00", "*", "1.25", "10.00"] in lines
    assert "pc prune_channels(ratio); q quantize(bits); svd svd(rank)" in out
    assert "prune_channels(ratio=0.5)" in compare("t0003", "t0004", "--wide")[1]


def test_csv_has_the_long_steps(compare):
    lines = compare("t0003", "t0004", "--format", "csv")[1].splitlines()
    assert lines[0] == "what,t0003,t0004"
    assert "> step 1,prune_channels(ratio=0.5)," in lines


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_quality_of_somebody_elses_tables_that_is_no_number_is_none(writer, tmp_path, capsys, value):
    store = Store(tmp_path / "atoll.duckdb")
    study = writer(store)
    for recipe in ("svd(rank=0.5)", "quantize(bits=8)"):
        study.finish((recipe, 0.88, 400_000, False))
    assert store.fold()
    store.journal_path.unlink()
    with duckdb.connect(str(store.path)) as connection:
        connection.execute(f"UPDATE trial_rows SET quality = '{value}' WHERE trial = 't0002'")
    words = ["compare", "t0001", "t0002", "--store", str(store.path)]
    assert cli.main(words) == 0
    said = "".join(capsys.readouterr())
    assert "t0002 is" not in said and "nan" not in said and "inf" not in said
    assert cli.main([*words, "--format", "json"]) == 0
    quality = json.loads(capsys.readouterr().out)["figures"][0]
    assert (quality["values"], quality["best"]) == ([0.88, None], ["t0001"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("t0003",), "got the trials t0003, allowed are 2 to 8 different ones"),
        (("t0003", "best"), "got the trials t0003, allowed are 2 to 8 different ones"),
        (("t0003", "t04"), "no trial 't04' in study 's'; did you mean"),
        (("t0003", "t0004", "--study", "z"), "no study 'z'"),
    ],
)
def test_wrong_inputs_are_one_sentence(compare, words, message):
    status, out, err = compare(*words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
