"""The contract of every proposer: a pure function of what is known, whose proposals are legal and new."""

import json
from typing import Any

import pytest
from atoll.evaluators.tasks.digits import DIGITS
from atoll.search.proposer.proposer import DEFAULT_SAMPLER, PROPOSERS, Proposer, Told, new_proposer
from atoll.search.proposer.space import Space
from atoll.search.study.reference import fixed_recipes
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.order import is_legal, searched_values
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.technique.technique import Technique
from atoll.spaces.techniques import TECHNIQUES, technique_named

GRIDS = {"quantize": {"bits": (2, 4)}}
Techniques = tuple[type[Technique], ...]


@pytest.fixture(params=[name for name, _ in PROPOSERS])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def made(
    name: str, seed: int = 0, techniques: Techniques = TECHNIQUES, low: int = 2, high: int = 4
) -> Proposer:
    return new_proposer(name, Space(techniques, low, high, GRIDS), seed)


def told(recipe: Recipe) -> Told:
    """Likes short recipes that begin with a tensor train; a binarization breaks the constraints."""
    likes = recipe.steps[0].name == "tensor_train"
    broken = any(step.name == "binarize" for step in recipe)
    return Told(recipe, (3.0 if likes else 0.0) - len(recipe), violation=1.0 if broken else -1.0)


def reference() -> list[Told]:
    """What every study knows before its first proposal: shorter ones, settings off the grid."""
    return [told(recipe) for recipe in fixed_recipes(DIGITS) if len(recipe)]


def course(chooser: Proposer, length: int, history: list[Told] | None = None) -> list[Recipe]:
    """Proposes one after the other, each told before the next; after so many of a history."""
    proposed = list(history or ())
    for n in range(len(proposed), len(proposed) + length):
        recipe = chooser.propose(n, [*reference(), *proposed])
        assert recipe is not None
        proposed.append(told(recipe))
    return [one.recipe for one in proposed]


def test_proposals_are_legal_within_the_lengths_and_new(name: str) -> None:
    recipes = course(made(name), 40)
    assert all(is_legal(recipe.steps) and 2 <= len(recipe) <= 4 for recipe in recipes)
    assert len({*recipes, *fixed_recipes(DIGITS)}) == 40 + len(fixed_recipes(DIGITS))


def test_proposals_stay_in_the_space_and_on_its_grids(name: str) -> None:
    few = tuple(technique_named(one) for one in ("prune_channels", "quantize", "cluster"))
    steps = [step for recipe in course(made(name, techniques=few), 30) for step in recipe]
    assert {type(step) for step in steps} <= set(few)
    assert all(
        value in searched_values(type(step), GRIDS)[key]
        for step in steps
        for key, value in step.settings().items()
    )
    assert {step.settings()["bits"] for step in steps if step.name == "quantize"} == {2, 4}


def test_the_nth_proposal_depends_on_what_is_passed_alone(name: str) -> None:
    whole = course(made(name), 25)
    resumed = course(made(name), 10, [told(recipe) for recipe in whole[:15]])
    assert resumed == whole


def test_arguments_are_left_as_they_are(name: str) -> None:
    history, pending = reference(), [Recipe.parse("binarize -> distill")]
    kept = list(history), list(pending)
    made(name).propose(0, history, pending, pending)
    assert (history, pending) == kept


def test_an_earlier_call_with_another_history_leaves_no_trace(name: str) -> None:
    chooser = made(name)
    history = [told(recipe) for recipe in course(chooser, 14)]
    expected = made(name).propose(14, history[1:])
    chooser.propose(14, history)
    assert chooser.propose(14, history[1:]) == expected


def test_a_pending_recipe_leaves_no_trace(name: str) -> None:
    chooser = made(name)
    history = [told(recipe) for recipe in course(chooser, 12)]
    chooser.propose(12, history, pending=[Recipe.parse("binarize -> distill")])
    assert chooser.propose(12, history) == made(name).propose(12, history)


def test_another_seed_proposes_others(name: str) -> None:
    one, other = course(made(name, 0), 20), course(made(name, 1), 20)
    assert len(set(one) & set(other)) <= 10


def test_what_is_pending_known_or_in_the_history_is_not_proposed(name: str) -> None:
    first = made(name).propose(0, [])
    assert first is not None
    assert made(name).propose(0, [], pending=[first]) not in (None, first)
    assert made(name).propose(0, [], known=[first]) not in (None, first)
    assert made(name).propose(0, [told(first)]) not in (None, first)


def test_an_exhausted_space_ends_in_none_and_a_sentence(name: str) -> None:
    few = made(name, techniques=(technique_named("prune_weights"),), low=1, high=1)
    recipes = course(few, 1)  # the other of its grid is in the reference set
    assert few.propose(1, [*reference(), *map(told, recipes)]) is None
    assert few.exhausted


def test_a_space_that_cannot_make_the_length_gives_none(name: str) -> None:
    assert made(name, techniques=(technique_named("prune_weights"),), low=2, high=2).propose(0, []) is None


def test_parameters_are_plain_json_for_any_recipe(name: str) -> None:
    for recipe in (*fixed_recipes(DIGITS), *course(made(name), 5)):
        parameters = made(name).parameters(recipe)
        assert json.loads(json.dumps(parameters, allow_nan=False)) == parameters


# By name ----------------------------------------------------------------------------------------------


def test_an_unknown_name_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(AtollError, match=r"unknown sampler 'guide'. did you mean 'guided'"):
        Study.create({"task": "digits", "sampler": "guide"})


def test_a_study_of_before_there_was_a_choice_stays_the_same_study() -> None:
    """Its definition names no goal, scale and sampler: it ranked by the score, linearly, and was guided."""
    old = Study.create({"task": "digits", "goal": "score", "scale": "linear", "sampler": "guided"})
    assert not {"goal", "scale", "sampler"} & set(old.definition())
    again = Study.from_stored("old", old.definition(), None)
    assert (again.goal, again.scale, again.sampler) == ("score", "linear", "guided")
    assert again.digest == old.digest


@pytest.mark.parametrize(
    "values",
    [{}, {"sampler": "tpe"}, {"goal": "smallest"}, {"goal": {"minimize": "macs"}, "sampler": "guided"}],
)
def test_any_other_comes_back_from_the_store_as_it_was(values: dict[str, Any]) -> None:
    study = Study.create({"task": "digits", **values})
    again = Study.from_stored("new", json.loads(json.dumps(study.definition())), None)
    assert (again.goal, again.sampler, again.digest) == (study.goal, study.sampler, study.digest)


def test_another_sampler_makes_another_study() -> None:
    digests = {Study.create({"task": "digits", "sampler": name}).digest for name, _ in PROPOSERS}
    assert len(digests) == len(PROPOSERS)
    assert Study.create({"task": "digits", "sampler": DEFAULT_SAMPLER}).digest in digests


def test_what_belongs_to_the_score_is_refused_with_another_goal() -> None:
    with pytest.raises(AtollError, match=r"profile: it belongs to the goal score; this study's is smallest"):
        Study.create({"task": "digits", "goal": "smallest", "profile": "memory"})
