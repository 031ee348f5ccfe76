"""The bench of files and releases: its figures and table on made-up rows."""

import json
from pathlib import Path
from typing import Any

import pytest
from atoll.hw_models.runtimes.micro import RUNS
from atoll.hw_models.runtimes.need import NOT_IN
from atoll.hw_models.runtimes.runtime import OLDEST_MEANT, Runtime
from atoll.hw_models.runtimes.wheels import WHEELS

RECORDED = Path(__file__).parents[2] / "results" / "targets" / "rows.jsonl"


@pytest.fixture(autouse=True)
def _modules_of_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts import their neighbours by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def row(runtime: str, has: str, outcome: str, kernels: str = "default", **more: Any) -> dict[str, Any]:
    needed = "2.19.0"
    return {
        "network": "plain", "recipe": "svd", "minimum_runtime": needed, "runtime": runtime, "has": has,
        "package": runtime, "kernels": kernels, "claimed": has >= needed, "outcome": outcome,
        "why": "", "commit": "abc", "machine": "one", "date": "today",
    } | more  # fmt: skip


OTHER = "computes something else"


def both(runtime: str, has: str, default: str, plain: str) -> list[dict[str, Any]]:
    return [row(runtime, has, default), row(runtime, has, plain, "plain")]


def test_a_promise_that_is_not_kept_is_counted_for_default_kernels() -> None:
    from targets_page import claimed_and_not_right

    rows = [*both("litert-1.1", "2.19.0", OTHER, "agrees"), *both("tflite-2.18", "2.18.0", OTHER, OTHER)]
    rows += both("litert-2.0", "2.20.0", "agrees", OTHER)
    assert [one["runtime"] for one in claimed_and_not_right(rows)] == ["litert-1.1"]


@pytest.mark.parametrize(
    ("older", "found"), [(("agrees", "agrees"), 1), (("agrees", "refused"), 0), (("ended", OTHER), 0)]
)
def test_a_minimum_is_too_new_where_all_that_have_the_next_older_release_are_right(
    older: tuple[str, str], found: int
) -> None:
    from targets_page import right_below_the_minimum

    rows = [row("tflite-2.17", "2.17.0", "agrees"), row("tflite-2.19", "2.19.0", "agrees")]
    rows += [row(name, "2.18.0", how) for name, how in zip(("tflite-2.18", "litert-1.0"), older, strict=True)]
    assert len(right_below_the_minimum(rows)) == found


def test_the_table_says_in_a_word_what_each_made_of_it() -> None:
    from targets_page import page

    rows = [
        *both("tflite-2.14", "2.14.0", "refused", "refused"), *both("tflite-2.17", "2.17.0", OTHER, "ended"),
        *both("tflite-2.18", "2.18.0", "agrees", "agrees"), *both("tflite-2.19", "2.19.0", OTHER, "agrees"),
        *both("litert-2.3", "2.23.0", "agrees", "agrees"),
    ]  # fmt: skip
    rows[0]["why"] = "not `true`. Node number 3 failed"
    found = page(rows)
    assert "| `svd` | 2.19.0 | - | wrong | **yes** | **plain** | yes |" in found
    assert "- `not true.`: tflite-2.14" in found
    assert "| tflite-2.17 | tflite-2.17 | 2.17.0 | today | abc | one |" in found


#: half precision with XNNPACK: these compute something else, or do not prepare it; no minimum can say so
HALF = {("quantize(bits=16)", name) for name in ("litert-1.1", "litert-1.2", "litert-1.3", "tflite-2.19")}


def test_the_recorded_runs_are_what_the_minimum_runtimes_say() -> None:
    from targets_page import claimed_and_not_right, right_below_the_minimum

    rows = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    assert {row["runtime"] for row in rows} == set(WHEELS)
    for row in rows:
        runtime = Runtime.named(row["runtime"])
        assert (runtime.release, runtime.loads(row["minimum_runtime"])) == (row["has"], row["claimed"])
        assert row["package"] == str(WHEELS[row["runtime"]])
    assert {(row["recipe"], row["runtime"]) for row in claimed_and_not_right(rows)} == HALF
    assert not right_below_the_minimum(rows)
    assert not HALF & {("quantize(bits=16)", f"litert-{meant}") for meant in OLDEST_MEANT.values()}


def test_the_recorded_runs_of_devices_are_what_is_claimed() -> None:
    place = RECORDED.with_name("devices.jsonl")
    rows = [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()]
    recorded = {(one["network"], one["recipe"]) for one in map(json.loads, RECORDED.read_text().splitlines())}
    assert {(one["network"], one["recipe"]) for one in rows} == recorded
    for one in rows:
        assert (one["micro_claimed"] == RUNS) == (one["micro"] == "agrees"), one["recipe"]
        assert one["arena_recorded"] is None or one["arena_recorded"] <= one["arena_claimed"]
        assert one["vela_mappable"] is None or (one["vela_mappable"] > 0) == (one["vela_cycles"] > 0)


def test_a_row_of_devices_says_what_each_makes_of_a_file() -> None:
    from targets_page import devices_page

    made: dict[str, Any] = {
        "network": "plain", "recipe": "svd", "bytes": 1_000, "interpreter": "tflite-micro 1", "npu": "u55",
        "micro": "agrees", "micro_claimed": RUNS, "micro_difference": 0.004, "arena_claimed": 2_060,
        "arena_recorded": 2_000, "vela": "5", "vela_mappable": 0.5, "vela_cycles": 7_000, "vela_why": "",
        "edge_tpu_mappable": 0.25, "machine": "one", "date": "today", "commit": "abc",
    }  # fmt: skip
    fails = made | {"micro": "computes something else"}
    never = {"micro": "refused", "micro_claimed": "no GELU", "arena_recorded": None, "vela_mappable": None}
    never |= {"vela_cycles": None, "vela_why": "it | ends"}
    found = devices_page([made, fails, made | never])
    assert "| plain | `svd` | 1,000 | yes, 0.4 % | 2,060 | 1.030 | 0.50 | 7,000 | 0.25 |" in found
    assert "| **wrong** |" in found
    assert "| no GELU |  |  | it / ends |  | 0.25 |" in found
    assert "Run with tflite-micro 1; Vela 5 for u55; one, today, abc." in found


def test_exceptions_are_the_runtimes_that_were_seen_to_fail() -> None:
    rows = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    half = [one for one in rows if one["kernels"] == "default" and one["recipe"] == "quantize(bits=16)"]
    assert {one["runtime"] for one in half if one["outcome"] != "agrees"} == set(NOT_IN["FLOAT16"])
    assert all(
        Runtime.named(name).loads(one["minimum_runtime"]) for name in NOT_IN["FLOAT16"] for one in half
    )
