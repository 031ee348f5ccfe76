"""That the study's runtime loads the file, beside the constraints."""

import pytest
from atoll.evaluators.ranking.demands import Loadable, demands, unloadable, violations
from atoll.evaluators.ranking.leaderboard import leaderboard
from atoll.hw_models.runtimes.runtime import Runtime
from atoll.spaces.errors import AtollError
from atoll.testing import made_up_metrics

BOARD = Runtime.named("tflite-2.14")
BASELINE = made_up_metrics().to_json()


def needing(release: str | None) -> dict[str, object]:
    reason = "FULLY_CONNECTED with int4 weights and int8 activations"
    return made_up_metrics(minimum_runtime=release, minimum_runtime_reason=reason).to_json()


@pytest.mark.parametrize(("release", "violation"), [("2.3.0", 0), ("2.14.0", 0), ("2.19.0", 1), (None, 0)])
def test_what_the_runtime_does_not_load_misses_it(release: str | None, violation: float) -> None:
    found = violations(demands(["quality_drop <= 0.02"], BOARD), needing(release), BASELINE)
    assert found == {
        "quality_drop <= 0.02": pytest.approx(-1),
        "minimum_runtime <= 2.14.0": violation,
    }


def test_without_a_runtime_nothing_is_demanded_of_it() -> None:
    assert [str(one) for one in demands(["macs <= 3"], None)] == ["macs <= 3"]


def test_the_sentence_names_what_needs_it_and_the_runtime_that_has_it() -> None:
    demanded = Loadable(BOARD)
    assert demanded.explain(needing("2.19.0"), BASELINE) == (
        "tflite-2.14 does not load it: FULLY_CONNECTED with int4 weights and int8 activations needs "
        "TensorFlow Lite 2.19.0; `runtime: litert-1` does"
    )
    assert demanded.explain(needing("2.99.0"), BASELINE).endswith("needs TensorFlow Lite 2.99.0")
    assert demanded.is_priced(needing("2.3.0")) and not demanded.is_priced({"macs": 3})


def test_the_leaderboard_ranks_what_the_runtime_loads() -> None:
    rows = [
        {**needing("2.19.0"), "recipe": "quantize(bits=4)", "seed": 0, "epochs_per_step": 1},
        {**needing("2.3.0"), "recipe": "quantize(bits=8)", "seed": 0, "epochs_per_step": 1},
    ]
    ranked = leaderboard(rows, BASELINE, constraints=demands([], BOARD))
    assert {row["recipe"] for row in ranked} == {"baseline", "quantize(bits=8)"}
    [left_out] = [
        row
        for row in leaderboard(rows, BASELINE, constraints=demands([], BOARD), all=True)
        if not row["meets"]
    ]
    assert left_out["recipe"] == "quantize(bits=4)" and "`runtime: litert-1` does" in left_out["misses"]


def test_litert_micro_is_held_to_what_it_runs() -> None:
    demanded = demands([], Runtime.named("litert-micro"))
    assert [str(one) for one in demanded] == ["micro_status = runs"]

    def of(status: str | None) -> float:
        return demanded[0].violation({"micro_status": status}, BASELINE)

    assert (of("runs"), of(None), of("it has no GELU")) == (0.0, 0.0, 1.0)
    said = unloadable(demanded, {"micro_status": "it has no GELU", "minimum_runtime": "2.9.0"})
    assert said == ["litert-micro does not load it: it has no GELU"]
    assert not demanded[0].is_priced({"minimum_runtime": "2.9.0"})  # widths that are measured


def test_memory_of_a_microcontroller_is_bounded_by_the_names_that_people_use() -> None:
    flash, arena = demands(["flash_bytes <= 262144", "arena_bytes <= 65536"], None)
    figures = made_up_metrics(model_bytes=262_145, arena_bytes=131_072).to_json()
    assert flash.violation(figures, BASELINE) == pytest.approx(0, abs=1e-4) and flash.is_priced(figures)
    assert arena.violation(figures, BASELINE) == 1.0 and not arena.needs_training
    assert arena.explain(figures, BASELINE) == "arena_bytes 1.311e+05, demanded <= 65536"
    favourable = figures | {"arena_bytes_low": 65_536, "arena_bytes_high": 131_072}
    assert arena.violation(favourable, BASELINE, favourable=True) == 0
    assert flash.explain(figures | {"model_bytes": 2e6}, BASELINE).startswith("flash_bytes 2e+06")


def test_what_no_device_measured_weighs_nothing() -> None:
    untimed = {
        **dict.fromkeys(("latency_ms", "latency_ms_low", "latency_ms_high")),
        "latency_status": "unknown: litert-micro was never timed",
    }
    baseline = made_up_metrics(**untimed).to_json()
    rows = [
        {**made_up_metrics(**untimed, model_bytes=size).to_json(), "recipe": f"r{size}", "seed": 0}
        for size in (3_000, 1_000)
    ]
    ranked = [row["recipe"] for row in leaderboard(rows, baseline, constraints=())]
    assert ranked.index("r1000") < ranked.index("r3000")
    with pytest.raises(AtollError, match="latency_ms is None, its status 'interpolated'"):
        made_up_metrics(**{**untimed, "latency_status": "interpolated"})


HALF = "DEQUANTIZE of version 3, but not in tflite-2.19, litert-1.1, litert-1.2, litert-1.3 with XNNPACK"


@pytest.mark.parametrize(
    ("name", "violation"),
    [
        *dict.fromkeys(
            ("tflite-2.19", "tflite-2.19.1", "litert-1.1", "litert-1.2.0", "litert-1.3"), 1.0
        ).items(),
        *dict.fromkeys(("tflite-2.14", "litert-1", "litert-1.4", "tflite-2.20", "litert-2"), 0.0).items(),
    ],
)
def test_half_precision_misses_a_runtime_that_gets_it_wrong(name: str, violation: float) -> None:
    (demanded,) = demands([], Runtime.named(name))
    half = {"minimum_runtime": "2.3.0", "minimum_runtime_reason": HALF}
    assert demanded.violation(half, BASELINE) == violation
    assert demanded.violation(half | {"minimum_runtime_reason": "ADD of version 1"}, BASELINE) == 0
    # widths that are measured: the release is open, that some have half precision is not
    undecided = half | {"minimum_runtime": None}
    assert demanded.violation(undecided, BASELINE) == violation
    assert demanded.is_priced(undecided) == bool(violation)


def test_the_sentence_says_that_half_precision_is_wrong_there_and_where_it_is_right() -> None:
    half = {"minimum_runtime": "2.3.0", "minimum_runtime_reason": HALF}
    (said,) = unloadable(demands([], Runtime.named("litert-1.2")), half)
    assert said == (
        "litert-1.2 does not run half precision right with XNNPACK, its default, as tflite-2.19, litert-1.1, "
        "litert-1.2, litert-1.3 do not; `runtime: tflite-2.14` does"
    )
    assert str(Loadable(Runtime.named("litert-1.2"))) == "minimum_runtime <= 2.19.0 in litert-1.2"
    assert str(Loadable(Runtime.named("litert-1"))) == "minimum_runtime <= 2.19.0"
