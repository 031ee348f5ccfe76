"""Which layers a step touches, by name."""

import pytest
from atoll.spaces.errors import AtollError
from atoll.spaces.technique.domains import Int, LayerPattern, OrWord, matches
from atoll.spaces.technique.targets import targeted_layers
from torch import nn


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*", ["conv1", "conv2", "dense1", "dense2"]),
        ("conv*", ["conv1", "conv2"]),
        ("dense1|conv2", ["conv2", "dense1"]),
        ("*[!1]", ["conv2", "dense2"]),
    ],
)
def test_patterns_mean_layers_by_name(trained: dict[str, nn.Module], pattern: str, names: list[str]) -> None:
    assert [name for name, _ in targeted_layers(trained["sequential"], pattern)] == names


def test_a_pattern_without_layers_lists_those_there_are(trained: dict[str, nn.Module]) -> None:
    with pytest.raises(AtollError, match=r"no layer matches 'features\.\*'.*conv1.*dense2"):
        targeted_layers(trained["sequential"], "features.*")


@pytest.mark.parametrize("text", ["", "a b", "a,b", "a->b", "|", "a|", "(a)", "'a'"])
def test_what_a_recipe_gives_a_meaning_is_no_pattern(text: str) -> None:
    with pytest.raises(AtollError, match="allowed is a pattern of layer names"):
        LayerPattern().check("quantize: layers", text)


def test_case_matters() -> None:
    assert matches("Conv*|dense1", "dense1")
    assert not matches("Conv*", "conv1")


def test_a_word_or_a_number() -> None:
    domain = OrWord("auto", Int(1, 64, (4,)))
    assert domain.grid == ("auto",)
    assert domain.check("rank", "auto") == "auto"
    assert domain.check("rank", 4.0) == 4
    with pytest.raises(AtollError, match="rank: got 65, allowed is auto, or a whole number from 1 to 64"):
        domain.check("rank", 65)
