"""That the study's runtime loads the file, beside the constraints."""

import pytest
from atoll.evaluators.ranking.demands import Loadable, demands, violations
from atoll.evaluators.ranking.leaderboard import leaderboard
from atoll.hw_models.runtimes.runtime import Runtime
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
