"""The examples in docstrings give what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("spaces", "hw_models", "evaluators", "search", "testing")
MODULES = sorted(
    ".".join(("atoll", *path.relative_to(ROOT).with_suffix("").parts))
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if ">>> " in path.read_text()
)


def test_there_are_examples_where_a_reader_begins() -> None:
    begin = {
        "spaces.recipes.recipe", "spaces.recipes.order", "evaluators.ranking.constraints",
        "evaluators.ranking.ranking", "hw_models.devices.device", "search.study.study",
        "search.api.predictions", "testing.worlds",
    }  # fmt: skip
    assert {f"atoll.{name}" for name in begin} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_right(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0 and found.failed == 0
