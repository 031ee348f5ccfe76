"""A new store is opened, read-only and with every view and macro, by the DuckDBs that people have."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from atoll.search.store.events import event_from_json
from atoll.search.store.schema import VIEWS
from atoll.search.store.store import Store

# The oldest that opens our files, with its last bug fixes, and one of the long-supported line.
VERSIONS = ("1.2.2", "1.4.5")
ASKED = (
    *VIEWS,
    "leaderboard()",
    "leaderboard(scoring := 'rank', first := 9, everything := TRUE)",
    "reranked(quality := 5)",
    "pareto(model_bytes, quality)",
    "pareto3(model_bytes, quality, latency_ms, everything := TRUE)",
    "waterfall('t1')",
)
READ = """
import json, sys
import duckdb
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    # not fetchall: DuckDB's own rows need pytz for a moment
    rows = {one: connection.sql(f"FROM {one}").fetch_arrow_table().num_rows for one in sys.argv[2:]}
print(json.dumps([duckdb.__version__, rows]))
"""


@pytest.fixture(scope="module", params=VERSIONS)
def other(request: pytest.FixtureRequest) -> tuple[str, Path]:
    """A version, and the folder that it lies in: fetched once, beside the packages of this environment."""
    version = request.param
    folder = Path(sys.prefix) / "others" / f"duckdb-{version}"
    if not folder.is_dir():
        draft = folder.with_name(f"{folder.name}.{os.getpid()}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run(
            [*command, "--target", str(draft), f"duckdb=={version}"],
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode != 0:
            shutil.rmtree(draft, ignore_errors=True)
            pytest.skip(f"duckdb {version} cannot be had: {done.stderr.strip().splitlines()[-1:]}")
        draft.rename(folder)
    return version, folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "atoll.duckdb")
    key = {"study": "s", "trial": "t1", "recipe_digest": "d", "seed": 0, "epochs_per_step": 1.0}
    told = {"recipe": "quantize(bits=8)", "origin": "search"} | key
    step = {"position": 1, "step": "quantize(bits=8)", "technique": "quantize", "notes": ["x"]}
    metrics = {"quality": 0.5, "model_bytes": 2**40}
    moment = "2026-11-05T12:00:00Z"
    for event in (
        {
            "type": "study",
            "study": "s",
            "definition": {"task": "digits", "profile": {"accuracy": 2}},
            "created_at": moment,
        }
        | {"baseline": metrics},
        {"type": "proposed"} | told,
        {"type": "ended", "status": "finished", "metrics": metrics, "steps": [step], "ended_at": moment}
        | told,
        {"type": "test_look", "quality": 0.5, "looked_at": moment} | told,
    ):
        store.journal.append(event_from_json(event))
    assert store.fold()
    return store


@pytest.mark.slow
def test_a_new_store_is_read_by_other_duckdbs(other: tuple[str, Path], store: Store) -> None:
    version, folder = other
    done = subprocess.run(
        [sys.executable, "-c", READ, str(store.path), *ASKED],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with closing(duckdb.connect(str(store.path), read_only=True)) as connection:
        rows = {one: connection.sql(f"FROM {one}").to_arrow_table().num_rows for one in ASKED}
    assert rows["trials"] == rows["steps"] == rows["studies"] == rows["test_looks"] == 1
    assert rows["leaderboard(scoring := 'rank', first := 9, everything := TRUE)"] == 2
    assert json.loads(done.stdout) == [version, rows]


@pytest.mark.slow
def test_a_store_of_the_newest_storage_is_refused_by_the_oldest(
    other: tuple[str, Path], tmp_path: Path
) -> None:
    """So that the test above can fail."""
    path = tmp_path / "newest.duckdb"
    with closing(duckdb.connect(str(path), config={"storage_compatibility_version": "latest"})) as connection:
        connection.execute("CREATE TABLE a AS SELECT 1 AS b")
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path), "a"],
        env={**os.environ, "PYTHONPATH": str(other[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
