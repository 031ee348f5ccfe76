"""The runner of the long tests: what is left after an interruption."""

import importlib.util
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location("long_tests", Path(__file__).with_name("long_tests.py"))
assert _SPEC is not None and _SPEC.loader is not None
long_tests = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(long_tests)

ROWS = [
    {"test": "tests/test_a.py::test_x", "outcome": "passed", "commit": "abc"},
    {"test": "tests/test_a.py::test_y", "outcome": "failed", "commit": "abc"},
]


def test_what_passed_at_this_commit_is_not_run_again() -> None:
    names = ["tests/test_a.py::test_x", "tests/test_a.py::test_y", "tests/test_a.py::test_z"]
    assert long_tests.left(names, ROWS, "abc") == names[1:]


def test_what_never_passed_goes_first() -> None:
    names = ["tests/test_a.py::test_x", "tests/test_a.py::test_y", "tests/test_a.py::test_z"]
    assert long_tests.left(names, ROWS, "def") == [*names[1:], names[0]]


def test_names_are_read_from_a_listing() -> None:
    listing = "tests/test_a.py::test_x[1]\n\n1 test collected in 0.1s\n"
    assert long_tests.collected(listing) == ["tests/test_a.py::test_x[1]"]
