"""The made-up store of the tests of the SQL, stores of any size, and a browser that opens reports."""

import importlib.util
import json
import os
import random
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from atoll.search.store.store import Store

_SPEC = importlib.util.spec_from_file_location(
    "made_up_store", Path(__file__).parents[1] / "sql" / "conftest.py"
)
assert _SPEC is not None and _SPEC.loader is not None
_MADE_UP = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MADE_UP)

made_up = _MADE_UP.made_up
STEPS = tuple(_MADE_UP.STEPS)
#: set by CI once its machines have the browser for sure: its absence is then a failure
STRICT = "REQUIRE_CHROMIUM"


def _store_of(folder: Path, count: int) -> Store:
    """Returns a store with one study, its baseline and further trials; of every seven one is rejected.

    Args:
        folder: where to.
        count: trials in all; 0 is a study that has only begun.
    """
    generator, store = random.Random(count), Store(folder / "atoll.duckdb")
    baseline: dict[str, float] = _MADE_UP.BASELINE
    definition = {"task": "digits", "device": "coral-dev-board", "seed": 0, "epochs_per_step": 1.0}
    events: list[dict[str, Any]] = [
        {
            "type": "study",
            "created_at": 0.0,
            "definition": definition | {"constraints": ["quality_drop <= 0.05"]},
        }
    ]
    seen: set[tuple[str, ...]] = set()
    while len(seen) < count:
        steps = tuple(generator.choices(STEPS, k=generator.randint(1, 5))) if seen else ()
        if steps in seen:
            continue
        seen.add(steps)
        at, recipe = len(seen), " -> ".join(steps) or "baseline"
        told = {"trial": f"t{at:04d}", "recipe": recipe, "recipe_digest": f"{at:064x}", "seed": 0}
        told |= {"epochs_per_step": 1.0, "origin": "search" if steps else "baseline"}
        events.append({"type": "proposed", **told})
        if at % 7 == 0:
            broken = {"quality_drop <= 0.05": 1.5}
            events.append(
                {"type": "ended", "status": "rejected", "reason": "no", "violation": broken, **told}
            )
            continue
        rows, figures = [], dict(baseline)
        for place, step in enumerate(steps or ("baseline",), start=bool(steps)):
            if steps:
                figures = {name: value * generator.uniform(0.5, 0.99) for name, value in figures.items()}
                figures["quality"] = baseline["quality"] * generator.uniform(0.93, 1.0)
                for name in ("model_bytes", "macs", "peak_memory_bytes"):
                    figures[name] = int(figures[name])
            of_step = {"position": place, "step": step, "technique": step.split("(")[0], "seconds": 2.0}
            rows.append(figures | of_step | {"cached": place < len(steps), "epochs": 1.0})
        ends = {"latency_ms_low": figures["latency_ms"] * 0.8, "latency_ms_high": figures["latency_ms"] * 1.3}
        said = {"quality_name": "accuracy", "quality_unit": "%", "quality_higher_is_better": True}
        times = {
            "started_at": 10.0 * at,
            "ended_at": 10.0 * at + 9,
            "seconds": 2.0,
            "objective": at % 50 / 10,
        }
        metrics = figures | ends | said
        events.append(
            {"type": "ended", "status": "finished", "metrics": metrics, "steps": rows, **told, **times}
        )
    lines = []
    for event in events:
        body = json.dumps({"study": "s"} | event, sort_keys=True, separators=(",", ":"))
        lines.append(f'{{"crc32":"{zlib.crc32(body.encode()):08x}","event":{body}}}\n')
    store.journal_path.write_text("".join(lines))
    assert store.fold()
    return store


@pytest.fixture
def store_of(tmp_path: Path) -> Callable[[int], Store]:
    """Makes a store with so many trials."""
    return lambda count: _store_of(tmp_path, count)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, headless; where there is none, the tests are skipped unless CI demands it."""
    chromium = shutil.which("chromium")
    is_there = chromium is not None and importlib.util.find_spec("playwright") is not None
    if not is_there:
        (pytest.fail if os.environ.get(STRICT) == "1" else pytest.skip)("Chromium or playwright is missing")
    from playwright.sync_api import sync_playwright

    # root has no sandbox; the pages are ours
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()
