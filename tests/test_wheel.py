"""The wheel: it holds every module and every data file and no tests, and runs from another folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE_FOLDERS = ("evaluators", "hw_models", "search", "spaces", "testing")
NOT_SHIPPED = {"__pycache__"}

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run `command` in `cwd` and return what it prints; fail with its stderr."""
    ended = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def tree_files() -> set[str]:
    """Return every file that belongs into the wheel, below the package."""
    files = {"__init__.py", "py.typed"}
    for folder in PACKAGE_FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and not NOT_SHIPPED & set(path.parts):
                files.add(path.relative_to(ROOT).as_posix())
    return files


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that no build folder of the tree leaks into it."""
    source = tmp_path_factory.mktemp("source")
    for file in (ROOT / "pyproject.toml", ROOT / "LICENSE", *ROOT.glob("README.md")):
        shutil.copy(file, source)
    for name in sorted(tree_files()):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    shutil.copytree(ROOT / "tests", source / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet")
    run(*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", out, source, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel alone into a folder of its own; its dependencies are those of this environment."""
    target = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--no-deps", "--no-index", "--target", target, wheel, cwd=target)
    return target


def test_the_wheel_holds_the_tree_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {f"atoll/{name}" for name in tree_files()}


def test_every_module_imports_from_another_folder(installed: Path, tmp_path: Path) -> None:
    code = (
        "import importlib, pkgutil, atoll\n"
        "print(atoll.__file__)\n"
        "for module in pkgutil.walk_packages(atoll.__path__, 'atoll.'):\n"
        "    if not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
        "        print(module.name)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(installed)}
    where, *modules = run(sys.executable, "-c", code, cwd=tmp_path, env=env).splitlines()
    assert Path(where) == installed / "atoll" / "__init__.py"
    expected = {name for name in tree_files() if name.endswith(".py") and "__main__" not in name}
    assert len(modules) == len(expected) - 1  # the root itself is not walked


def test_the_command_runs_from_another_folder(installed: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(installed)}
    assert "search" in run(installed / "bin" / "atoll", "--help", cwd=tmp_path, env=env)
