"""Which recipes a recipe is compared with: checked against what stands on paper."""

import pytest
from atoll.search.ablation.variants import OTHER_ORDER, WITHOUT, variants_of
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.order import is_legal
from atoll.spaces.recipes.recipe import Recipe

THREE = Recipe.parse("svd(rank=8) -> cluster -> prune_weights(ratio=0.5)")


def texts(recipe: Recipe, kind: str, most: int = 23) -> list[str]:
    return [str(one.recipe) for one in variants_of(recipe, most).chosen if one.kind == kind]


def test_every_order_and_every_step_left_out() -> None:
    a, b, c = map(str, THREE)
    assert texts(THREE, WITHOUT) == [f"{b} -> {c}", f"{a} -> {c}", f"{a} -> {b}"]
    # clusters leave 16 values a weight, which pruning may take some of: all five others are legal
    assert set(texts(THREE, OTHER_ORDER)) == {
        f"{a} -> {c} -> {b}", f"{b} -> {a} -> {c}", f"{b} -> {c} -> {a}", f"{c} -> {a} -> {b}",
        f"{c} -> {b} -> {a}",
    }  # fmt: skip
    assert variants_of(THREE).notes == ()
    assert variants_of(THREE).chosen[0].recipe == THREE


def test_what_cannot_be_carried_out_is_said_and_not_run() -> None:
    found = variants_of(Recipe.parse("quantize(bits=8) -> quantization_offset(strength=1.0)"))
    assert [str(one) for one in found.chosen] == ["as found", "without quantization_offset(strength=1.0)"]
    without, orders = found.notes
    assert without.startswith("not run without quantize(bits=8): quantization_offset(strength=1.0) needs a")
    assert orders.startswith("1 of 1 other orders cannot be carried out, such as: quantization_offset")


def test_two_equal_steps_make_no_variant_twice() -> None:
    found = variants_of(Recipe.parse("cluster -> svd(rank=8) -> cluster")).chosen
    assert len({one.recipe for one in found}) == len(found)


def test_more_orders_than_asked_for_are_drawn_and_that_is_said() -> None:
    found = variants_of(THREE, most_orders=2)
    assert len([one for one in found.chosen if one.kind == OTHER_ORDER]) == 2
    assert found.notes == ("2 of 5 other legal orders were drawn: --orders 5 runs all",)
    assert found == variants_of(THREE, most_orders=2)
    assert texts(THREE, OTHER_ORDER, most=0) == []


def test_a_long_recipe_is_never_spelt_out_whole() -> None:
    # 12! orders are 479 million: listing them would take minutes and all memory
    steps = [f"prune_weights(ratio=0.5, layers=layer{n})" for n in range(12)]
    found = variants_of(Recipe.parse(" -> ".join(steps)), most_orders=5)
    orders = [one.recipe for one in found.chosen if one.kind == OTHER_ORDER]
    assert len(set(orders)) == 5 and all(is_legal(order.steps) for order in orders)
    assert found.notes == ("5 orders were drawn of the 479,001,600 of so many steps",)


@pytest.mark.parametrize("text", ["baseline", "cluster"])
def test_a_single_step_has_no_order(text: str) -> None:
    with pytest.raises(AtollError, match="allowed are two steps or more"):
        variants_of(Recipe.parse(text))
