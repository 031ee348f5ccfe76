"""What `from atoll import …` gives: every name, in whatever order things are imported, at no cost before."""

import ast
import subprocess
import sys
from pathlib import Path

import atoll
import pytest

ROOT = Path(__file__).parents[1]
NAMES = (
    "AtollError", "Device", "Recipe", "Store", "Study", "Technique",
    "export", "predict", "resume", "run", "verify",
)  # fmt: skip
MODULES = sorted(
    ".".join(("atoll", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for folder in ("spaces", "hw_models", "evaluators", "search", "testing")
    for path in (ROOT / folder).rglob("*.py")
)
#: what others wrote is imported once; then each case is a fork, in which nothing of Atoll's is loaded
CASES = """
import importlib, os, sys, traceback
for name in {third_party!r}:
    importlib.import_module(name)
names, modules = {names!r}, {modules!r}

def public():
    import atoll
    return {{name: getattr(atoll, name) for name in names}}

def check(first):
    if first in names:
        found = getattr(importlib.import_module("atoll"), first)
    else:
        importlib.import_module(first)
    before = public()
    assert first not in names or before[first] is found
    for module in modules:
        importlib.import_module(module)
    after = public()
    for name in names:
        assert after[name] is before[name], name
        where = importlib.import_module(before[name].__module__)
        assert getattr(where, before[name].__qualname__) is before[name], name
    assert not any(name.split(".")[0] in ("search", "spaces", "testing") for name in sys.modules)

assert not any(name.split(".")[0] == "atoll" for name in sys.modules)
for first in {firsts!r}:
    child = os.fork()
    if child == 0:
        try:
            check(first)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"failed where {{first}} is imported first")
print("all")
"""


def run(code: str, folder: Path) -> str:
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert found.returncode == 0, found.stderr
    return found.stdout


def in_every_order(firsts: list[str], modules: list[str], folder: Path) -> None:
    third_party = ["torch", "ray.tune", "duckdb", "optuna", "tensorly", "pyarrow.parquet", "pydantic", "rich"]
    code = CASES.format(third_party=third_party, names=NAMES, modules=modules, firsts=firsts)
    assert run(code, folder) == "all\n"


def test_the_public_names_are_these() -> None:
    assert tuple(atoll.__all__) == NAMES
    assert set(NAMES) <= set(dir(atoll))


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_has_a_docstring(name: str) -> None:
    assert getattr(atoll, name).__doc__


@pytest.mark.parametrize("name", ["nothing", "Studies", "searches", "__wrapped__"])
def test_another_name_is_refused_as_by_any_module(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'atoll' has no attribute '{name}'"):
        getattr(atoll, name)
    with pytest.raises(ImportError):
        exec(f"from atoll import {name}")


def test_a_type_checker_sees_the_same_objects() -> None:
    """The imports for type checkers, and where names are really taken from, say one place."""
    tree = ast.parse((ROOT / "__init__.py").read_text())
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    said = {
        alias.name: node.module
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert said == atoll._PLACES


def test_importing_atoll_costs_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, time, typing, importlib\n"
        "before, began = set(sys.modules), time.perf_counter()\n"
        "import atoll\n"
        "print(time.perf_counter() - began, sorted(set(sys.modules) - before))\n"
    )
    seconds, loaded = run(code, tmp_path).split(" ", 1)
    assert ast.literal_eval(loaded) == ["atoll"]
    assert float(seconds) < 0.1


def test_every_name_comes_first_and_last(tmp_path: Path) -> None:
    """Some folders stand for all here: a name must not become a folder's because that was imported."""
    few = ["atoll.search", "atoll.search.export", "atoll.search.export.export", "atoll.search.commands.cli"]
    in_every_order([*NAMES, *few], few, tmp_path)


@pytest.mark.slow
def test_every_name_comes_after_every_module(tmp_path: Path) -> None:
    in_every_order([*NAMES, *MODULES], MODULES, tmp_path)
