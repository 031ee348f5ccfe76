"""The guided proposer: it learns, and what Optuna hears of a recipe. Its contract: `test_proposer.py`."""

from atoll.search.proposer.guided import STOP, GuidedProposer
from atoll.search.proposer.proposer import Told
from atoll.search.proposer.space import Space
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques import TECHNIQUES, technique_named


def proposer(seed: int = 0) -> GuidedProposer:
    return GuidedProposer(Space(TECHNIQUES, 2, 4), seed)


def told(recipe: Recipe) -> Told:
    """Likes short recipes that begin with a tensor train."""
    likes = recipe.steps[0].name == "tensor_train"
    return Told(recipe, (3.0 if likes else 0.0) - len(recipe), violation=-1.0)


def course(chooser: GuidedProposer, length: int) -> list[Recipe]:
    history: list[Told] = []
    for n in range(length):
        recipe = chooser.propose(n, history)
        assert recipe is not None
        history.append(told(recipe))
    return [one.recipe for one in history]


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
    few = GuidedProposer(Space((technique_named("quantize"),), 1, 2), 0)
    assert few.parameters(Recipe.parse("cluster -> quantize")) == {}
    assert "1.tensor_train.rank" not in proposer().parameters(Recipe.parse("tensor_train(rank=5)"))
