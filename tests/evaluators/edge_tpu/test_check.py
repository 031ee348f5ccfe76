"""Files built by hand, one for each rule of the Edge TPU, and exports of networks."""

import numpy as np
import pytest
from atoll.evaluators.edge_tpu.check import check_edge_tpu
from atoll.evaluators.litert import operators
from atoll.evaluators.litert import operators_moving as moving
from atoll.evaluators.litert import operators_pooling as pooling
from atoll.evaluators.litert.lower import operator_layers
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.writer import TfliteModel
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.hw_models.tables.planned import planned
from atoll.spaces.recipes.recipe import Recipe

GRID = TensorGrid(0.1)
SHAPE = (3, 64, 64)


def model_of(shape=(1, 8, 8, 4), grid=GRID):
    model = TfliteModel()
    return model, model.add_input(shape, grid)


def verdicts(model, output):
    model.outputs = [output]
    return check_edge_tpu(model.to_bytes()).operators


def conv(model, x, outputs=4, inputs=4, weight_type="int8", grid=GRID, **settings):
    weight = model.add_constant(np.ones((outputs, 3, 3, inputs)), weight_type, np.full(outputs, 0.1))
    bias = model.add_constant(np.zeros(outputs), "int32", np.full(outputs, 0.01))
    return operators.conv_2d(model, x, weight, bias, grid, **settings)


def dense(model, x, scales=0.1):
    columns = model.tensors[x].shape[-1]
    weight = model.add_constant(np.ones((5, columns)), "int8", np.broadcast_to(scales, np.size(scales)))
    return operators.fully_connected(model, x, weight, grid=GRID)


def table_of(recipe):
    network = planned(Recipe.parse(recipe), "baseline_cnn", SHAPE, 11)
    return check_edge_tpu(artifact_bytes(network, SHAPE), operator_layers(network, SHAPE))


def test_an_integer_network_maps_whole():
    model, x = model_of()
    y = pooling.mean(model, pooling.pool_2d(model, conv(model, x), "max", (2, 2)), (1, 2))
    found = verdicts(model, dense(model, y))
    assert [(one.operator, one.mapped, one.reason) for one in found] == [
        ("CONV_2D", True, ""), ("MAX_POOL_2D", True, ""), ("MEAN", True, ""), ("FULLY_CONNECTED", True, ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "build"),
    [
        ("float32 values", lambda model, _: operators.quantize(model, model.add_input((1, 4)), GRID)),
        ("int4 values", lambda model, x: conv(model, x, weight_type="int4")),
        ("another dilation", lambda model, x: conv(model, x, dilation=(1, 2))),
        ("groups", lambda model, x: conv(model, x, inputs=2)),
        ("axes [3]", lambda model, x: pooling.mean(model, x, (3,))),
        ("HARD_SWISH is not among", lambda model, x: operators.function(model, x, "HARD_SWISH")),
        ("TRANSPOSE is not sure", lambda model, x: moving.transpose(model, x, (0, 3, 1, 2))),
        ("64 rows", lambda model, x: dense(model, x)),
    ],
)
def test_each_rule_says_what_it_found(reason, build):
    model, x = model_of()
    found = verdicts(model, build(model, x))
    assert not found[0].mapped
    assert reason in found[0].reason


def test_advice_names_operation_and_layer():
    model, x = model_of()
    model.outputs = [operators.function(model, x, "HARD_SWISH")]
    (advice,) = check_edge_tpu(model.to_bytes(), ["stem.activation"]).advice
    assert (
        advice == "take another operation than HARD_SWISH in stem.activation: the Edge TPU has ReLU and ReLU6"
    )


def test_a_batch_of_two_does_not_map():
    model, x = model_of((2, 8, 8, 4))
    assert "[2, 8, 8, 4]" in verdicts(model, operators.relu(model, x))[0].reason


def test_a_version_later_than_2020_does_not_map():
    model, x = model_of()
    y = model.add_activation((1, 8, 8, 4), GRID)
    model.add_operator("ADD", (x, x), (y,), 4, "Add", fusedActivationFunction=0)
    (found,) = verdicts(model, y)
    assert not found.mapped
    assert found.reason == "version 4 is too new, allowed are up to 3"


def test_everything_behind_the_first_on_the_cpu_follows_it():
    model, x = model_of()
    y = moving.transpose(model, conv(model, x), (0, 2, 1, 3))
    found = verdicts(model, conv(model, y))
    assert [one.mapped for one in found] == [True, False, False]
    assert found[2].reason == "behind the first TRANSPOSE that runs on the CPU"


def test_a_scale_per_channel_of_a_dense_layer_is_a_risk_and_no_refusal():
    model, x = model_of((1, 4))
    model.outputs = [dense(model, x, [0.1, 0.2, 0.3, 0.4, 0.5])]
    report = check_edge_tpu(model.to_bytes(), ["head"])
    assert report.mappable == 1.0
    assert "scale per channel" in report.operators[0].reason
    assert report.advice[0].startswith("one scale for head is safest: granularity=per_tensor")


def test_integer_baseline_maps_and_layers_are_named():
    report = table_of("quantize(bits=8)")
    assert report.mappable == 1.0
    assert report.first is None
    assert report.operators[0].layer == "features.conv1"
    weights = 864 + 18_432 + 36_864 + 1_048_576 + 704 + 160
    assert weights < report.parameter_bytes < weights + 4 * 400  # biases of 4 bytes


def test_the_first_that_does_not_map_is_named_with_its_layer():
    report = table_of("quantize(bits=4)")
    assert report.first.layer == "features.conv2"
    assert "int4 values" in report.summary()
    assert report.mappable == pytest.approx(3 / 10)
    assert any("features.conv2" in advice for advice in report.advice)


def test_a_float_network_maps_nothing_and_says_what_to_do():
    report = table_of("baseline")
    assert report.mappable == 0.0
    assert any("quantize(bits=8)" in advice for advice in report.advice)


def test_tensor_trains_fall_to_the_cpu():
    report = table_of("tensor_train(rank=4) -> quantize(bits=8)")
    assert report.first.layer == "classifier.dense1"
    assert 0.0 < report.mappable < 1.0


def test_parameters_beyond_the_cache_are_streamed():
    model, x = model_of((1, 3000))
    weight = model.add_constant(np.ones((3000, 3000)), "int8", 0.1)
    model.outputs = [operators.fully_connected(model, x, weight, grid=GRID)]
    report = check_edge_tpu(model.to_bytes())
    assert report.parameter_bytes - report.cache_bytes == 9_000_000 - (8 * 2**20 - 6000)
    assert any("fetched for every image" in advice for advice in report.advice)
    assert report.to_json()["mappable"] == 1.0
