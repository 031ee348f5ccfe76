"""The page of Vela's figures before and after training, on made-up rows and on those that are recorded."""

import json
from pathlib import Path
from typing import Any

import pytest

RESULTS = Path(__file__).parents[2] / "results" / "vela"


@pytest.fixture(autouse=True)
def _modules_of_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts import their neighbours by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def row(device: str, cycles: int, mappable: float = 0.5, exact: bool = True) -> dict[str, Any]:
    trained = {"mappable": 0.5, "cycles": 1_000, "flash_bytes": 2_000, "sram_bytes": 400}
    planned = trained | {"cycles": cycles, "mappable": mappable}
    return {"recipe": "svd", "device": device, "exact": exact, "planned": planned, "trained": trained}


def test_a_row_says_how_far_a_plan_is_off() -> None:
    from vela_page import page

    rows = [row("ethos-u55-128", 1_100), row("ethos-u85-256", 950, mappable=0.75), row("x", 9, exact=False)]
    found = page(rows, 10.0)
    assert "| `svd` | 0.50 | 1,000 | 2,000 | -5.0 to +10.0 | +0.0 to +0.0 | +0.0 to +0.0 |" in found
    assert (
        "in 1 of 2 pairs (1 recipes, 2 pairs mapped in part); cycles were off by 7.5 % in the mean" in found
    )


def test_recorded_plans_are_as_near_as_the_target_and_their_shares_exact() -> None:
    from vela_page import page

    rows = [json.loads(line) for line in (RESULTS / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (RESULTS / "README.md").read_text(encoding="utf-8") == page(rows, 10.0)
    for one in rows:
        if one["exact"]:
            assert one["planned"]["mappable"] == one["trained"]["mappable"], one["recipe"]
            for figure in ("cycles", "flash_bytes"):
                assert abs(one["planned"][figure] / one["trained"][figure] - 1) <= 0.1, one["recipe"]
    assert any(0 < one["trained"]["mappable"] < 1 for one in rows)
