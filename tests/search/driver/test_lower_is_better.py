"""A study of an error, on replayed results: through journal, store, ranking and progress, less is better."""

from pathlib import Path

from atoll.evaluators.ranking.quality_terms import QualityTerms
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.progress import snapshot
from atoll.search.driver.runner import run_here
from atoll.search.driver.work import carry_out
from atoll.search.store.selection import choose_study, ranked_trials
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.testing import EFFECTS, Replay, made_up_metrics
from atoll.testing.figures import STUDY

#: an error of 0.2 °C; techniques make it worse by what they would take off an accuracy
BASELINE = made_up_metrics(
    quality=0.2,
    quality_name="mean_absolute_error",
    quality_unit="°C",
    quality_higher_is_better=False,
    label_loyalty=1.0,
)


def test_less_of_an_error_is_better_wherever_trials_are_judged(tmp_path: Path) -> None:
    study, store = Study.create(STUDY), Store(tmp_path / "atoll.duckdb")
    replay = Replay({"baseline": BASELINE}, EFFECTS)

    def drive(campaign: Campaign) -> None:
        while not campaign.is_over:
            trial = campaign.next()
            if trial is not None:
                campaign.end(trial.name, carry_out(campaign.work(trial).to_json(), replay))

    campaign = run_here(study, store, drive)
    rows = store.trials()
    assert {QualityTerms.of(row) for row in rows} == {QualityTerms("mean_absolute_error", "°C", False)}
    # `quality_drop <= 0.02`: the error may grow to 0.22 °C; binarised alone it is 0.23, distilled 0.196
    met = {row["recipe"] for row in rows if not max(row["violation"].values()) > 0}
    assert met == {row["recipe"] for row in rows if row["quality"] <= 0.22 + 1e-9}
    assert any(row["quality"] > 0.22 for row in rows)
    # of two recipes that cost as much, that with the smaller error has the higher objective
    same_cost: dict[float, list[tuple[float, float]]] = {}
    for row in rows:
        same_cost.setdefault(row["model_bytes"], []).append((row["quality"], row["objective"]))
    for pairs in same_cost.values():
        pairs.sort()
        assert [objective for _, objective in pairs] == sorted((o for _, o in pairs), reverse=True)
    ranked = ranked_trials(store, choose_study(store, None))
    assert {row["recipe"] for row in ranked} == met - {"baseline"}
    assert all(row["quality_drop"] == row["quality"] - 0.2 for row in ranked)
    best = campaign.best
    assert best is not None and best.metrics is not None
    assert f"validation quality {best.metrics.quality:.4g} °C measured)" in str(snapshot(campaign, 1))
