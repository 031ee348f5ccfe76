"""`atoll leaderboard`: which study, which rows, in which order, and what is said when nothing qualifies."""

import csv
import io
import json

import duckdb
import pytest
from atoll.evaluators.ranking.figures import PACKED_ALONE
from atoll.evaluators.ranking.leaderboard import leaderboard
from atoll.evaluators.ranking.ranking import PROFILES
from atoll.search.commands import cli
from atoll.search.store.events import event_from_json
from atoll.search.store.store import Store

BASELINE = {
    "quality": 0.90,
    "quality_name": "accuracy",
    "model_bytes": 4_400_000,
    "payload_bytes": 4_400_000,
    "latency_ms": 22.0,
    "latency_ms_low": 20.0,
    "latency_ms_high": 24.0,
    "macs": 32_000_000,
    "peak_memory_bytes": 9_000_000,
}


def metrics(quality, shrink):
    """The baseline's figures at another quality, bytes divided by `shrink`, other costs by its root."""
    root = shrink**0.5
    costs = {"latency_ms": 22.0 / root, "latency_ms_low": 20.0 / root, "latency_ms_high": 24.0 / root}
    return BASELINE | costs | {
        "quality": quality,
        "model_bytes": round(4_400_000 / shrink),
        "macs": round(32_000_000 / root),
        "peak_memory_bytes": round(9_000_000 / root),
    }  # fmt: skip


SOUND = {"quantize(bits=8)": metrics(0.90, 4), "binarize": metrics(0.885, 29)}
WRECK = {"tensor_train(rank=1) -> binarize": metrics(0.09, 800)}


class Study:
    """Writes a study's events."""

    def __init__(self, store, name="s", created_at="2026-11-05T12:00:00Z", baseline=BASELINE, **definition):
        self.store, self.name, self.trials = store, name, 0
        definition = {"profile": "balanced", "constraints": ["quality_drop <= 0.02"]} | definition
        self.append(type="study", created_at=created_at, definition=definition)
        self.finished("baseline", baseline, origin="baseline")

    def append(self, **event):
        self.store.journal.append(event_from_json({"study": self.name, **event}))

    def finished(self, recipe, figures, seed=0, origin="search"):
        key = self.proposed(recipe, seed, origin)
        self.append(type="ended", status="finished", metrics=figures, **key)
        return self

    def proposed(self, recipe, seed=0, origin="search"):
        self.trials += 1
        key = {"trial": f"t{self.trials:04d}", "recipe_digest": recipe, "seed": seed, "epochs_per_step": 1.0}
        self.append(type="proposed", recipe=recipe, origin=origin, **key)
        return key

    def all(self, recipes):
        for recipe, figures in recipes.items():
            self.finished(recipe, figures)
        return self


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "atoll.duckdb")


@pytest.fixture
def command(store, capsys):
    """Runs `atoll leaderboard`; returns exit status, stdout and stderr."""

    def run(*options):
        status = cli.main(["leaderboard", "--store", str(store.path), *options])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def rows(command, *options):
    status, out, _ = command("--format", "json", *options)
    assert status == 0
    return json.loads(out)


@pytest.mark.parametrize("scoring", ["linear", "rank", "dense"])
@pytest.mark.parametrize("profile", PROFILES)
def test_ranks_as_the_papers_scheme_over_the_same_trials(store, command, profile, scoring):
    Study(store).all(SOUND)
    trials = [{"recipe": recipe, **figures} for recipe, figures in SOUND.items()]
    expected = leaderboard(trials, BASELINE, profile, scoring=scoring)
    got = rows(command, "--profile", profile, "--scoring", scoring)
    assert [(row["recipe"], row["rank"], row["score"]) for row in got] == [
        (row["recipe"], row["rank"], pytest.approx(row["score"])) for row in expected
    ]


def test_a_wreck_is_left_out_and_said_unless_all_are_asked_for(store, command):
    Study(store).all(SOUND | WRECK)
    _, out, err = command("--format", "json")
    assert {row["recipe"] for row in json.loads(out)} == {"baseline", *SOUND}
    assert "1 of 3 recipes miss the constraints and are not ranked (--all ranks them)" in err
    everything = {row["recipe"]: row for row in rows(command, "--all")}
    assert set(everything) == {"baseline", *SOUND, *WRECK}
    [wreck] = WRECK
    assert everything[wreck]["misses"] == "quality_drop 0.81, demanded <= 0.02"
    assert everything["binarize"]["meets"] is True


def test_packed_bytes_are_said_to_be_those_of_a_download(store, command):
    packed = {recipe: figures | {"packed_bytes": 50} for recipe, figures in SOUND.items()}
    base = BASELINE | {"packed_bytes": 100}
    Study(store, baseline=base).all(packed)
    assert PACKED_ALONE not in command()[2]
    bounded = ["quality_drop <= 0.02", "packed_bytes <= 90"]
    Study(store, "t", baseline=base, constraints=bounded).all(packed)
    assert PACKED_ALONE in command("--study", "t", "--explain")[2]


def test_when_nothing_meets_the_constraints_the_nearest_trial_is_named(store, command):
    Study(store).all(WRECK).finished("cluster(clusters=2)", metrics(0.85, 9))
    status, out, err = command("--format", "json")
    assert status == 0
    assert [row["recipe"] for row in json.loads(out)] == ["baseline"]
    assert (
        "no recipe of study 's' meets its constraints; the nearest is trial t0003, cluster(clusters=2), "
        "which misses: quality_drop 0.05, demanded <= 0.02"
    ) in err


def test_one_row_a_recipe_the_mean_over_its_seeds(store, command):
    study = Study(store)
    for seed, quality in enumerate((0.88, 0.90, 0.92)):
        study.finished("binarize", metrics(quality, 29), seed)
    [row] = [row for row in rows(command) if row["recipe"] == "binarize"]
    assert (row["n"], row["quality"], row["quality_std"]) == (3, pytest.approx(0.90), pytest.approx(0.02))
    assert row["quality_drop"] == pytest.approx(0.0)


@pytest.mark.parametrize("more_is_better", [True, False])
def test_test_drops_are_paired_by_seed_and_can_be_queried(store, command, more_is_better):
    """The test split makes the second seed of everything 0.1 luckier, which is no drop."""
    terms = {"quality_higher_is_better": more_is_better, "quality_unit": "mm", "quality_name": "q"}
    study = Study(store, baseline=BASELINE | terms, constraints=["quality_drop <= 9"])
    study.finished("baseline", BASELINE | terms, 1, "finalist")
    for seed in (0, 1):
        study.finished("binarize", metrics(0.88, 29) | terms, seed, "finalist" if seed else "search")
    for trial, test_quality in (("t0001", 0.8), ("t0002", 0.9), ("t0003", 0.75), ("t0004", 0.83)):
        study.append(type="measured", trial=trial, test_quality=test_quality)
    [row] = [row for row in rows(command) if row["recipe"] == "binarize"]
    sign = 1 if more_is_better else -1
    assert row["test_drop"] == pytest.approx(sign * 0.06)  # 0.05 and 0.07
    assert row["test_drop_error"] == pytest.approx(0.01)
    assert row["test_gap"] == pytest.approx(sign * (0.06 - 0.02))
    [found] = store.query(
        "SELECT avg(test_drop) AS mean, stddev(test_drop) / sqrt(count(*)) AS error FROM trials "
        "WHERE recipe = 'binarize' AND test_drop IS NOT NULL"
    ).to_pylist()
    assert found == {"mean": pytest.approx(row["test_drop"]), "error": pytest.approx(row["test_drop_error"])}


def test_how_stable_the_first_place_is_stands_under_the_table(store, command):
    """Drops of the first recipe's seeds are 0.00 and 0.01, of the second's 0.02 and 0.01: the same costs."""
    study = Study(store, constraints=["quality_drop <= 0.03"])
    study.finished("baseline", BASELINE, 1, "finalist")
    for recipe, qualities in (("binarize", (0.90, 0.89)), ("quantize(bits=8)", (0.88, 0.89))):
        for seed, quality in enumerate(qualities):
            study.finished(recipe, metrics(quality, 29), seed, "finalist" if seed else "search")
    status, out, err = command("--format", "json", "--profile", "performance")
    assert status == 0
    first = next(row for row in json.loads(out) if row["recipe"] == "binarize")
    assert first["lead"]["over"] == "t0005" and first["lead"]["is_clear"] is False
    # seed by seed: three recipes, best and worst in quality alone; weights of 15; then level
    assert first["lead"]["score"] == pytest.approx(2 * 5 / 15 / 2)
    assert first["lead"]["error"] == pytest.approx(2 * 5 / 15 / 2)
    assert first["overtaken"] is None
    assert "t0003 leads t0005 by 0.33 of the score ± 0.33 (standard error" in err
    assert "no change of one weight brings another recipe first" in err
    others = [row for row in json.loads(out) if row["recipe"] != "binarize"]
    assert all(row["lead"] is None and row["overtaken"] is None for row in others)


def test_the_newest_study_unless_another_is_named(store, command):
    Study(store, "new", "2026-11-06T00:00:00Z").finished("binarize", SOUND["binarize"])
    Study(store, "old", "2026-11-05T00:00:00Z").finished("quantize(bits=8)", SOUND["quantize(bits=8)"])
    assert {row["recipe"] for row in rows(command)} == {"baseline", "binarize"}
    assert {row["recipe"] for row in rows(command, "--study", "old")} == {"baseline", "quantize(bits=8)"}


def test_profile_and_constraints_are_the_studys_own(store, command):
    by_accuracy = {"accuracy": 1.0, "compression": 0.0, "time": 0.0, "cost": 0.0, "memory": 0.0}
    Study(store, profile=by_accuracy, constraints=["compression_ratio >= 20"]).all(SOUND | WRECK)
    # By accuracy alone the baseline leads, and the wreck, small enough, is last.
    assert [row["recipe"] for row in rows(command)] == ["baseline", "binarize", *WRECK]
    assert rows(command, "--profile", "efficiency")[0]["recipe"] != "baseline"


def test_a_limit_cuts_the_rows_and_not_the_ranking(store, command):
    Study(store).all(SOUND)
    assert rows(command, "--limit", "1") == rows(command)[:1]


def test_the_table_says_units_and_measured_counted_or_predicted(store, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # a line a sentence, however long the study's name
    Study(store, device="coral-dev-board").all(SOUND)
    status, out, _ = command()
    assert status == 0
    title = "s: profile balanced, scoring linear, quality_drop <= 0.02 and minimum_runtime <= 2.14.0"
    assert f"{title}; latency and memory on coral" in out
    for unit in ("accuracy", "kB", "M MAC", "ms", "MiB", "1 to 3"):
        assert unit in out
    assert "measured: quality, drop\n" in out
    assert "counted: work\n" in out
    assert "predicted: file, smaller, latency, memory\n" in out
    assert "4,400.0" in out  # kB
    # Nothing was exported and every recipe ran once: no empty columns.
    assert "test" not in out
    assert "+-" not in out


def test_csv_has_the_intervals_and_the_measured_columns(store, command):
    study = Study(store).all(SOUND)
    study.append(type="measured", trial="t0003", model_bytes_measured=150_000, test_quality=0.875)
    rows = {row["recipe"]: row for row in csv.DictReader(io.StringIO(command("--format", "csv")[1]))}
    assert rows["binarize"]["model_bytes_measured"] == "150000"
    assert rows["binarize"]["test_quality"] == "0.875"
    assert rows["baseline"]["latency_ms_low"] == "20.0"
    assert rows["baseline"]["trial"] == "t0001"


def test_failed_running_and_rejected_trials_are_no_rows(store, command):
    study = Study(store)
    for status in ("failed", "rejected"):
        study.append(type="ended", status=status, reason="r", **study.proposed(f"{status}()"))
    study.proposed("running()")
    with store.lock():
        _, out, err = command("--format", "json")
    assert [row["recipe"] for row in json.loads(out)] == ["baseline"]
    assert "has finished no recipe yet (1 running, 1 failed, 1 rejected): the baseline stands alone" in err


def test_a_baseline_that_is_not_there_yet_is_said(store, command):
    store.journal.append(event_from_json({"type": "study", "study": "s"}))
    status, out, err = command()
    assert (status, out) == (2, "")
    assert "study 's' has no finished baseline yet" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--study", "t"), "no study 't' in"),
        (("--profile", "balance"), "unknown profile 'balance': did you mean 'balanced'?"),
        (("--scoring", "lines"), "unknown scoring 'lines'"),
        (("--limit", "0"), "limit"),
        (("--metrics", "qualty"), "metrics: unknown metric 'qualty': did you mean 'quality'?"),
        (("--metrics", "quality=x"), "metrics: the weight of quality is 'x'"),
        (("--metrics", "quality=-1"), "metrics: the weight of quality is '-1'"),
        (("--metrics", "quality=0"), "no weight is above 0"),
        (("--metrics", "quality,quality"), "quality is named twice"),
    ],
)
def test_wrong_options_end_with_one_message(store, command, options, message):
    Study(store).all(SOUND)
    status, out, err = command(*options)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


LONG = "tensor_train(rank=16) -> prune_channels(ratio=0.5) -> quantize(bits=4, first_last=same)"


@pytest.mark.parametrize("width", [80, 100])
def test_a_recipe_is_a_line_of_the_screen_with_a_legend_below(store, command, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    Study(store, device="coral-dev-board").all(SOUND | {LONG: metrics(0.895, 90)})
    status, out, _ = command()
    assert status == 0
    assert all(len(line) <= width for line in out.splitlines())
    [line] = [line for line in out.splitlines() if "tt16 > pc.5 > q4:fl=same" in line]
    assert "t0004" in line and "+0.0050" in line  # what the constraints bound stays
    left_out = " ".join(out.split("no room for: ")[1].split(" (--wide")[0].split()).split(", ")
    assert "memory" in left_out and len(left_out) == len(set(left_out))  # several columns are called +-
    said = " ".join(out.split())
    assert "tt tensor_train(rank); pc prune_channels(ratio); q quantize(bits), fl first_last" in said
    assert "fl first_last" in out
    assert "quantize(bits=4" not in out


def test_where_no_recipe_has_room_beside_its_figures_more_of_them_are_shown(store, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    bounds = ["quality_drop <= 0.02", "latency_ms <= 99", "macs <= 1e9", "compression_ratio >= 1"]
    Study(store, constraints=bounds).all(SOUND | {LONG: metrics(0.895, 90)})
    out = command()[1]
    assert all(len(line) <= 80 for line in out.splitlines())
    assert "  tt16 > pc.5 > q4:fl=same" in out.splitlines()
    head = next(line for line in out.splitlines() if line.startswith("rank"))
    assert "quality" in head.split() and "no room for: memory (" in out


def test_wide_has_all_columns_and_the_long_form(store, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    Study(store).all(SOUND | {LONG: metrics(0.895, 90)})
    status, out, _ = command("--wide")
    assert status == 0
    assert "prune_channels(ratio=0.5) -> quantize(bits=4, first_last=same)" in " ".join(out.split())
    assert "memory" in out and "no room for" not in out and "fl first_last" not in out


def test_metrics_alone_rank_and_are_shown_alone(store, command):
    Study(store).all(SOUND)
    by_quality = rows(command, "--metrics", "quality")
    assert [row["recipe"] for row in by_quality][-1] == "binarize"
    weights = {"accuracy": 2.0, "compression": 9.0}
    trials = [{"recipe": recipe, **figures} for recipe, figures in SOUND.items()]
    wanted = leaderboard(trials, BASELINE, weights)
    got = rows(command, "--metrics", "quality=2,model_bytes=9")
    assert [(row["recipe"], row["score"]) for row in got] == [
        (row["recipe"], pytest.approx(row["score"])) for row in wanted
    ]
    out = command("--metrics", "quality,model_bytes")[1]
    assert "file" in out and "drop" in out and "latency" not in out.split("\n", 1)[1]


def test_metrics_are_named_as_the_table_has_them(store, command):
    Study(store).all(SOUND)
    heads = command("--metrics", "file=9,quality=2,latency=0")[1].split("\n")[1].split()
    assert heads == ["rank", "score", "trial", "quality", "drop", "file", "latency", "recipe"]
    by_title = rows(command, "--metrics", "file=9,quality=2")
    assert by_title == rows(command, "--metrics", "model_bytes=9,quality=2")


def test_what_an_ethos_u_is_bounded_by_has_columns(store, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    own = {"ethos_u_mappable": 1.0, "ethos_u_flash_bytes": 250_000}
    bounds = ["ethos_u_flash_bytes <= 300000"]
    Study(store, device="ethos-u55-128", baseline=BASELINE | own, constraints=bounds).all(
        {recipe: figures | own for recipe, figures in SOUND.items()}
    )
    _, out, _ = command()
    assert "250.0" in out and "estimated: Ethos-U flash\n" in out and "on Ethos-U" in out
    assert rows(command)[0].keys() >= own.keys() and rows(command)[0]["ethos_u_flash_bytes"] == 250_000


def test_what_a_constraint_bounds_has_a_column_whatever_it_is(store, command):
    loyal = {"label_loyalty": 0.75}
    Study(store, baseline=BASELINE | loyal, constraints=["label_loyalty >= 0.5"]).all(
        {recipe: figures | loyal for recipe, figures in SOUND.items()}
    )
    assert "label loyalty" in command()[1] and "0.7500" in command()[1]


@pytest.mark.parametrize(
    "more", [(), ("--profile", "memory", "--scoring", "dense"), ("--metrics", "macs=2,quality=1")]
)
def test_what_the_metrics_add_is_the_score(store, command, more):
    Study(store).all(SOUND)
    for row in rows(command, "--explain", *more):
        assert sum(part["adds"] for part in row["explained"]) == pytest.approx(row["score"])
        for part in row["explained"]:
            assert part["value"] == pytest.approx(row[part["metric"]])
    assert all("explained" not in row for row in rows(command, *more))
    assert "what every metric adds to the score" in command("--explain", *more)[1]


def test_explained_figures_stand_as_in_the_leaderboard(store, command):
    Study(store).all(SOUND)
    out = command("--explain", "--profile", "balanced")[1].split("what every metric adds to the score")[1]
    told = {
        tuple(cell.strip() for cell in line.split("  ") if cell.strip())[2:4] for line in out.splitlines()
    }
    [first] = [row for row in rows(command, "--profile", "balanced") if row["rank"] == 1]
    assert ("file, kB", f"{first['model_bytes'] / 1000:,.1f}") in told
    assert ("latency, ms", f"{first['latency_ms']:.2f}") in told
    assert not any("_" in pair[0] for pair in told if len(pair) == 2)


def test_halvings_are_explained_by_their_costs(store, command):
    Study(store, goal={"minimize": "latency_ms * model_bytes"}).all(SOUND)
    [row] = [row for row in rows(command, "--explain") if row["recipe"] == "quantize(bits=8)"]
    parts = {part["metric"]: part["adds"] for part in row["explained"]}
    assert parts == {"latency_ms": pytest.approx(1.0), "model_bytes": pytest.approx(2.0)}


def test_several_studies_of_a_task_are_ranked_together(store, command):
    """The same recipe is a point worse in the other study, and so is that one's baseline."""
    said = {"task": "digits", "device": "coral-dev-board"}
    Study(store, "one", **said).all(SOUND)
    worse = {"quantize(bits=8)": metrics(0.89, 4), "cluster(clusters=8)": metrics(0.885, 8)}
    Study(store, "two", "2026-11-06T00:00:00Z", BASELINE | {"quality": 0.89}, **said).all(worse)
    both = ("--study", "one", "--study", "two")
    got = rows(command, *both)
    assert {row["trial"] for row in got} == {"t0001", "one/t0002", "one/t0003", "two/t0002", "two/t0003"}
    score = {row["trial"]: row["score"] for row in got}
    assert score["one/t0002"] == pytest.approx(score["two/t0002"])
    assert sorted(score.values(), reverse=True) == [row["score"] for row in got]
    every = {**SOUND, "cluster(clusters=8)": metrics(0.895, 8), "again": SOUND["quantize(bits=8)"]}
    trials = [{"recipe": recipe, **figures} for recipe, figures in every.items()]
    wanted = {row["recipe"]: row["score"] for row in leaderboard(trials, BASELINE)}
    assert score["two/t0003"] == pytest.approx(wanted["cluster(clusters=8)"])
    Study(store, "other", **(said | {"task": "characters"})).all(SOUND)
    status, out, err = command("--study", "one", "--study", "other")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "'one' and 'other' have the tasks digits and characters" in err


def test_no_study_is_said(store, command):
    Study(store)
    store.fold()
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("DELETE FROM study_rows")
    status, _, err = command()
    assert status == 2
    assert f"no study in {store.path}" in err
