"""What docstrings, comments and texts name lies where they say: modules, what is in them, and files."""

import ast
import importlib
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("spaces", "hw_models", "evaluators", "search")
MODULE = re.compile(rf"(?<![\w./])((?:{'|'.join(FLOORS)})(?:\.(?!md\b)[A-Za-z_]\w*)+)(?![\w/])")
FILE = re.compile(
    rf"(?<![\w./])((?:{'|'.join((*FLOORS, 'tests'))})(?:/[\w.-]+)*/[\w-]+\.(?:py|sql|md|toml|csv))\b"
)
TEXTS = [
    path
    for floor in (*FLOORS, "tests", "clusters", "docs")
    for path in sorted((ROOT / floor).rglob("*"))
    if path.suffix in (".py", ".sql", ".md", ".yaml")
    and path.parent.name != "stores"  # as older ones wrote them
] + [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "__init__.py")]


def prose(path: Path) -> Iterator[str]:
    """Gives what people read: a text, or the comments and docstrings of a module."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield text
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def is_there(name: str) -> bool:
    """Whether a dotted name is a module of the package, or something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:count])
        if place.with_suffix(".py").is_file() or (place / "__init__.py").is_file():
            found = importlib.import_module(".".join(("atoll", *parts[:count])))
            for part in parts[count:]:
                if not hasattr(found, part):
                    return False
                found = getattr(found, part)
            return True
    return False


@pytest.mark.parametrize("floor", ["", *FLOORS, "tests", "clusters", "docs"])
def test_every_module_and_file_that_is_named_is_there(floor: str) -> None:
    lost = []
    for path in TEXTS:
        parts = path.relative_to(ROOT).parts
        if (parts[0] if len(parts) > 1 else "") != floor:
            continue
        for text in prose(path):
            lost += [
                f"{path.relative_to(ROOT)}: {name}" for name in MODULE.findall(text) if not is_there(name)
            ]
            lost += [
                f"{path.relative_to(ROOT)}: {name}"
                for name in FILE.findall(text)
                if not (ROOT / name).exists()
            ]
    assert lost == []


def test_a_name_of_nothing_is_found() -> None:
    assert MODULE.findall("see `search.store.nothing`, search.") == ["search.store.nothing"]
    assert not is_there("search.store.nothing")
    assert not is_there("search.store.store.Nothing")
    assert is_there("search.store.store.Store.fold")
    assert FILE.findall("as in search/store/nothing.py:") == ["search/store/nothing.py"]
