"""The contract of every stopping rule, and what each one counts."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from atoll.evaluators.steps.work import Outcome
from atoll.search.driver import stopping
from atoll.search.driver.stopping import RULES, CountLimit, Rejections, SoFar, StoppingRule, TimeLimit
from atoll.search.driver.trials import Trials
from atoll.search.study.limits import Limits
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import made_up_metrics


def trials(*statuses: str) -> Trials:
    """Proposals of two steps, as many as statuses, in their order."""
    found, ratios = Trials(), count(1)
    for n, status in enumerate(statuses):
        recipe = Recipe.parse(f"prune_weights(ratio={0.001 * next(ratios):.3f}) -> quantize")
        trial = found.create(recipe, "search", proposal=n)
        if status == "running":
            trial.start()
        else:
            trial.take(Outcome(status, metrics=made_up_metrics() if status == "finished" else None))
        trial.violation = {"latency_ms <= 1": 0.5} if status == "rejected" else None
    return found


def so_far(statuses: str, elapsed_s: float = 0.0, **limits: Any) -> SoFar:
    return SoFar(trials(*statuses.split()), Limits(**limits), elapsed_s)


@dataclass(frozen=True)
class Case:
    """A rule with studies that stand at three places.

    Args:
        rule: under test.
        free, at_end: something may start; nothing will any more.
        later: the same study after the end, when more has ended and time has passed.
        held: what runs may reach the limit; None where it never can.
        reason: what is said at the end.
    """

    rule: StoppingRule
    free: Callable[[], SoFar]
    at_end: Callable[[], SoFar]
    later: Callable[[], SoFar]
    held: Callable[[], SoFar] | None
    reason: str


TIME, TRIALS, ENSEMBLES, REJECTIONS = RULES
CASES = {
    "time": Case(
        TIME,
        lambda: so_far("finished running", 89.9, time_minutes=1.5),
        lambda: so_far("finished running", 90.0, time_minutes=1.5),
        lambda: so_far("finished finished", 95.0, time_minutes=1.5),
        None,
        "the time limit of 1.5 minutes is reached",
    ),
    "trials": Case(
        TRIALS,
        lambda: so_far("finished failed rejected running", trials=4),
        lambda: so_far("finished failed rejected running", trials=2),
        lambda: so_far("finished failed rejected finished", trials=2),
        lambda: so_far("finished failed rejected running", trials=3),
        "2 trials are done",
    ),
    "ensembles": Case(
        ENSEMBLES,
        lambda: so_far("finished failed running", ensembles=3),
        lambda: so_far("finished failed running", ensembles=1),
        lambda: so_far("finished failed failed", ensembles=1),
        lambda: so_far("finished failed running", ensembles=2),
        "1 ensembles are done",
    ),
    "rejections": Case(
        REJECTIONS,
        lambda: so_far("rejected running rejected rejected"),
        lambda: so_far("running rejected rejected rejected"),
        lambda: so_far("finished rejected rejected rejected"),
        None,
        "3 proposals in a row cannot meet the constraints; 'latency_ms <= 1' rejects the most (3): loosen it "
        "or choose another device",
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setattr(stopping, "REJECTIONS_IN_A_ROW", 3)
    return CASES[request.param]


def test_every_rule_is_tried_here() -> None:
    assert [case.rule for case in CASES.values()] == list(RULES)


def test_before_its_limit_a_rule_says_nothing(case: Case) -> None:
    assert case.rule.end(case.free()) is None
    assert not case.rule.holds(case.free())


def test_at_its_limit_it_says_why(case: Case) -> None:
    assert case.rule.end(case.at_end()) == case.reason


def test_it_keeps_a_reason_while_trials_end_and_time_passes(case: Case) -> None:
    assert case.rule.end(case.later())


def test_what_runs_may_reach_the_limit(case: Case) -> None:
    if case.held is None:
        assert not case.rule.holds(case.at_end())
    else:
        assert case.rule.end(case.held()) is None
        assert case.rule.holds(case.held())


def test_without_its_limit_it_never_says_anything(case: Case) -> None:
    unlimited = so_far("finished failed rejected running " * 5, 1e9)
    assert case.rule.end(unlimited) is None
    assert not case.rule.holds(unlimited)


def test_asking_changes_nothing(case: Case) -> None:
    for place in (case.free, case.at_end, case.later):
        asked = place()
        before = deepcopy(list(asked.trials.values()))
        first = case.rule.end(asked), case.rule.holds(asked)
        assert (case.rule.end(asked), case.rule.holds(asked)) == first
        assert list(asked.trials.values()) == before


def test_time_alone_keeps_the_fixed_recipes_from_starting() -> None:
    """The others count what is proposed; scales without the whole reference set would be other ones."""
    assert [type(rule) for rule in RULES if rule.stops_fixed] == [TimeLimit]
    assert [type(rule) for rule in RULES] == [TimeLimit, CountLimit, CountLimit, Rejections]


def test_the_constraint_that_rejects_most_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "REJECTIONS_IN_A_ROW", 3)
    asked = so_far("rejected finished rejected rejected rejected")
    first, *_, last = asked.trials.values()
    first.violation = {"macs <= 1": 1.0, "model_bytes <= 1": 1.0}  # before the row: it does not count
    last.violation = {"macs <= 1": 1.0}
    said = REJECTIONS.end(asked)
    assert said is not None and "'latency_ms <= 1' rejects the most (2)" in said
