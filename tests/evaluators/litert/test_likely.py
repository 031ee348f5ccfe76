"""Integers drawn in place of a plan's weights: what their structure says holds, and no file's size moves."""

import numpy as np
import pytest
import torch
from atoll.evaluators.litert.likely import LikelyIntegers
from atoll.evaluators.measuring.artifact import artifact_of
from atoll.hw_models.tables.planned import planned
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.graph.reading import trace
from atoll.spaces.layers.mask import Mask
from atoll.spaces.layers.structure import named_factors, to_meta
from atoll.spaces.networks import build_network
from atoll.spaces.recipes.recipe import Recipe

SHAPE = (3, 16, 16)


def files(recipe: str) -> tuple[TfliteFile, TfliteFile]:
    graph = trace(planned(Recipe.parse(recipe), "compact_cnn", SHAPE, 7), SHAPE)
    return TfliteFile.parse(artifact_of(graph)), TfliteFile.parse(artifact_of(graph, drawn=True))


def weights(file: TfliteFile) -> list[np.ndarray]:
    return [
        file.values(at, np.int8)
        for at, one in enumerate(file.tensors)
        if one.constant and one.dtype == "INT8" and len(one.shape) > 1
    ]


def test_every_channel_has_its_largest_and_a_normal_spread() -> None:
    drawn = LikelyIntegers(127, per_channel=True).drawn((16, 400))
    assert drawn.dtype == np.int8 and (np.abs(drawn.astype(int)).max(axis=1) == 127).all()
    # of 400 normal numbers the largest lies at three deviations
    assert np.std(drawn) == pytest.approx(127 / 3, rel=0.1) and abs(np.mean(drawn)) < 3
    one = LikelyIntegers(127, per_channel=False).drawn((16, 400))
    assert np.abs(one.astype(int)).max() == 127 and (np.abs(one.astype(int)).max(axis=1) < 127).any()


def test_shared_values_and_zeros_are_as_many_as_the_structure_says() -> None:
    assert len(np.unique(LikelyIntegers(127, False, clusters=8).drawn((8, 50)))) == 8
    drawn = LikelyIntegers(127, True, kept=0.25).drawn((8, 500))
    assert np.mean(drawn != 0) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("recipe", "kept", "clusters"),
    [
        ("quantize(bits=8)", 1.0, 256),
        ("prune_weights(ratio=0.75) -> quantize(bits=8)", 0.25, 256),
        ("prune_weights(ratio=0.5) -> prune_weights(ratio=0.75) -> quantize(bits=8)", 0.25, 256),
        ("cluster(clusters=8) -> quantize(bits=8)", 1.0, 8),
    ],
)
def test_a_plans_file_has_them_and_the_same_size(recipe: str, kept: float, clusters: int) -> None:
    zeros, drawn = files(recipe)
    assert zeros.size_bytes == drawn.size_bytes and zeros.tensors == drawn.tensors
    assert not any(values.any() for values in weights(zeros))
    for values in weights(drawn):
        assert len(np.unique(values)) <= clusters
        if values.size > 500:
            assert np.mean(values != 0) == pytest.approx(kept, abs=0.05)
    assert files(recipe)[1].content == drawn.content  # the same every time


def test_a_network_with_values_keeps_them() -> None:
    torch.manual_seed(0)
    network = adopt(build_network("compact_cnn", 7, SHAPE), SHAPE).eval()
    graph = trace(network, SHAPE)
    assert artifact_of(graph, drawn=True) == artifact_of(graph)


@pytest.mark.parametrize(
    "recipe", ["prune_weights(ratio=0.75)", "prune_weights(ratio=0.75) -> quantize(bits=8)"]
)
def test_a_structure_built_from_decisions_expects_the_plans_zeros(recipe: str) -> None:
    plan = rebuilt = to_meta(adopt(build_network("compact_cnn", 7, SHAPE), SHAPE)).eval()
    for step in Recipe.parse(recipe):
        before, plan = plan, step.plan(plan).eval()
        rebuilt = step.rebuild(rebuilt, step.decisions(before, plan)).eval()
    kept = [(mask := factor.find(Mask)) and mask.planned for _, factor in named_factors(rebuilt)]
    assert kept and set(kept) == {0.25}
