"""The shape of the house: who may import whom, and that the package list is the tree."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each folder may import itself and what stands left of it: spaces <- hw_models <- evaluators <- search.
MAY_IMPORT = {
    "spaces": {"spaces"},
    "hw_models": {"spaces", "hw_models"},
    "evaluators": {"spaces", "hw_models", "evaluators"},
    "search": {"spaces", "hw_models", "evaluators", "search"},
    "clusters": set(),
    # Doubles for tests, beside the floors: nobody imports them.
    "testing": {"spaces", "hw_models", "evaluators", "testing"},
}
# The root gives names of every floor.
ROOT_FILE = "__init__.py"
# Third-party packages that only some folders may import.
ONLY_IN = {"ray": {"search", "clusters"}, "optuna": {"search"}, "duckdb": {"search"}}
OUR_TOP_LEVEL_NAMES = {"atoll", "tests", *MAY_IMPORT}
# Slow to import or with side effects: not at the top of a module.
ONLY_LAZILY = {"nni"}
# Too slow for `atoll --help`.
HEAVY = {
    "torch",
    "ray",
    "nni",
    "optuna",
    "duckdb",
    "tensorly",
    "ai_edge_litert",
    "sklearn",
    "matplotlib",
    "scipy",
}
# One file, one noun: a file with more lines holds two.
MOST_LINES = 350
# copied to a board alone, so everything that it does stands in it
LONGER = ["hw_models/board/bench.py"]
# Folders that are nobody's but the machine's where the code was written.
MACHINE_PATH = re.compile(r"(?<![\w.:/$}>~])/(?:home|root|work|opt|mnt|Users)/\w")

UNSEEN = re.compile(r"\b[Ii]ssue \d+|\b(?:design|house)\.md")


def package_files() -> list[Path]:
    """Return the Python files of the package, relative to the root."""
    files = [ROOT / ROOT_FILE]
    for folder in MAY_IMPORT:
        files += sorted((ROOT / folder).rglob("*.py"))
    return [file.relative_to(ROOT) for file in files]


def files_of_tests() -> list[Path]:
    """Return the Python files of the tests, relative to the root."""
    return [file.relative_to(ROOT) for file in sorted((ROOT / "tests").rglob("*.py"))]


def imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, int, str]]:
    """Yield every import in `tree`: its statement, its level (0 = absolute), the dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, 0, alias.name
        elif isinstance(node, ast.ImportFrom):
            # `from .. import spaces` names the module in its aliases.
            for name in [node.module] if node.module else [alias.name for alias in node.names]:
                yield node, node.level, name


def violations(path: Path, source: str) -> list[str]:
    """Return what the package file `path` (relative to the root) imports against the rules."""
    folder = path.parts[0]
    allowed = (
        set(MAY_IMPORT) - {"clusters", "testing"} if folder == ROOT_FILE else MAY_IMPORT.get(folder, set())
    )
    package = list(path.parent.parts)
    tree = ast.parse(source)
    found = []
    for node, level, name in imports(tree):
        if level == 0:
            target = name.split(".")[0]
            if target in OUR_TOP_LEVEL_NAMES:
                found.append(f"imports {name} absolutely")
            elif folder not in ONLY_IN.get(target, {folder}):
                found.append(f"imports {target}")
            elif target in ONLY_LAZILY and node in tree.body:
                found.append(f"imports {target} at the top")
        elif level > len(package) + 1:
            found.append(f"imports {name} from outside the package")
        else:
            target = [*package[: len(package) - level + 1], *name.split(".")][0]
            if target not in allowed:
                found.append(f"imports {target}")
    return found


@pytest.mark.parametrize("path", package_files(), ids=str)
def test_imports_follow_the_house(path: Path) -> None:
    assert violations(path, (ROOT / path).read_text()) == []


@pytest.mark.parametrize(
    ("path", "source", "violation"),
    [
        ("spaces/a.py", "from ..hw_models import device", "imports hw_models"),
        ("spaces/a.py", "from .. import search", "imports search"),
        ("spaces/kernels/a.py", "from ...evaluators.metrics import x", "imports evaluators"),
        ("hw_models/a.py", "def f():\n    from ..search.store import x", "imports search"),
        ("evaluators/a.py", "from ..search import store", "imports search"),
        ("clusters/a.py", "from ..search import store", "imports search"),
        ("search/a.py", "from ..testing import Replay", "imports testing"),
        ("__init__.py", "from .testing import Replay", "imports testing"),
        ("search/a.py", "from ..tests.oracles import x", "imports tests"),
        ("search/a.py", "from ...other import x", "imports other from outside the package"),
        ("search/a.py", "import spaces.recipe", "imports spaces.recipe absolutely"),
        (
            "search/a.py",
            "from atoll.spaces.recipes.recipe import Recipe",
            "imports atoll.spaces.recipes.recipe absolutely",
        ),
        ("evaluators/a.py", "import ray.tune", "imports ray"),
        ("hw_models/a.py", "from duckdb import connect", "imports duckdb"),
        ("spaces/a.py", "import optuna", "imports optuna"),
        ("spaces/techniques/a.py", "import nni", "imports nni at the top"),
    ],
)
def test_a_violation_is_seen(path: str, source: str, violation: str) -> None:
    assert violations(Path(path), source) == [violation]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("spaces/techniques/a.py", "def f():\n    import nni\nfrom ..recipe import Recipe\nimport torch"),
        ("search/commands/a.py", "import duckdb\nfrom ...spaces.recipe import Recipe\nfrom .. import store"),
        ("hw_models/coral/a.py", "from ...spaces import recipe\nfrom . import fit"),
        ("clusters/a.py", "import ray"),
    ],
)
def test_what_is_allowed_passes(path: str, source: str) -> None:
    assert violations(Path(path), source) == []


def test_the_root_imports_nothing_before_a_name_is_used() -> None:
    """What it names, type checkers alone import from here: see tests/test_public_names.py."""
    body = ast.parse((ROOT / "__init__.py").read_text()).body
    assert ast.get_docstring(ast.Module(body, [])) is not None
    tops = [name for node in body for _, _, name in imports(ast.Module([node], [])) if is_import(node)]
    assert tops == ["importlib", "typing"]
    assert [ast.unparse(node.test) for node in body if isinstance(node, ast.If)] == ["TYPE_CHECKING"]


def is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def test_no_file_is_long() -> None:
    lengths = {str(path): len((ROOT / path).read_text().splitlines()) for path in package_files()}
    assert [name for name, lines in sorted(lengths.items()) if lines > MOST_LINES] == LONGER


def test_the_package_list_is_the_tree() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent for path in package_files() if path.parts[0] != "clusters"}
    # A folder of data alone must be listed too, or its files stay out of the wheel.
    for top in MAY_IMPORT.keys() - {"clusters"}:
        data = [file.relative_to(ROOT) for file in (ROOT / top).rglob("*") if file.is_file()]
        folders |= {file.parent for file in data if "__pycache__" not in file.parts}
    tree = [".".join(("atoll", *folder.parts)) for folder in folders]
    assert listed == sorted(tree)


def test_every_package_has_an_init() -> None:
    """A folder without `__init__.py` works from the tree and differs once installed."""
    folders = {path.parent for path in package_files() if path.parts[0] != "clusters"}
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("path", files_of_tests(), ids=str)
def test_tests_import_absolutely(path: Path) -> None:
    found = [name for _, level, name in imports(ast.parse((ROOT / path).read_text())) if level > 0]
    assert found == []


def test_tests_are_no_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_no_file_names_a_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in {".parquet", ".png", ".safetensors", ".tflite"} or not path.exists():
            continue
        found += [f"{name}: {match.group()}" for match in MACHINE_PATH.finditer(path.read_text())]
    assert found == []


def test_no_file_names_what_only_its_writers_see() -> None:
    """Numbers of a tracker's issues, files of a plan: a reader of the repository has neither."""
    found = []
    for path in [
        *package_files(),
        *files_of_tests(),
        *(file.relative_to(ROOT) for file in ROOT.glob("*.md")),
    ]:
        if path != Path("tests/test_layout.py"):
            found += [f"{path}: {match.group()}" for match in UNSEEN.finditer((ROOT / path).read_text())]
    assert found == []


@pytest.mark.parametrize("place", ["home/ann", "opt/x", "root/x"])
def test_a_machine_path_is_seen(place: str) -> None:
    assert MACHINE_PATH.search(f'open("/{place}")')
    assert not MACHINE_PATH.search(f'open("~/{place}")')


@pytest.mark.skipif(not (ROOT / "search/commands/cli.py").exists(), reason="no command line yet")
def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from atoll.search.commands.cli import main\n"
        "sys.argv = ['atoll', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print('heavy:', sorted({HEAVY!r} & sys.modules.keys()))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "heavy: []"


def calls(path: str, name: str) -> bool:
    """Return whether a package file calls what is written `name`."""
    tree = ast.parse((ROOT / path).read_text())
    return any(isinstance(node, ast.Call) and ast.unparse(node.func) == name for node in ast.walk(tree))


@pytest.mark.parametrize(
    ("name", "where"),
    [
        # what opens a store elsewhere would trust the file; two ask what is in an empty database in memory
        ("duckdb.connect", {"opening.py", "schema.py", "reference.py"}),
        # what prints elsewhere would let a name steer the terminal
        ("print", {"said.py"}),
        ("sys.stdout.write", set()),
        ("sys.stderr.write", set()),
    ],
)
def test_stores_are_opened_and_lines_printed_in_one_place(name: str, where: set[str]) -> None:
    files = [path for path in package_files() if path.parts[0] == "search"]
    assert {path.name for path in files if calls(str(path), name)} == where
