"""The examples run as they stand."""

import os
import subprocess
import sys
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
    """`make_parts.py` needs minutes for its characters; here the pictures are drawn."""
    import numpy as np
    import torch
    from PIL import Image

    (tmp_path / "nets.py").write_bytes((EXAMPLES / "own_network" / "nets.py").read_bytes())
    draw = np.random.default_rng(0)
    for label, name in enumerate("ABEHKR"):
        (tmp_path / "parts" / name).mkdir(parents=True)
        for number in range(20):
            pixels = draw.integers(0, 60, (32, 32, 3)) + 30 * label
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "parts" / name / f"{number}.png")
    code = "import torch, nets; torch.manual_seed(0); torch.save(nets.build().state_dict(), 'parts.pt')"
    run(tmp_path, sys.executable, "-c", code)
    assert len(torch.load(tmp_path / "parts.pt", weights_only=True)) > 20
    atoll = str(Path(sys.executable).parent / "atoll")
    given = ("--network", "nets.py:build", "--weights", "parts.pt", "--data", "parts", "--normalize", "half")
    run(tmp_path, atoll, "init", *given)
    assert "nets.py:build" in run(tmp_path, atoll, "check", "study.yaml")
