"""`atoll rank` from file to table."""

import csv
import json
from pathlib import Path

import pytest
from atoll.search.commands.cli import main

DATA = Path(__file__).parents[2] / "data"
PUB1 = str(DATA / "pub1_table2.csv")
THESIS = str(DATA / "thesis_table6.csv")
PUB1_OPTIONS = (
    "--weights",
    "model_size_kb=8,accuracy_pct=10,inference_time_ms=6,computational_cost_mflops=6,peak_memory_kb=7",
    "--scoring",
    "dense",
    "--score",
    "accuracy_pct=linear",
)
HEADER = "name,accuracy_pct,macs\n"


@pytest.fixture
def rank(capsys):
    def run(*words):
        status = main(["rank", *map(str, words)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "models.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def _published(path, score, rank):
    with open(path) as stream:
        return {row["model"]: (float(row[score]), int(row[rank])) for row in csv.DictReader(stream)}


def test_pub1_table_5(rank):
    status, out, err = rank(PUB1, *PUB1_OPTIONS, "--format", "json")
    assert (status, err) == (0, "")
    rows = json.loads(out)
    published = _published(PUB1, "published_score", "published_rank")
    assert [row["rank"] for row in rows] == list(range(1, 11))
    assert {row["name"]: row["rank"] for row in rows} == {name: rank for name, (_, rank) in published.items()}
    scores = {row["name"]: row["score"] for row in rows}
    assert scores.pop("binarized") == pytest.approx(8.0757, abs=5e-5)
    assert {name: round(score, 2) for name, score in scores.items()} == {
        name: score for name, (score, _) in published.items() if name != "binarized"
    }


def test_thesis_table_10(rank):
    status, out, err = rank(THESIS, "--profile", "performance", "--scoring", "rank", "--format", "json")
    assert (status, err) == (0, "")
    published = _published(THESIS, "published_performance_score", "published_performance_rank")
    assert {row["name"]: (round(row["score"], 2), row["rank"]) for row in json.loads(out)} == published


def test_table_and_csv(rank):
    _, out, _ = rank(PUB1, *PUB1_OPTIONS)
    assert "8.0757" in out and "1 to 10" in out
    _, out, _ = rank(PUB1, *PUB1_OPTIONS, "--format", "csv")
    assert out.splitlines()[0] == "name,score,rank"


def test_the_ratios_weight_goes_to_the_size_and_back(rank):
    named = rank(PUB1, "--weights", "model_size_kb=8,accuracy_pct=10", "--format", "json")
    transferred = rank(PUB1, "--weights", "compression_ratio=8,accuracy_pct=10", "--format", "json")
    assert named == transferred
    named = rank(THESIS, "--weights", "compression_ratio=8,accuracy_pct=10", "--format", "json")
    transferred = rank(THESIS, "--weights", "model_size_kb=8,accuracy_pct=10", "--format", "json")
    assert named == transferred


def test_a_profile_weighs_the_size_like_the_ratio(rank):
    profile = rank(PUB1, "--profile", "memory", "--format", "json")
    weights = (
        "model_size_kb=2,inference_time_ms=2,computational_cost_mflops=1,accuracy_pct=3,peak_memory_kb=5"
    )
    assert profile == rank(PUB1, "--weights", weights, "--format", "json")


def test_our_own_column_names(rank, file):
    path = file(
        "recipe,quality,model_bytes,latency_ms,macs,peak_memory_bytes,note\n"
        "baseline,0.9,400,4,4000,40,x\nquantize(bits=8),0.9,100,1,1000,10,y\n"
    )
    status, out, err = rank(path, "--format", "json")
    assert (status, err) == (0, "")
    best, baseline = json.loads(out)
    assert best == {"name": "quantize(bits=8)", "score": 2.0, "rank": 1}
    # Of two models: 2 for the shared quality, 1 for the four others, equal weights.
    assert baseline["score"] == pytest.approx(6 / 5)


def test_ratio_and_size_count_once_and_it_is_said(rank, file):
    path = file("name,compression_ratio,model_bytes,accuracy_pct\na,4,100,90\nb,2,200,91\n")
    status, _, err = rank(path)
    assert status == 0
    assert "compression_ratio takes the weight for compression, model_bytes none" in err
    assert "no column for time: its weight 3 is left out" in err


def test_only_weighted_columns_are_read(rank, file):
    path = file(HEADER + "a,90,unknown\nb,80,\n")
    status, out, _ = rank(path, "--weights", "accuracy_pct=1", "--format", "json")
    assert status == 0
    assert [row["name"] for row in json.loads(out)] == ["a", "b"]


def test_byte_order_mark_blank_lines_and_spaces(rank, file):
    path = file("\ufeffname, accuracy_pct\n\na, 90\n\nb, 80\n")
    status, out, _ = rank(path, "--weights", "accuracy_pct=1", "--format", "json")
    assert status == 0
    assert [row["score"] for row in json.loads(out)] == [2, 1]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", "", "is empty"),
        ("\n\n", "", "is empty"),
        (HEADER, "", "has a header but no models"),
        ("name,colour\na,red\n", "", "has no metric columns (found colour): known are compression_ratio,"),
        (
            HEADER + "a,90,1\nb,good,2\n",
            "",
            "line 3, model 'b', accuracy_pct: got 'good', allowed is a number",
        ),
        (HEADER + "a,90,1\nb,,2\n", "", "line 3, model 'b', accuracy_pct: got nothing, allowed is a number"),
        (HEADER + "a,nan,1\n", "", "line 2, model 'a', accuracy_pct: got 'nan', allowed is a number"),
        (HEADER + "a,90,-1\n", "", "line 2, model 'a', macs: got '-1', allowed is a number of 0 or more"),
        ("name,latency_ms\na,0\n", "", "latency_ms: got '0', allowed is a number above 0"),
        ("name,model_bytes\na,-5\n", "", "model_bytes: got '-5', allowed is a number above 0"),
        ("name;macs;quality\na;1;2\n", "", "got cells separated by semicolons (;), allowed are commas"),
        (HEADER + "a,90,1\na,80,2\n", "", "model 'a' is there twice"),
        ("name,macs,macs\na,1,2\n", "", "column 'macs' is there twice"),
        (HEADER + "a,90\n", "", "line 2: 2 cells, the header has 3"),
        (HEADER + ",90,1\n", "", "line 2: the model has no name in column 'name'"),
        ("name,macs,computational_cost_mflops\na,1,2\n", "", "are both cost; use --weights"),
        (HEADER + "a,90,1\n", "--profile speed", "unknown profile 'speed'"),
        (HEADER + "a,90,1\n", "--scoring ranks", "unknown scoring 'ranks': did you mean 'rank'?"),
        (HEADER + "a,90,1\n", "--score macs=lin", "unknown scoring 'lin'"),
        (HEADER + "a,90,1\n", "--score latency_ms=rank", "--score names 'latency_ms', which has no weight"),
        (HEADER + "a,90,1\n", "--score macs", "--score: 'macs' is not METRIC=VALUE"),
        (HEADER + "a,90,1\n", "--weights mac=1", "unknown metric 'mac': did you mean 'macs'?"),
        (
            HEADER + "a,90,1\n",
            "--weights latency_ms=1",
            "has no column 'latency_ms': its metric columns are macs, accuracy_pct",
        ),
        (HEADER + "a,90,1\n", "--weights macs=-1", "weight of macs is -1"),
        (HEADER + "a,90,1\n", "--weights macs=0,accuracy_pct=0", "no weight is above 0"),
        (HEADER + "a,90,1\n", "--weights macs=many", "--weights: macs='many' is not a number"),
        (HEADER + "a,90,1\n", "--weights macs=1,macs=2", "'macs' is given twice"),
        (HEADER + "a,90,1\n", "--weights ,", "--weights is empty"),
        (HEADER + "a,90,1\n", "--weights macs=1 --profile cost", "--profile and --weights are both given"),
        (
            "name,model_bytes\na,1\n",
            "--weights model_bytes=1,compression_ratio=1",
            "has no column 'compression_ratio'",
        ),
        (
            "name,model_bytes\na,1\n",
            "--weights model_size_kb=1,compression_ratio=1",
            "two weights fall on 'model_bytes'",
        ),
    ],
)
def test_bad_input_is_one_message(rank, file, text, options, message):
    status, out, err = rank(file(text), *options.split())
    assert (status, out) == (2, "")
    assert err.startswith("atoll: ") and err.count("\n") == 1
    assert message in err


def test_missing_file(rank, tmp_path):
    path = tmp_path / "none.csv"
    assert rank(path) == (2, "", f"atoll: {path}: No such file or directory\n")


def test_folder_instead_of_a_file(rank, tmp_path):
    status, _, err = rank(tmp_path)
    assert status == 2
    assert "Is a directory" in err


def test_not_text(rank, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\xff\xfe\x00TFL3")
    status, _, err = rank(path)
    assert status == 2
    assert "not a CSV file in UTF-8" in err


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ("", "is empty: expected METRIC=NUMBER"),
        (",", "METRIC=NUMBER"),
        ("macs=many", "macs='many' is not a number"),
        ("macs=nan", "macs='nan' is not a number"),
        ("macs=inf", "macs='inf' is not a number"),
    ],
)
def test_weights_that_are_no_numbers_are_one_sentence(rank, weights, sentence):
    status, out, err = rank(PUB1, *PUB1_OPTIONS, "--weights", weights)
    assert (status, out) == (2, "")
    assert sentence in err and err.count("\n") == 1
