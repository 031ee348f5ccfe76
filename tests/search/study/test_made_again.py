"""The commands of a card train what the study trained."""

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from atoll.search.study.made_again import made_again, quoted
from atoll.search.study.study import Study
from atoll.search.study.study_file import read_study


@pytest.mark.parametrize(
    "more",
    [
        {"loss": "distilled"},
        {"epochs": {"quantize": 0, "tensor_train": 3}, "max_steps": 5},
        {"max_steps": 6},  # the baseline, which teaches, is trained for longer
        {"runtime": "litert-2"},
        {"device": "litert-micro"},
        {"task": "characters", "max_steps": 6, "epochs_per_step": 2},  # whose built-in study is distilled
    ],
)
def test_a_study_that_trains_in_its_own_way_is_written_out(more: dict[str, Any], tmp_path: Path) -> None:
    study = Study.create({"task": "digits", "goal": "smallest", "seed": 3, **more})
    trial = {"recipe": "quantize(bits=8)", "seed": 5, "epochs_per_step": 2.0}
    write, evaluate = made_again(study.definition(), trial)
    subprocess.run(["bash", "-c", write], cwd=tmp_path, check=True)
    again = read_study(tmp_path / "study.yaml")
    assert again.trial_settings(1) == replace(study.trial_settings(1), seed=5)
    assert shlex.split(evaluate) == ["atoll", "evaluate", trial["recipe"], "--study", "study.yaml"]


def test_others_are_one_command() -> None:
    trial = {"recipe": "quantize(bits=8)", "seed": 5, "epochs_per_step": 2.0}
    assert made_again(Study.create({"task": "digits"}).definition(), trial) == [
        'atoll evaluate "quantize(bits=8)" --task digits --seed 5 --epochs 2'
    ]


@pytest.mark.parametrize(
    "recipe",
    ["svd(rank=2, layers=a$(ls)b)", "svd(rank=2, layers=`ls`)", 'svd(rank=2, layers=a" b)', "x!x", "a\\b"],
)
def test_a_recipe_from_somewhere_else_is_one_word_for_a_shell(recipe: str) -> None:
    assert shlex.split(quoted(recipe)) == [recipe]
    told = subprocess.run(
        ["bash", "-c", f"printf %s {quoted(recipe)}"], capture_output=True, text=True, check=True
    )
    assert told.stdout == recipe
