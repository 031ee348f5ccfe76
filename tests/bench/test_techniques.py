"""The bench of the techniques: what it runs, that it goes on, and three rows on digits end to end."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.steps.evaluate import price_recipe
from atoll.evaluators.tasks import load_task
from atoll.search.study.study import DEFAULT_DEVICE
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.order import is_legal
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques import TECHNIQUES, technique_named

BENCH = Path(__file__).parent


@pytest.fixture(autouse=True)
def _modules_of_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts import their neighbours by name."""
    monkeypatch.syspath_prepend(str(BENCH))


def metrics(quality: float, **sizes: float) -> dict[str, Any]:
    figures = {"model_bytes": 4000, "payload_bytes": 4000, "packed_bytes": 3000, "macs": 2e6}
    return {
        "quality": quality,
        "quality_name": "accuracy",
        "train_seconds": 20.0,
        "train_epochs": 1.0,
        **figures,
        **sizes,
    }


def row(quality: float, **sizes: float) -> dict[str, Any]:
    return {"metrics": metrics(quality, **sizes), "commit": "abc1234", "finished_at": "2026-11-22 02:00"}


def test_every_technique_has_strengths_of_its_own() -> None:
    from atoll.search.study.study_file import task_study
    from technique_runs import DEMO, MOST_STRENGTHS, STRENGTHS, strengths

    assert set(STRENGTHS) <= {technique.name for technique in TECHNIQUES}
    assert len(set(DEMO)) == 8
    assert set(DEMO) == set(task_study("digits")["techniques"])
    for technique in TECHNIQUES:
        recipes = strengths(technique)
        assert 1 <= len(set(recipes)) == len(recipes) <= MOST_STRENGTHS
        assert all(type(recipe.steps[-1]) is technique for recipe in recipes)
        assert all(is_legal(recipe.steps) for recipe in recipes)
        assert all(len(recipe) == (1 if technique().needs_stage is None else 2) for recipe in recipes)


def test_the_first_seed_comes_first_and_the_demo_has_three() -> None:
    from technique_runs import Run, runs

    quantize, other = technique_named("quantize"), technique_named("prune_channels")
    found = runs((quantize, other))
    assert found[0] == Run(Recipe(), 0)
    assert [run.seed for run in found] == [0] * 7 + [1] * 7 + [2] * 7
    assert [str(run.recipe) for run in found[1:4]] == [
        "quantize(bits=8)",
        "quantize(bits=4)",
        "quantize(bits=2)",
    ]
    assert [run.seed for run in runs((quantize,), seeds=1)] == [0] * 4
    with pytest.raises(AtollError, match="seeds: got 0"):
        runs((quantize,), seeds=0)


def test_names_are_checked_and_kept_in_the_order_of_the_package() -> None:
    from technique_runs import chosen_techniques

    chosen = chosen_techniques(["distill", "prune_weights"])
    assert [technique.name for technique in chosen] == ["prune_weights", "distill"]
    assert chosen_techniques([]) == TECHNIQUES
    with pytest.raises(AtollError, match="unknown technique 'quantise'"):
        chosen_techniques(["quantise"])


def test_rows_come_back_and_a_torn_line_costs_one_row(tmp_path: Path) -> None:
    from technique_rows import Rows

    path = tmp_path / "deep" / "rows.jsonl"
    rows = Rows(path)
    rows.append({"key": "a", "seed": 1})
    rows.append({"key": "b", "seed": 2})
    rows.append({"key": "a", "seed": 3})
    with path.open("a") as file:
        file.write('{"key": "c", "se')  # killed while writing
    again = Rows(path)
    assert again.find("a") == {"key": "a", "seed": 3}
    assert again.find("c") is None
    again.append({"key": "c", "seed": 4})
    assert [Rows(path).find(key) is not None for key in "abc"] == [True, True, True]


def test_keys_know_what_decides_a_result() -> None:
    from technique_rows import Keys
    from technique_runs import Run

    digits = load_task("digits")
    keys = Keys(digits, 1.0, 2)
    run = Run(Recipe.parse("quantize(bits=8)"), 0)
    assert keys.of(run) == Keys(digits, 1.0, 2).of(run)
    others = {
        keys.of(Run(Recipe.parse("quantize(bits=4)"), 0)),
        keys.of(Run(run.recipe, 1)),
        Keys(digits, 2.0, 2).of(run),
        Keys(digits, 1.0, 1).of(run),
        keys.of(Run(Recipe(), 0)),
    }
    assert len(others | {keys.of(run)}) == 6


def test_the_page_compares_with_the_baseline_of_the_same_seed() -> None:
    from technique_page import EXPECTED, page, summaries
    from technique_runs import Run

    step = Recipe.parse("quantize(bits=2)")
    found = {
        Run(Recipe(), 0): row(0.90),
        Run(step, 0): row(0.89, payload_bytes=250, model_bytes=500),
        Run(Recipe(), 1): row(0.92),
        Run(step, 1): row(0.925, payload_bytes=250, model_bytes=500),
        Run(step, 2): row(0.1),  # the baseline of this seed is still to come
    }
    baseline, summary = summaries(found)
    assert baseline.drops == (0.0, 0.0) and len(baseline.recipe) == 0
    assert summary.drops == pytest.approx((0.01, -0.005))
    assert summary.drop_points == pytest.approx(0.25)
    assert (summary.times_smaller("payload_bytes"), summary.times_smaller("model_bytes")) == (16, 8)
    values = {expected.name: expected.value(summary) for expected in EXPECTED if "int2" in expected.name}
    assert values == {"int2_drop": pytest.approx(0.25), "int2_payload_smaller": 16}
    text = page(load_task("digits"), found, 1.0, 2)
    assert (
        "| `quantize(bits=2)` | 2 | 90.75 | +0.25 (-0.50 to +1.00) "
        "| 0.5 | 8.0 | 0.2 | 16.0 | 3.0 | 2.00 | 1 | 20 |\n" in text
    )
    assert "| `baseline` | 2 | 91.00 |  | 4.0 | 1.0 | 4.0 | 1.0 | 3.0 | 2.00 | 1 | 20 |\n" in text
    assert "commit abc1234" in text and "measured 2026-11-22, written" in text


def bench(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCH / "techniques.py"), "--task", "digits", "--folder", str(folder), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "ATOLL_CACHE": str(folder / "cache")},
    )


def test_wrong_words_end_in_one_sentence(tmp_path: Path) -> None:
    found = bench(tmp_path, "--only", "quantise")
    assert found.returncode == 2
    assert "unknown technique 'quantise'; did you mean 'quantize'?" in found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "rows.jsonl").exists()


@pytest.mark.slow
def test_three_rows_on_digits(tmp_path: Path) -> None:
    words = ("--only", "quantize", "--seeds", "1", "--epochs", "0.5")
    found = bench(tmp_path, *words)
    assert found.returncode == 0, found.stderr
    assert "0 of 4 runs are there, 4 to do" in found.stderr and "min left" in found.stderr
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    baseline, *steps = rows
    assert [row["recipe"] for row in rows] == [
        "baseline",
        "quantize(bits=8)",
        "quantize(bits=4)",
        "quantize(bits=2)",
    ]
    for row in steps:
        figures = row["metrics"]
        price = price_recipe(Recipe.parse(row["recipe"]), "digits", DEFAULT_DEVICE)
        assert (figures["model_bytes"], figures["macs"]) == (price.model_bytes, price.macs)
        assert figures["payload_bytes"] < figures["model_bytes"] < baseline["metrics"]["model_bytes"] / 3
        assert figures["quality"] > baseline["metrics"]["quality"] - 0.1
        assert figures["train_epochs"] == pytest.approx(0.5, abs=0.05)  # whole batches
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert [line["name"] for line in lines] == [
        "techniques/digits/int4_drop",
        "techniques/digits/int2_drop",
        "techniques/digits/int2_payload_smaller",
    ]
    assert lines[2]["value"] == pytest.approx(
        baseline["metrics"]["payload_bytes"] / steps[2]["metrics"]["payload_bytes"], abs=0.01
    )
    page = (tmp_path / "README.md").read_text()
    assert all(f"| `{row['recipe']}` | 1 |" in page for row in rows)
    assert bench(tmp_path, *words).stderr.startswith("4 of 4 runs are there, 0 to do")
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 4
