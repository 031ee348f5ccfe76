"""Steps that touch nothing are refused by their plan, or before anything is trained after them."""

from pathlib import Path

import pytest
from atoll.evaluators.steps import idle
from atoll.evaluators.steps.evaluate import evaluate, price_recipe
from atoll.evaluators.steps.pipeline import Pipeline
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.steps.work import Work
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe

DEVICE = "coral-dev-board"


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        # 32 x (64 + 35) are more than 64 x 35
        ('svd(rank=32, layers="classifier.dense2")', r"svd\(.*\) touches no layer of this network$"),
        # both decompose dense layers, and a chain is not decomposed again
        ("svd(rank=4) -> tensor_train(rank=4)", r"tensor_train.* touches no .* as svd\(rank=4\) leaves it"),
        ("svd(rank=4) -> tensor_train(rank=4) -> quantize(bits=8)", r"tensor_train.* touches no layer"),
        # no widths or ranks that are still to be measured give channels to round down
        ("mixed_precision(bits=6) -> prune_channels(ratio=0.02)", r"as mixed_precision\(bits=6"),
        ('svd(rank="auto") -> prune_channels(ratio=0.02)', r"prune_channels.* touches no layer"),
        ('svd(rank="auto") -> prune_channels(ratio=0.02) -> quantize(bits=8)', r"prune_channels.* touches"),
        # a chain is not decomposed again, and where there is none these ranks are too many
        ('svd(rank="auto") -> svd(rank=32, layers="classifier.dense2")', r"svd\(rank=32.* touches no layer"),
    ],
)  # fmt: skip
def test_a_plan_that_changes_nothing_is_refused(recipe: str, message: str) -> None:
    with pytest.raises(AtollError, match=message):
        price_recipe(Recipe.parse(recipe), "characters", DEVICE)


@pytest.mark.parametrize(
    "recipe",
    [
        "baseline",
        "distill",  # trains, and changes no layer
        "quantize(bits=8)",
        "mixed_precision(bits=6) -> quantize(bits=4)",  # planned at 3 bits, but some layers will have more
        'svd(rank="auto") -> svd(rank=4)',  # planned as a chain, but where no rank pays a layer stays whole
        "mixed_precision(bits=6) -> prune_channels(ratio=0.25)",
    ],
)
def test_what_may_touch_a_layer_has_a_price(recipe: str) -> None:
    assert price_recipe(Recipe.parse(recipe), "characters", DEVICE).to_metrics()["macs"] > 0


def test_what_no_plan_tells_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "atoll.evaluators.steps.context.TrainingContext.fit", lambda *_: pytest.fail("it was trained")
    )
    settings = Settings("digits", DEVICE, 0, 0.01, 0.01)
    pipeline = Pipeline(settings, tmp_path)
    pipeline.__dict__["baseline"] = type("Baseline", (), {"network": pipeline.basis.given})
    with pytest.raises(AtollError, match=r"svd\(.* touches no layer of this network \(has 640 weights"):
        pipeline.run(Recipe.parse('svd(rank="auto", layers="classifier.dense2")'))


def test_what_a_plan_tells_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The baseline is the first that would be, and the steps before the one that touches nothing."""
    monkeypatch.setattr(
        "atoll.evaluators.steps.context.TrainingContext.fit", lambda *_, **__: pytest.fail("it was trained")
    )
    monkeypatch.setattr("atoll.evaluators.steps.evaluate.cache_dir", lambda: tmp_path)
    settings = Settings("digits", DEVICE, 7, 0.01, 0.01)
    recipe = Recipe.parse("cluster(clusters=16) -> prune_channels(ratio=0.02)")
    with pytest.raises(AtollError, match=r"prune_channels\(ratio=0.02\) touches no layer"):
        evaluate(Work(settings, recipe))


def test_reasons_are_named_once_and_not_all() -> None:
    recipe = Recipe.parse("svd(rank=4)")
    left = {"a": "too small", "b": "too small", "c": "tied", "d": "never called"}
    with pytest.raises(
        AtollError, match=r"^svd\(rank=4\) touches no layer of this network \(too small; tied\)$"
    ):
        idle.check_applied(recipe, {"structure": {}, "left_alone": left})
    idle.check_applied(recipe, {"structure": {"a": {}}, "left_alone": left})
    idle.check_applied(Recipe.parse("distill"), {"structure": {}})
