"""What `from atoll import …` gives: every name, in whatever order things are imported, at no cost before."""

import ast
import subprocess
import sys
from pathlib import Path

import atoll
import pytest

ROOT = Path(__file__).parents[1]
NAMES = (
    "AtollError", "Device", "Recipe", "Store", "Study", "Task", "Technique",
    "compress", "export", "export_network", "predict", "resume", "run", "verify",
)  # fmt: skip
MODULES = sorted(
    ".".join(("atoll", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for folder in ("spaces", "hw_models", "evaluators", "search", "testing")
    for path in (ROOT / folder).rglob("*.py")
)
#: what others wrote is imported once; then each order is a fork, in which nothing of Atoll's is loaded
ORDERS = """
import importlib, os, sys, traceback
for name in {third_party!r}:
    importlib.import_module(name)
names, modules = {names!r}, {modules!r}

def public():
    import atoll
    return {{name: getattr(atoll, name) for name in names}}

def check(order):
    found = {{}}
    for what in order:
        if what in names:
            found[what] = getattr(importlib.import_module("atoll"), what)
        else:
            importlib.import_module(what)
        # a folder that is imported becomes a name of the package
        for name, before in found.items():
            assert getattr(sys.modules["atoll"], name) is before, (name, what)
    for name, value in public().items():
        assert value is found.get(name, value), name
        where = importlib.import_module(value.__module__)
        assert getattr(where, value.__qualname__) is value, name
    assert not any(name.split(".")[0] in ("search", "spaces", "testing") for name in sys.modules)

assert not any(name.split(".")[0] == "atoll" for name in sys.modules)
orders = [[name] for name in names] + [[*names, *modules], [*modules, *names]]
for order in orders:
    child = os.fork()
    if child == 0:
        try:
            check(order)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"failed where {{order[:3]}} is imported first")
print(len(orders))
"""


def run(code: str, folder: Path) -> str:
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert found.returncode == 0, found.stderr
    return found.stdout


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


@pytest.mark.slow
def test_a_name_is_one_object_in_whatever_order_things_are_imported(tmp_path: Path) -> None:
    """Each name first; all of them before every module, looked at after each; and after all modules."""
    third_party = ["torch", "ray.tune", "duckdb", "optuna", "tensorly", "pyarrow.parquet", "pydantic", "rich"]
    code = ORDERS.format(third_party=third_party, names=NAMES, modules=MODULES)
    assert int(run(code, tmp_path)) == len(NAMES) + 2
