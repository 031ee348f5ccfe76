"""The growing proposer in a made-up world, where every recipe of the space can be looked up."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from atoll.evaluators.ranking.constraints import parse_constraints
from atoll.evaluators.ranking.goal import Goal
from atoll.search.proposer import evidence, grown
from atoll.search.proposer.evidence import Evidence
from atoll.search.proposer.lesson import PLAN_COSTS, Lesson
from atoll.search.proposer.outlook import Outlook
from atoll.search.proposer.proposer import AfterStep, Proposer, Told, new_proposer
from atoll.search.proposer.space import Space
from atoll.search.proposer.trial_scores import Judge, total_violation
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.order import grid_steps, is_legal
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques import technique_named
from atoll.testing import BASELINE

GRIDS = {
    "svd": {"rank": (16, 8, 4)},
    "prune_channels": {"ratio": (0.25, 0.5)},
    "cluster": {"clusters": (8, 32)},
    "quantize": {"bits": (8, 4, 2), "first_last": ("int8",)},
    "distill": {"temperature": (2.0, 4.0), "alpha": (0.1,), "student": ("none",)},
}
TECHNIQUES = tuple(technique_named(name) for name in GRIDS)
#: step -> by what it divides the file, and what it takes of the quality
WORLD = {
    "svd(rank=16)": (2.0, 0.001), "svd(rank=8)": (3.0, 0.006), "svd(rank=4)": (4.5, 0.03),
    "prune_channels(ratio=0.25)": (1.6, 0.002), "prune_channels(ratio=0.5)": (2.6, 0.015),
    "cluster(clusters=8)": (3.0, 0.02), "cluster(clusters=32)": (2.0, 0.004),
    "quantize(bits=8)": (4.0, 0.001), "quantize(bits=4)": (7.5, 0.005),
    "quantize(bits=2)": (13.0, 0.05),
}  # fmt: skip
SECONDS = {"svd": 4.0, "prune_channels": 2.0, "cluster": 1.0, "quantize": 2.0, "distill": 2.0}
JUDGE = Judge(parse_constraints(["quality_drop <= 0.01"]), BASELINE.to_json()).of_costs(
    Goal.parse("smallest")
)
SHARES = dict.fromkeys(PLAN_COSTS, 0.25)
SPACE = [step for technique in TECHNIQUES for step in grid_steps(technique, GRIDS)]


def price(recipe: Recipe) -> Mapping[str, Any]:
    size = 1.0
    for step in recipe:
        size *= WORLD.get(str(step), (1.0, 0.0))[0]
    costs = {
        name: getattr(BASELINE, name) / size for name in ("model_bytes", "macs", "latency_ms", "parameters")
    }
    return {**costs, "peak_memory_bytes": BASELINE.peak_memory_bytes}


def quality(recipe: Recipe) -> float:
    """What comes later hurts more; distillation brings back a little, the more the later."""
    drop = 0.0
    for place, step in enumerate(recipe):
        drop += -0.002 * (1 + place) if step.name == "distill" else WORLD[str(step)][1] * (1 + 0.2 * place)
    return BASELINE.quality - drop


def told(recipe: Recipe) -> Told:
    after = tuple(
        AfterStep.of({**price(one), "quality": quality(one), "seconds": SECONDS[one.steps[-1].name]})
        for one in recipe.prefixes()[1:]
    )
    figures = {**BASELINE.to_json(), **price(recipe), "quality": quality(recipe)}
    score = JUDGE.score(figures)
    assert score is not None
    return Told(recipe, score, total_violation(JUDGE.violation(figures)), after)


@dataclass
class Counted:
    """A price list that knows how often it was asked."""

    asked: list[Recipe] = field(default_factory=list)

    def __call__(self, recipe: Recipe) -> Mapping[str, Any]:
        self.asked.append(recipe)
        return price(recipe)


def made(name: str = "atoll", seed: int = 0) -> Proposer:
    return new_proposer(name, Space(TECHNIQUES, 2, 3, GRIDS), seed)


def course(
    proposer: Proposer, length: int, outlook: Outlook, history: list[Told] | None = None
) -> list[Told]:
    history = list(history or [])
    while len(history) < length:
        recipe = proposer.propose(len(history), history, outlook=outlook)
        assert recipe is not None
        history.append(told(recipe))
    return history


def everything() -> list[Recipe]:
    recipes = [Recipe((one, other)) for one in SPACE for other in SPACE if is_legal((one, other))]
    longer = [Recipe((*recipe.steps, step)) for recipe in recipes for step in SPACE]
    return recipes + [recipe for recipe in longer if is_legal(recipe.steps)]


def seconds_until(history: list[Told], objective: float) -> float:
    """Returns what was trained until a feasible recipe was as good, prefixes once; all of it if none was."""
    trained: set[Recipe] = set()
    spent = 0.0
    for one in history:
        for prefix in one.recipe.prefixes()[1:]:
            spent += 0.0 if prefix in trained else SECONDS[prefix.steps[-1].name]
            trained.add(prefix)
        if one.violation <= 0 and one.objective >= objective - 1e-9:
            break
    return spent


OUTLOOK = Outlook(JUDGE, price)


def test_it_finds_the_best_of_the_whole_space_long_before_chance_does() -> None:
    feasible = [one.objective for one in map(told, everything()) if one.violation <= 0]
    best = max(feasible)
    assert len(everything()) > 900
    grown = [course(made("atoll", seed), 40, OUTLOOK) for seed in range(4)]
    drawn = [course(made("random", seed), 100, OUTLOOK) for seed in range(4)]
    near = best - 0.7  # 15 times smaller, where 24 is the best: one in twenty recipes
    assert sum(one >= near for one in feasible) < 0.05 * len(everything())
    found = [seconds_until(history, near) for history in grown]
    by_chance = [seconds_until(history, near) for history in drawn]
    assert all(max(one.objective for one in h if one.violation <= 0) >= near for h in grown)
    assert statistics.median(found) < 0.4 * statistics.median(by_chance)


def test_a_resumed_search_proposes_what_the_uninterrupted_one_would_have() -> None:
    whole = course(made(), 12, OUTLOOK)
    assert course(made(), 12, OUTLOOK, whole[:7]) == whole


def test_an_earlier_call_with_another_history_leaves_no_trace() -> None:
    proposer, history = made(), course(made(), 9, OUTLOOK)
    proposer.propose(9, history, outlook=OUTLOOK)
    assert proposer.propose(9, history[3:], outlook=OUTLOOK) == made().propose(
        9, history[3:], outlook=OUTLOOK
    )


def mixed(random: Random, length: int) -> list[Told]:
    """Returns a history in which some failed, some were rejected, and prefixes are shared and differ."""
    found = []
    for recipe in random.sample(everything(), length):
        one, kind = told(recipe), random.random()
        if kind < 0.1:
            one = Told(recipe, 0.0, 1.0, failed=True)
        elif kind < 0.3:
            one = Told(recipe, 0.0, 0.5)
        elif kind < 0.5:
            one = replace(one, after=tuple(replace(step, seconds=step.seconds * 1.1) for step in one.after))
        found.append(one)
    return found


@pytest.mark.parametrize("delay", [4, 40])
def test_whatever_order_results_arrive_in_a_history_gives_the_same_proposal(
    delay: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held against a proposer that hears of it at once, to the last bit, also between refits."""
    monkeypatch.setattr(evidence, "_REFIT", 8)
    random = Random(delay)
    whole = mixed(random, 60)
    # one of them is of a recipe that is evaluated later
    lessons = [Lesson(recipe, 0.0, SHARES) for recipe in (*everything()[:2], whole[9].recipe)]
    outlook = Outlook(JUDGE, price, tuple(lessons))
    arrivals = sorted(range(len(whole)), key=lambda place: place + random.uniform(0, delay))
    followed, proposer, asked = Evidence(outlook, []), made(), everything()[::20]
    for n in range(1, len(whole)):
        history = [whole[place] for place in sorted(arrivals[:n])]
        followed.follow(history)
        if n % 6:
            continue
        fresh = Evidence(outlook, [])
        fresh.follow(history)
        assert followed.expected(asked) == fresh.expected(asked)
        assert (followed.best(30), followed.best_objective) == (fresh.best(30), fresh.best_objective)
        assert [followed.seconds()(step) for step in SPACE] == [fresh.seconds()(step) for step in SPACE]
        if n % 18 == 0:
            expected = made().propose(n, history, outlook=outlook)
            assert proposer.propose(n, history, outlook=outlook) == expected


def test_what_differs_by_training_alone_costs_what_was_evaluated() -> None:
    """To the byte, though sizes that do not multiply let a sum of effects expect something else."""

    def saturating(recipe: Recipe) -> Mapping[str, Any]:
        costs = price(recipe)
        return {**costs, "model_bytes": round(costs["model_bytes"]) + 100_000 * bool(recipe.steps)}

    pair = Recipe.parse("svd(rank=8) -> quantize(bits=4)")
    after = tuple(
        AfterStep.of({**saturating(one), "quality": quality(one), "seconds": 1.0})
        for one in pair.prefixes()[1:]
    )
    evidence = Evidence(Outlook(JUDGE, saturating), [Recipe((step,)) for step in SPACE])
    evidence.follow([Told(pair, 0.0, 1.0, after)])
    taught = [
        Recipe.parse("svd(rank=8) -> quantize(bits=4) -> distill(temperature=2.0, alpha=0.1)"),
        Recipe.parse("svd(rank=8) -> distill(temperature=4.0, alpha=0.1) -> quantize(bits=4)"),
    ]
    other = Recipe.parse("svd(rank=4) -> quantize(bits=4)")
    found = evidence.expected([*taught, other])
    assert [one.costs["model_bytes"] for one in found[:2]] == [saturating(pair)["model_bytes"]] * 2
    assert found[2].costs["model_bytes"] != saturating(other)["model_bytes"]
    evidence.follow([])
    assert evidence.expected(taught[:1])[0].costs["model_bytes"] != saturating(pair)["model_bytes"]


def test_where_the_first_that_are_priced_gain_nothing_more_are_priced() -> None:
    """Whatever follows `svd(rank=16)` is as large as it: only what does not begin with it gains."""
    first = Recipe.parse("svd(rank=16) -> quantize(bits=4)")

    def behind(recipe: Recipe) -> Mapping[str, Any]:
        return price(first if len(recipe) > 1 and recipe.steps[0] == first.steps[0] else recipe)

    proposer, sizes = made(), []
    for n in range(24):
        recipe = proposer.propose(n, [told(first)], outlook=Outlook(JUDGE, behind))
        assert recipe is not None
        sizes.append(behind(recipe)["model_bytes"])
    assert all(size < price(first)["model_bytes"] for size in sizes)


def test_few_recipes_are_priced_for_one_proposal() -> None:
    history, counted = course(made(), 9, OUTLOOK), Counted()
    proposer, outlook = made(), Outlook(JUDGE, counted)
    proposer.propose(9, history, outlook=outlook)
    assert len(counted.asked) <= len(SPACE) + 6
    counted.asked.clear()
    proposer.propose(10, [*history, told(everything()[0])], outlook=outlook)
    assert len(counted.asked) <= 6


@pytest.mark.parametrize("metric", ["payload_bytes", "nonzero_parameters", "macs * latency_ms"])
def test_costs_that_no_plan_tells_are_minimized_too(metric: str) -> None:
    """In this world every cost shrinks alike: the search finds as much as for the file."""
    judge = Judge(JUDGE.constraints, JUDGE.baseline).of_costs(Goal.parse({"minimize": metric}))
    histories = [course(made(seed=seed), 15, Outlook(judge, price)) for seed in range(3)]
    best = [max(one.objective for one in history if one.violation <= 0) for history in histories]
    assert statistics.median(best) >= 3.0


def test_what_would_be_rejected_is_not_proposed() -> None:
    judge = Judge(parse_constraints(["latency_ms <= 4", "quality_drop <= 0.01"]), JUDGE.baseline)
    outlook = Outlook(judge.of_costs(Goal.parse("smallest")), price)
    recipes = [one.recipe for one in course(made(), 10, outlook)]
    assert all(price(recipe)["latency_ms"] <= 4 for recipe in recipes)


def test_what_cannot_be_planned_is_not_proposed() -> None:
    def picky(recipe: Recipe) -> Mapping[str, Any]:
        if any(step.name == "svd" for step in recipe):
            raise AtollError("this network has no dense layer")
        return price(recipe)

    recipes = [one.recipe for one in course(made(), 10, Outlook(JUDGE, picky))]
    assert not any(step.name == "svd" for recipe in recipes for step in recipe)


def test_where_everything_is_refused_few_are_asked_and_the_first_is_proposed() -> None:
    """The driver rejects it with the reason, and after many of these the study ends."""
    judge = Judge(parse_constraints(["latency_ms <= 0.001"]), JUDGE.baseline).of_costs(Goal.parse("smallest"))
    proposer, asked = made(), Counted()
    first = proposer.propose(0, [], outlook=Outlook(judge, asked))
    assert first is not None
    assert judge.rejection(price(first)) is not None
    assert len(asked.asked) <= len(SPACE) + 20
    assert proposer.propose(1, [Told(first, 0.0, 1.0)], outlook=Outlook(judge, asked)) not in (None, first)


def test_a_prefix_that_was_trained_and_is_best_becomes_a_trial_of_its_own() -> None:
    """Two steps within the constraint, the third breaks it: the two are tried, which costs no training."""
    pair = Recipe.parse("svd(rank=16) -> quantize(bits=4)")
    wreck = Recipe((*pair.steps, *Recipe.parse("cluster(clusters=8)").steps))
    history = [told(wreck)]
    assert history[0].violation > 0
    assert told(pair).violation <= 0
    proposals = [made(seed=seed).propose(1, history, outlook=OUTLOOK) for seed in range(3)]
    assert pair in proposals


def test_what_failed_is_not_grown() -> None:
    """Trials with a step that always fails are learned from, and become rare."""
    proposer, history = made(), list[Told]()
    for n in range(24):
        recipe = proposer.propose(n, history, outlook=OUTLOOK)
        assert recipe is not None
        fails = any(step.name == "prune_channels" for step in recipe)
        history.append(Told(recipe, 0.0, 1.0, failed=True) if fails else told(recipe))
    assert sum(one.failed for one in history[12:]) <= 3


def test_a_long_first_step_does_not_bind_the_search_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cheap behind the first decomposition that was trained is not all that is ever tried."""
    monkeypatch.setitem(SECONDS, "svd", 1000.0)

    def first_steps(history: list[Told]) -> set[str]:
        return {str(one.recipe.steps[0]) for one in history if one.recipe.steps[0].name == "svd"}

    histories = [course(made(seed=seed), 30, OUTLOOK) for seed in range(4)]
    assert all(len(first_steps(history)) >= 2 for history in histories)
    monkeypatch.setattr(grown, "PATIENT", 1 << 30)
    bound = [course(made(seed=seed), 30, OUTLOOK) for seed in range(4)]
    assert sum(len(first_steps(history)) >= 2 for history in bound) <= 1


def test_pending_recipes_count_as_being_trained() -> None:
    history = course(made(), 6, OUTLOOK)
    first = made().propose(6, history, outlook=OUTLOOK)
    assert first is not None
    assert made().propose(6, history, pending=[first], outlook=OUTLOOK) not in (None, first)


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_record_that_is_not_whole_is_refused(value: object) -> None:
    record = {**price(Recipe()), "quality": 0.9, "seconds": 1.0}
    for name in ("quality", "seconds", "model_bytes"):
        with pytest.raises(AtollError, match=name):
            AfterStep.of({**record, name: value})


def test_a_device_that_was_never_timed_is_searched_for_as_any_other() -> None:
    """Its latency is the same for all, and decides nothing."""
    untimed = {
        **dict.fromkeys(("latency_ms", "latency_ms_low", "latency_ms_high")),
        "latency_status": "unknown: never timed",
    }
    baseline = BASELINE.to_json() | untimed
    judge = Judge(parse_constraints(["quality_drop <= 0.01"]), baseline).of_costs(Goal.parse("smallest"))
    outlook = Outlook(judge, lambda recipe: {**price(recipe), **untimed})
    history = course(made(), 12, OUTLOOK)
    without = [replace(one, after=tuple(_untimed(after) for after in one.after)) for one in history]
    assert made().propose(len(without), without, outlook=outlook) is not None


def _untimed(after: AfterStep) -> AfterStep:
    return AfterStep.of(
        {**after.costs, "latency_ms": None, "quality": after.quality, "seconds": after.seconds}
    )
