"""Short recipes: every technique and setting has a short name of its own."""

from dataclasses import fields

import pytest
from atoll.search.terminal.short_recipe import SHORT, abbreviated, legend, legend_lines, short_recipe
from atoll.spaces.techniques import TECHNIQUES


def test_every_technique_has_a_short_name_and_a_main_setting():
    assert SHORT.keys() == {technique.name for technique in TECHNIQUES}
    assert len({short for short, _ in SHORT.values()}) == len(SHORT)
    for technique in TECHNIQUES:
        assert SHORT[technique.name][1] in {field.name for field in fields(technique)}


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda one: one.name)
def test_settings_of_a_technique_are_told_apart(technique):
    others = [field.name for field in fields(technique) if field.name != SHORT[technique.name][1]]
    assert len(set(map(abbreviated, others))) == len(others)


@pytest.mark.parametrize(
    ("recipe", "short"),
    [
        ("baseline", "baseline"),
        ("tensor_train(rank=16) -> tucker(rank=0.25) -> quantize(bits=4)", "tt16 > tucker.25 > q4"),
        ("quantize(bits=4, first_last=same)", "q4:fl=same"),
        ("distill(temperature=4.0, alpha=0.5)", "d4:alp=.5"),
        ("binarize", "bin"),
        ("quantize(bits=8, layers=a.*|b) -> ternarize", "q8:lay=a.*|b > ter"),
        ("tensor_train(rank=4, in_dims=16x8, out_dims=4x2)", "tt4:id=16x8:od=4x2"),
        ("own_technique(x=1) -> quantize(bits=10.0)", "own_technique(x=1) > q10"),
        ("not ( a step", "not ( a step"),
    ],
)
def test_short_forms(recipe, short):
    assert short_recipe(recipe) == short


def test_the_legend_has_what_is_used_and_no_more():
    used = ["baseline", "quantize(bits=4, first_last=same) -> own(x=1)", "quantize(bits=8, method=ste)"]
    assert legend(used) == "q quantize(bits), fl first_last, met method"
    assert legend(["baseline"]) == ""


@pytest.mark.parametrize("width", range(24, 90))
def test_no_line_of_the_legend_ends_within_a_pair(width):
    used = [
        "quantize(bits=4, first_last=same) -> tensor_train(rank=4)",
        "cluster(clusters=8) -> distill(alpha=0.1)",
    ]
    pairs = legend(used).replace("; ", ", ").split(", ")
    lines = legend_lines(used, width)
    assert [pair for line in lines for pair in line.rstrip(",;").replace("; ", ", ").split(", ")] == pairs
    assert max(map(len, lines)) <= width and (len(lines) > 1 or width > 80)
