"""What files need: the published table against schema and writer, a plan against its file."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from atoll.evaluators.litert import operators as op
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.versions import LINES
from atoll.evaluators.litert.writer import TfliteModel
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.evaluators.measuring.measure import price
from atoll.hw_models.devices.device import Device
from atoll.hw_models.runtimes.need import LATER, Need, excepted
from atoll.hw_models.runtimes.operator_releases import FOUND, RELEASES, brought_in
from atoll.hw_models.runtimes.release import release
from atoll.hw_models.tables.operator_table import OPERATORS
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.structure import to_meta
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques import TECHNIQUES
from atoll.testing import World
from torch import nn

GRID = TensorGrid(0.5, 3)
SHAPE = (3, 8, 8)


def need(content: bytes) -> Need:
    return Need.of(TfliteFile.parse(content))


def test_the_table_has_the_schema_s_operators_and_every_version_that_is_written() -> None:
    known = {name for name in vars(schema.BuiltinOperator) if not name.startswith("_")}
    assert set(RELEASES) <= known
    assert set(OPERATORS) <= set(RELEASES)
    for name, lines in LINES.items():
        first = 2 if name == "BROADCAST_TO" else 1
        versions = {first, *(version for version, _ in lines)}
        found = RELEASES[name].split()
        assert max(versions) <= len(found), name
        assert "-" not in [found[version - 1] for version in versions], name


def test_releases_rise_with_the_versions() -> None:
    for name, text in RELEASES.items():
        found = [release(one) for one in text.split() if one != "-"]
        assert found == sorted(found), name


def test_what_was_found_by_running_is_later_than_the_published_rule() -> None:
    for (name, version), found in FOUND.items():
        assert release(found) > release(RELEASES[name].split()[version - 1])
    published = {
        ("FULLY_CONNECTED", "INT8"): 10,
        ("FULLY_CONNECTED", "FLOAT32"): 12,
        ("CONV_2D", "FLOAT32"): 7,
    }
    for (name, source, _, _), found in LATER.items():
        assert release(found) > release(brought_in(name, published[name, source]) or "")


def dense(activations: TensorGrid | None, weights: str, scales: object = 0.5) -> bytes:
    model = TfliteModel()
    x = model.add_input((1, 4), activations)
    weight = model.add_constant(np.zeros((4, 4), int), weights, scales)
    model.outputs = [op.fully_connected(model, x, weight, grid=activations)]
    return model.to_bytes()


def test_a_file_needs_what_its_neediest_operator_needs() -> None:
    """Versions by `op_version.cc`, releases by `runtime_version.cc`, both read by hand."""
    assert need(dense(None, "float32", None)).release == "2.1.0"  # version 6: no bias
    assert need(dense(GRID, "int8")).release == "2.1.0"
    found = need(dense(GRID, "int2", np.array([0.5, 0.25, 0.5, 0.25])))
    assert found.release == "2.21.0"  # version 14
    assert found.reason == "FULLY_CONNECTED with int2 weights of a scale a channel and int8 activations"


def test_dense_layers_of_4_bits_need_more_with_a_scale_a_channel() -> None:
    """Run: 2.14 loads the one and does not prepare the other."""
    assert need(dense(GRID, "int4")).release == "2.13.0"
    assert need(dense(GRID, "int4", np.array([0.5, 0.25, 0.5, 0.25]))).release == "2.19.0"


def test_an_operator_that_the_table_lacks_is_not_guessed() -> None:
    model = TfliteModel()
    x = model.add_input((1, 4))
    model.outputs = [op.relu(model, x, "relu", None)]
    model.operators[-1] = replace(model.operators[-1], version=99)
    found = need(model.to_bytes())
    assert found.release == "" and "RELU of version 99" in found.reason
    assert found.to_metrics()["minimum_runtime"] is None


def network() -> nn.Module:
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(128, 16), nn.ReLU(), nn.Linear(16, 4))


#: technique -> a recipe that shows it where its defaults alone do nothing, or take too long
SHOWN = {
    "quantization_offset": "quantize(bits=4) -> quantization_offset",
    "distill": "distill(student=compact_cnn)",
    "tensor_train": "tensor_train(rank=4, fit_steps=0)",
}
RECIPES = (
    # mixed_precision chooses widths by what it measures: no plan knows them
    *(SHOWN.get(one.name, one.name) for one in TECHNIQUES if one.name != "mixed_precision"),
    *(f"quantize(bits={bits}, activations={kind})" for bits in (8, 4, 2) for kind in ("int8", "float")),
    "quantize(bits=8, activations=dynamic)",
    "quantize(bits=4, activations=dynamic)",
    "binarize(activations=binary)",
    "quantize(bits=4, granularity=per_tensor)",
    "tucker(rank=0.5) -> quantize(bits=4)",
)


@pytest.mark.parametrize("text", RECIPES)
def test_plan_and_file_need_the_same(text: str) -> None:
    torch.manual_seed(0)
    recipe, made = Recipe.parse(text), adopt(network(), SHAPE).eval()
    images = torch.rand(32, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1
    world = World(images, torch.arange(32) % 4, made, epochs=0)
    planned = to_meta(made).eval()
    for step in recipe:
        planned = step.plan(planned).eval()
        made, _ = step.apply(made, world)
    before = price(planned, Device.load("coral-dev-board")).need
    assert before == need(artifact_bytes(made.eval(), SHAPE))
    assert before.release


def test_trained_scales_decide_nothing() -> None:
    def product(result: TensorGrid) -> bytes:
        model = TfliteModel()
        x = model.add_input((1, 4), GRID)
        model.outputs = [op.mul(model, x, x, result)]
        return model.to_bytes()

    # 0.5 x 0.5 / 0.3 is below 1, 0.5 x 0.5 / 0.25 is not: versions 2 and 3
    assert need(product(TensorGrid(0.3))).release == need(product(TensorGrid(0.25))).release == "1.15.0"


def test_half_precision_is_known_not_to_run_in_some_newer_runtimes() -> None:
    network = adopt(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2)), SHAPE).eval()
    found = {}
    for recipe in ("quantize(bits=16)", "quantize(bits=8)"):
        (step,) = Recipe.parse(recipe)
        found[recipe] = need(artifact_bytes(step.plan(network), SHAPE))
    half, whole = found.values()
    assert half.not_in == ("tflite-2.19", "litert-1.1", "litert-1.2", "litert-1.3")
    said = "but not in tflite-2.19, litert-1.1, litert-1.2, litert-1.3 with XNNPACK"
    assert half.exception == said and half.told.endswith(f"by rule, {said}")
    assert whole.not_in == () and whole.exception == ""
    assert excepted(half.to_metrics()["minimum_runtime_reason"] or "") == half.not_in
    assert excepted(whole.to_metrics()["minimum_runtime_reason"] or "") == ()
