"""Which layers a step touches, by name and by group."""

from collections import OrderedDict

import pytest
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.structure import structure_changes
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.technique.domains import GROUPS, Int, LayerPattern, OrWord, matches
from atoll.spaces.technique.targets import targeted_layers
from atoll.spaces.technique.technique import Technique
from atoll.spaces.techniques import TECHNIQUES
from torch import nn


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*", ["conv1", "conv2", "dense1", "dense2"]),
        ("conv*", ["conv1", "conv2"]),
        ("dense1|conv2", ["conv2", "dense1"]),
        ("*[!1]", ["conv2", "dense2"]),
        ("convolutions", ["conv1", "conv2"]),
        ("dense", ["dense1", "dense2"]),
        ("first", ["conv1"]),
        ("last", ["dense2"]),
        ("last|first", ["conv1", "dense2"]),
        ("convolutions|dense2", ["conv1", "conv2", "dense2"]),
        ("~conv2", ["conv1", "dense1", "dense2"]),
        ("conv*|~conv2", ["conv1"]),
        ("~conv2|conv*", ["conv1"]),
        ("~first|~dense", ["conv2"]),
        ("*|~no_such_layer", ["conv1", "conv2", "dense1", "dense2"]),
    ],
)
def test_patterns_mean_layers_by_name(trained: dict[str, nn.Module], pattern: str, names: list[str]) -> None:
    assert [name for name, _ in targeted_layers(trained["sequential"], pattern)] == names


def adopted(**modules: nn.Module) -> nn.Module:
    return adopt(nn.Sequential(OrderedDict(modules)), (4, 6, 6)).eval()


def test_a_layer_s_own_name_is_stronger_than_a_group() -> None:
    network = adopted(
        first=nn.Conv2d(4, 4, 1),
        last=nn.Conv2d(4, 4, 3),
        flat=nn.Flatten(),
        dense=nn.Linear(64, 8),
        head=nn.Linear(8, 2),
    )
    meant = {word: [name for name, _ in targeted_layers(network, word)] for word in GROUPS}
    assert meant == {
        "convolutions": ["first", "last"],
        "dense": ["dense"],
        "first": ["first"],
        "last": ["last"],
    }


def test_a_decomposed_layer_is_what_it_was() -> None:
    """And a transposed convolution is one; the plan of a network knows as much as the network."""
    network = adopted(
        up=nn.ConvTranspose2d(4, 32, 3), mix=nn.Conv2d(32, 32, 3), flat=nn.Flatten(), head=nn.Linear(1152, 64)
    )
    for text in ("tucker(rank=0.25, fit_steps=0)", "svd(rank=4, fit_steps=0)"):
        network = Recipe.parse(text).steps[0].plan(network)
    assert [layer.decomposed for _, layer in targeted_layers(network, "*")] == [True, True, True]
    assert [name for name, _ in targeted_layers(network, "convolutions")] == ["up", "mix"]
    assert [name for name, _ in targeted_layers(network, "dense")] == ["head"]


@pytest.mark.parametrize("technique", [t for t in TECHNIQUES if "layers" in t.domains()])
def test_every_technique_with_layers_takes_groups(
    technique: type[Technique], trained: dict[str, nn.Module]
) -> None:
    """A group is the same step as its layers by name: the same structure, the same layers left alone."""
    network = trained["sequential"]
    for group, names in {"convolutions": "conv1|conv2", "dense": "dense1|dense2", "last": "dense2"}.items():
        changed = [
            structure_changes(network, technique.from_settings({"layers": layers}).plan(network))
            for layers in (group, names)
        ]
        assert changed[0] == changed[1], group


def test_a_group_without_layers_is_said() -> None:
    network = adopted(flat=nn.Flatten(), one=nn.Linear(144, 8), two=nn.Linear(8, 2))
    with pytest.raises(
        AtollError, match=r"no layer matches 'convolutions'; .*: dense, first, last, one, two$"
    ):
        targeted_layers(network, "convolutions")


def test_a_pattern_without_layers_lists_those_there_are(trained: dict[str, nn.Module]) -> None:
    with pytest.raises(AtollError, match=r"no layer matches 'features\.\*'.*conv1.*dense2"):
        targeted_layers(trained["sequential"], "features.*")


def test_a_pattern_that_leaves_everything_out_is_refused(trained: dict[str, nn.Module]) -> None:
    with pytest.raises(AtollError, match=r"no layer matches 'dense1\|~dense'"):
        targeted_layers(trained["sequential"], "dense1|~dense")


@pytest.mark.parametrize("text", ["", "~", "a~b", "~~a", "a b", "a,b", "a->b", "|", "a|", "(a)", "'a'"])
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
