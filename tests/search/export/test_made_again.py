"""The commands of a card train what the study trained."""

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from atoll.search.export.card import made_again
from atoll.search.store.stored_rows import TrialRow
from atoll.search.study.study import Study
from atoll.search.study.study_file import read_study


@pytest.mark.parametrize(
    "more", [{"loss": "distilled"}, {"epochs": {"quantize": 0, "tensor_train": 3}, "max_steps": 5}]
)
def test_a_study_that_trains_in_its_own_way_is_written_out(more: dict[str, Any], tmp_path: Path) -> None:
    study = Study.create({"task": "digits", "goal": "smallest", "seed": 3, **more})
    trial = cast(TrialRow, {"recipe": "quantize(bits=8)", "seed": 5, "epochs_per_step": 2.0})
    write, evaluate = made_again(study, trial)
    subprocess.run(["bash", "-c", write], cwd=tmp_path, check=True)
    again = read_study(tmp_path / "study.yaml")
    assert again.trial_settings(1) == replace(study.trial_settings(1), seed=5)
    assert shlex.split(evaluate) == ["atoll", "evaluate", trial["recipe"], "--study", "study.yaml"]


def test_others_are_one_command() -> None:
    trial = cast(TrialRow, {"recipe": "quantize(bits=8)", "seed": 5, "epochs_per_step": 2.0})
    assert made_again(Study.create({"task": "digits"}), trial) == [
        'atoll evaluate "quantize(bits=8)" --task digits --seed 5 --epochs 2'
    ]
