"""The README's snippets work as pasted: study files are read, commands run, words and files exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from atoll.spaces.recipes.order import check_order
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques import TECHNIQUES

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("atoll ")]


def run(*words: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "atoll.search.commands.cli", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
        check=False,
    )


def test_every_command_of_the_readme_exists() -> None:
    from atoll.search.commands.cli import COMMANDS

    known = {name for name, _ in COMMANDS}
    named = {words[1] for words in commands()} | set(re.findall(r"`atoll ([a-z]+)", README))
    assert named and named <= known


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:^|`)make ([a-z-]+)", README, flags=re.MULTILINE)):
        benches = re.findall(r"^BENCHES := (.*)$", makefile, flags=re.MULTILINE)[0].split()
        known = target in [f"bench-{name}" for name in benches]
        assert known or re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_links_of_the_readme_lead_somewhere() -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_the_study_of_the_readme_is_read_and_its_space_can_be_narrowed(tmp_path: Path) -> None:
    from atoll.search.study.study_file import find_study_file, read_study

    text, space = blocks("yaml")
    assert yaml.safe_load(text)["task"] == "digits"
    for written, techniques in ((text, len(TECHNIQUES)), (text + space, 3)):
        (tmp_path / "study.yaml").write_text(written)
        study = read_study(find_study_file(str(tmp_path / "study.yaml")), {})
        assert study.limits.ensembles == 3
        assert len(study.technique_types) == techniques


def test_the_steps_of_the_readme_are_legal_and_counted() -> None:
    spelt = {13: "thirteen"}[len(TECHNIQUES)]
    assert f"{spelt} techniques" in README
    for text in re.findall(r"`([a-z_]+\([^`]*\) -> [^`]*)`", README):
        check_order(Recipe.parse(text))


def test_predict_as_in_the_readme(tmp_path: Path) -> None:
    recipes = [words for words in commands() if words[1] == "predict" and "--artifact" not in words]
    assert len(recipes) == 3
    for words in recipes:
        found = run(*words[1:], folder=tmp_path)
        assert found.returncode == 0 and "Traceback" not in found.stderr
        assert "latency" in found.stdout and "model_bytes" in found.stdout


@pytest.mark.slow
def test_the_three_uses_as_in_the_readme(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(blocks("yaml")[0])
    here = {"folder": tmp_path, "ATOLL_CACHE": str(tmp_path / "cache")}
    for words in commands():
        # evaluate has tests of its own, and would make the baseline of another study first
        if words[1] in ("search", "sql", "leaderboard", "export"):
            found = run(*words[1:], **here)
            assert found.returncode == 0, f"{words}: {found.stderr}"
            assert "Traceback" not in found.stderr
    (folder,) = (tmp_path / "exports").iterdir()
    assert {"model.tflite.packed", "unpack.c", "model_data.h", "model.pt2"} <= set(os.listdir(folder))
    for command in ("verify", "rebuild"):
        found = run(command, str(folder), **here)
        assert found.returncode == 0, found.stderr


def test_the_tables_of_the_readme_are_the_committed_ones() -> None:
    shown = [line for line in README.splitlines() if line.startswith("| ")]
    committed = {}
    for name in ("characters", "techniques"):
        lines = (ROOT / "results" / name / "README.md").read_text().splitlines()
        committed[name] = {line for line in lines if line.startswith("| ")}
        assert len(committed[name] & set(shown)) > 4, name
    others = {
        line for line in shown if line.startswith(("| device |", "| `coral", "| its", "| --- | ---: | ---: "))
    }
    assert set(shown) - others <= set().union(*committed.values())


@pytest.mark.slow
def test_the_errors_of_the_predictors_are_those_of_the_readme() -> None:
    from atoll.hw_models.devices.samples import samples
    from atoll.hw_models.fitting.calibration import fit
    from atoll.hw_models.fitting.calibration_report import report_rows, summary

    for device, names in (
        ("coral-dev-board", ("`coral-dev-board`, latency", "`coral-dev-board`, peak memory")),
        ("coral-edge-tpu", ("`coral-edge-tpu`, latency", "its embedded CPU, latency")),
    ):
        for sample, name in zip(samples(device), names, strict=True):
            rows = report_rows(sample, fit(sample), "row")
            found = summary([row for row in rows if row.used])
            line = next(line for line in README.splitlines() if line.startswith(f"| {name}"))
            assert f"| {len(sample.points)} of {len(rows)} | {found['mape_pct']:.1f} %" in line
            assert f"| {found['interval_coverage_pct']:.0f} %" in line
