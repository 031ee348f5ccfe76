"""Tests of the proposer: a pure function of what is known."""

from atoll.search.proposer.proposer import STOP, Proposer, Told
from atoll.spaces.recipes.order import is_legal
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques import TECHNIQUES, technique_named


def proposer(seed: int = 0) -> Proposer:
    return Proposer(TECHNIQUES, 2, 4, seed)


def told(recipe: Recipe) -> Told:
    """Likes short recipes that begin with a tensor train."""
    likes = recipe.steps[0].name == "tensor_train"
    return Told(recipe, (3.0 if likes else 0.0) - len(recipe), violation=-1.0)


def course(chooser: Proposer, length: int, history: list[Told] | None = None) -> list[Recipe]:
    history = list(history or ())
    start = len(history)
    for n in range(start, start + length):
        recipe = chooser.propose(n, history)
        assert recipe is not None
        history.append(told(recipe))
    return [one.recipe for one in history]


def test_proposals_are_legal_long_enough_and_new() -> None:
    recipes = course(proposer(), 40)
    assert all(is_legal(recipe.steps) and 2 <= len(recipe) <= 4 for recipe in recipes)
    assert len(set(recipes)) == 40


def test_the_nth_proposal_depends_on_the_history_alone() -> None:
    whole = course(proposer(), 25)
    resumed = course(proposer(), 10, [told(recipe) for recipe in whole[:15]])
    assert resumed == whole


def test_a_changed_history_is_noticed() -> None:
    chooser = proposer()
    history = [told(recipe) for recipe in course(chooser, 14)]
    expected = proposer().propose(14, history[1:])
    chooser.propose(14, history)
    assert chooser.propose(14, history[1:]) == expected


def test_another_seed_proposes_others() -> None:
    one, other = course(proposer(0), 20), course(proposer(1), 20)
    assert len(set(one) & set(other)) <= 10


def test_pending_and_known_recipes_are_not_proposed() -> None:
    first = proposer().propose(0, [])
    assert first is not None
    assert proposer().propose(0, [], pending=[first]) not in (None, first)
    assert proposer().propose(0, [], known=[first]) not in (None, first)


def test_a_pending_recipe_leaves_no_trace() -> None:
    chooser = proposer()
    history = [told(recipe) for recipe in course(chooser, 12)]
    chooser.propose(12, history, pending=[Recipe.parse("binarize -> distill")])
    assert chooser.propose(12, history) == proposer().propose(12, history)


def test_it_learns() -> None:
    """After the first results proposals begin as the best ones did; at random a seventh would."""
    late = course(proposer(), 60)[20:]
    assert sum(recipe.steps[0].name == "tensor_train" for recipe in late) > 0.4 * len(late)


def test_a_rejecting_constraint_is_learnt() -> None:
    """Nothing with a binarization is feasible, though its score is as good as any."""
    chooser = proposer()
    history: list[Told] = []
    for n in range(60):
        recipe = chooser.propose(n, history)
        assert recipe is not None
        bad = any(step.name == "binarize" for step in recipe)
        history.append(Told(recipe, 1.0, 1.0 if bad else -1.0))
    late = [one.violation > 0 for one in history[30:]]
    early = [one.violation > 0 for one in history[:10]]
    assert sum(late) / len(late) < max(0.34, sum(early) / len(early))


def test_parameters_are_those_of_the_recipe() -> None:
    recipe = Recipe.parse("tensor_train(rank=8) -> quantize(bits=4)")
    assert proposer().parameters(recipe) == {
        "1": "tensor_train",
        "1.tensor_train.rank": 8,
        "2": "quantize",
        "2.quantize.bits": 4,
        "2.quantize.first_last": "int8",
        "3": STOP,
    }


def test_parameters_off_the_grid_or_outside_the_space_are_left_out() -> None:
    few = Proposer((technique_named("quantize"),), 1, 2, 0)
    assert few.parameters(Recipe.parse("cluster -> quantize")) == {}
    assert "1.tensor_train.rank" not in proposer().parameters(Recipe.parse("tensor_train(rank=5)"))


def test_an_exhausted_space_ends_in_none() -> None:
    few = Proposer((technique_named("prune_weights"),), 1, 1, 0)
    recipes = course(few, 3)
    assert len(set(recipes)) == 3
    assert few.propose(3, [told(recipe) for recipe in recipes]) is None


def test_a_space_that_cannot_make_the_length_gives_none() -> None:
    assert Proposer((technique_named("prune_weights"),), 2, 2, 0).propose(0, []) is None
