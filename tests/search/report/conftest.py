"""The made-up store of the tests of the SQL, and stores of any size made alike."""

import importlib.util
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location(
    "made_up_store", Path(__file__).parents[1] / "sql" / "conftest.py"
)
assert _SPEC is not None and _SPEC.loader is not None
made_up_store = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(made_up_store)

made_up = made_up_store.made_up
