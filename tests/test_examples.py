"""The examples run as they stand."""

import csv
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(folder: Path, *words: str) -> str:
    """Runs a command in a folder with a cache of its own; returns what it printed."""
    environment = {**os.environ, "ATOLL_CACHE": str(folder / "cache")}
    found = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.slow
def test_a_quality_and_a_loss_of_ones_own(tmp_path: Path) -> None:
    script = tmp_path / "compress_curve.py"
    script.write_bytes((EXAMPLES / "own_quality" / script.name).read_bytes())
    quality, size = run(tmp_path, sys.executable, script.name).splitlines()
    before, behind = (float(word.replace(",", "")) for word in quality.split() if word[0].isdigit())
    assert quality.startswith("quality: ") and 0.6 < behind <= before <= 1
    assert size.startswith("model_bytes: ")


@pytest.mark.slow
def test_a_technique_of_ones_own(tmp_path: Path) -> None:
    script = tmp_path / "two_of_four.py"
    script.write_bytes((EXAMPLES / "own_technique" / script.name).read_bytes())
    quality, weights = run(tmp_path, sys.executable, script.name).splitlines()
    before, behind = (float(word) for word in quality.split() if word[0].isdigit())
    assert 0.9 < behind <= 1 and 0.9 < before <= 1
    parameters, left = 8 * 64 + 64 + 64 * 4 + 4, (8 * 64 + 64 * 4) // 2 + 64 + 4
    assert weights == f"weights that are not zero: {parameters} before, {left} behind"


@pytest.mark.slow
def test_a_network_and_an_image_folder_of_ones_own(tmp_path: Path) -> None:
    """The README's way from nothing to a verified file, with few pictures and a search cut short."""
    for name in ("nets.py", "make_parts.py"):
        (tmp_path / name).write_bytes((EXAMPLES / "own_network" / name).read_bytes())
    run(tmp_path, sys.executable, "make_parts.py", "--epochs", "1", "--images", "12")
    assert [len(list((tmp_path / "data" / "parts" / name).glob("*.png"))) for name in "ABEHKR"] == [12] * 6
    readme = (EXAMPLES.parent / "README.md").read_text()
    block = readme.partition("## Your own network")[2].split("```")[1]
    lines = re.findall(r"^atoll ([^#\n]*)", block, re.MULTILINE)
    init, check, search, export, verify = map(shlex.split, lines)
    atoll = str(Path(sys.executable).parent / "atoll")
    run(tmp_path, atoll, *init)
    assert "nets.py:build" in run(tmp_path, atoll, *check)
    run(tmp_path, atoll, *search, "--ensembles", "1", "--workers", "1")
    run(tmp_path, atoll, *export)
    (folder,) = (tmp_path / "exports").iterdir()
    assert verify[1].startswith("exports/")
    rows = csv.DictReader(run(tmp_path, atoll, "verify", str(folder), "--format", "csv").splitlines())
    verdicts = Counter(row["verdict"] for row in rows)
    assert verdicts["same"] > 50 and verdicts["differs"] == 0
