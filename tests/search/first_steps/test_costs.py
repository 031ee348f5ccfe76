"""What a search would take, against closed forms."""

from typing import Any

import pytest
from atoll.evaluators.tasks import load_task
from atoll.evaluators.tasks.given_network import adopted_network
from atoll.search.first_steps.costs import Costs, costs_of, finalists_said
from atoll.search.study.budgets import finals_s
from atoll.search.study.study import Study

EPOCH_S = 10.0


def study_with(**more: Any) -> Study:
    """One of 2 to 4 steps of 2 epochs, without a reference set: a baseline has 8 epochs, twice."""
    common = {"task": "digits", "goal": "smallest", "min_steps": 2, "max_steps": 4, "epochs_per_step": 2.0}
    return Study.create({**common, **more})


def foreseen(study: Study) -> Costs:
    task = load_task(study.task)
    return costs_of(study, adopted_network(task), task.dataset(), EPOCH_S)


def test_the_finalists_come_on_top_of_the_time_limit() -> None:
    """5 recipes of 3 steps of 2 epochs, 2 further seeds, 2 workers; 2 baselines of 16 epochs at once."""
    study = study_with(limits={"time_minutes": 80, "workers": 2})
    costs = foreseen(study)
    by_hand_s = 2 * 5 * (3 * 2 * EPOCH_S) / 2 + 2 * 8 * EPOCH_S
    assert costs.finalists_s == pytest.approx(by_hand_s)
    assert costs.search_s == pytest.approx(80 * 60 + by_hand_s)
    assert finalists_said(study, costs) == (
        "about 8 minutes on top of the limit: 5 recipes at most with 2 further seeds, each beside a baseline "
        "of its seed"
    )


def test_one_worker_makes_one_baseline_after_the_other() -> None:
    study = study_with(limits={"ensembles": 10, "workers": 1}, finalists=3, finalist_seeds=4)
    costs = foreseen(study)
    assert costs.finalists_s == pytest.approx(3 * (3 * 60.0 + 160.0))
    searched_s = costs.baseline_s + costs.fixed_s + 10 * 60.0
    assert costs.search_s == pytest.approx(searched_s + costs.finalists_s)


def test_no_more_finalists_than_recipes_are_foreseen() -> None:
    costs = foreseen(study_with(limits={"ensembles": 2, "workers": 1}))
    assert costs.finalists_s == pytest.approx(2 * (2 * 60.0 + 160.0))


def test_without_further_seeds_nothing_is_trained_again() -> None:
    study = study_with(limits={"time_minutes": 5}, finalist_seeds=1)
    costs = foreseen(study)
    assert costs.finalists_s == 0 and costs.search_s == 300.0
    assert finalists_said(study, costs) == "none are trained again"


def test_a_study_without_an_end_has_no_time() -> None:
    assert foreseen(study_with()).search_s is None


@pytest.mark.parametrize(
    ("baselines", "workers", "seconds"),
    [(0, 2, 50.0), (1, 1, 160.0), (1, 2, 110.0), (2, 2, 110.0), (3, 2, 140.0), (2, 8, 72.5)],
)
def test_a_baseline_is_waited_for_and_the_rest_is_shared(
    baselines: int, workers: int, seconds: float
) -> None:
    assert finals_s(baselines, 60.0, 100.0, workers) == pytest.approx(seconds)
