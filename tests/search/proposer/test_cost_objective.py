"""The objective of costs alone: halvings against the baseline, the same after a restart."""

import json

import pytest
from atoll.evaluators.ranking.goal import Goal
from atoll.search.proposer.cost_objective import CostObjective
from atoll.search.proposer.objective import WeightedScore
from atoll.search.proposer.trial_scores import Judge, objective_from_json
from atoll.spaces.errors import AtollError
from atoll.testing import BASELINE, made_up_metrics

GOAL = Goal.parse({"minimize": "model_bytes * latency_ms"})


def test_it_counts_halvings_from_the_baseline() -> None:
    objective = CostObjective.of(GOAL, BASELINE)
    assert objective(BASELINE) == objective.lowest_reference == 0.0
    assert objective({"model_bytes": BASELINE.model_bytes / 8, "latency_ms": BASELINE.latency_ms / 2}) == 4.0


def test_a_restart_gives_the_same_one() -> None:
    objective = CostObjective.of(GOAL, BASELINE)
    stored = json.loads(json.dumps(objective.to_json(), sort_keys=True))
    assert objective_from_json(stored) == objective


def test_the_store_tells_it_from_a_weighted_score() -> None:
    members = [BASELINE, made_up_metrics(model_bytes=1000)]
    weighted = WeightedScore.from_reference(members, scale="log", quality_error=0.01)
    assert objective_from_json(json.loads(json.dumps(weighted.to_json()))) == weighted


def test_what_is_incomplete_is_refused() -> None:
    stored = CostObjective.of(GOAL, BASELINE).to_json()
    with pytest.raises(AtollError, match="no baseline"):
        CostObjective.from_json({**stored, "baseline": None})
    with pytest.raises(AtollError, match="version 7"):
        CostObjective.from_json({**stored, "version": 7})
    with pytest.raises(AtollError, match="goal"):
        CostObjective.from_json({**stored, "goal": 3})


def test_a_judge_of_costs_needs_no_reference_set() -> None:
    judge = Judge((), BASELINE).of_costs(GOAL)
    assert judge.score(BASELINE) == 0.0
