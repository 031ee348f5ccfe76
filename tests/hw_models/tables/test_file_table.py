"""The table of a file against the table of its network, and against the file's own liveness."""

import pytest
from atoll.evaluators.litert import operators
from atoll.evaluators.litert import operators_moving as moving
from atoll.evaluators.litert.inspect import operator_names, peak_tensor_bytes
from atoll.evaluators.litert.writer import TfliteModel
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.hw_models.devices.device import Device
from atoll.hw_models.tables.file_table import layer_table_of, layer_table_of_file
from atoll.hw_models.tables.network_table import layer_table
from atoll.hw_models.tables.planned import planned
from atoll.hw_models.tables.tflite_file import FileOperator, FileTensor, TfliteFile
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe

SHAPE = (3, 64, 64)
RECIPES = (
    "baseline",
    "quantize(bits=8)",
    "tensor_train(rank=4)",
    "tensor_train(rank=4) -> quantize(bits=8)",
    "quantize(bits=4)",
    "binarize",
    "tucker(rank=0.25)",
)


def both(recipe, network="baseline_cnn"):
    """The table of a network, its file, the table of the file."""
    model = planned(Recipe.parse(recipe), network, SHAPE, 35)
    content = artifact_bytes(model, SHAPE)
    return layer_table(model, SHAPE), content, layer_table_of(TfliteFile.parse(content), "file")


@pytest.mark.parametrize("recipe", RECIPES)
def test_network_and_file_agree(recipe):
    table, _, of_file = both(recipe)
    assert of_file.input_shape == SHAPE
    assert of_file.macs == table.macs
    assert of_file.arena_bytes == table.arena_bytes
    assert of_file.widened_weight_bytes == table.widened_weight_bytes
    for term in ("moved_elements", "rank_elements"):
        assert of_file.total(lambda cost, term=term: getattr(cost, term)) == table.total(
            lambda cost, term=term: getattr(cost, term)
        )
    # LiteRT's convolutions must have a bias, if only zeros; a train's bias comes as a scale-and-shift
    zeros = 4 * (of_file.parameters - table.parameters)
    assert 0 <= of_file.weight_bytes - table.weight_bytes <= zeros < 0.01 * of_file.weight_bytes + 700


@pytest.mark.parametrize("recipe", ["baseline", "quantize(bits=8)", "tensor_train(rank=4)"])
def test_peak_is_that_of_the_file_s_own_tensors(recipe):
    table, content, of_file = both(recipe)
    peaks = {max(row.live_bytes for row in found.rows) for found in (table, of_file)}
    assert peaks == {peak_tensor_bytes(content)}


@pytest.mark.parametrize("recipe", ["baseline", "quantize(bits=8)", "tensor_train(rank=4)"])
def test_both_tables_cost_the_same_on_the_board(recipe):
    table, content, of_file = both(recipe)
    coral = Device.load("coral-dev-board")
    expected, found = (coral.predict(one, model_bytes=len(content)) for one in (table, of_file))
    for quantity, prediction in expected.items():
        assert found[quantity].value == pytest.approx(prediction.value, rel=0.002)


def test_a_file_is_read_by_its_path(tmp_path):
    _, content, of_file = both("quantize(bits=8)", "compact_cnn")
    path = tmp_path / "small.tflite"
    path.write_bytes(content)
    found = layer_table_of_file(path)
    assert (found.name, found.rows) == ("small", of_file.rows)
    file = TfliteFile.read(path)
    assert [operator.name for operator in file.operators] == operator_names(content)
    assert file.size_bytes == len(content)


def test_sums_run_in_place_and_views_cost_nothing():
    model = TfliteModel()
    x = model.add_input((1, 4, 4, 2))
    y = operators.relu(model, x)
    z = operators.add(model, moving.reshape(model, y, (1, 4, 4, 2)), x)
    model.outputs = [z]
    table = layer_table_of(TfliteFile.parse(model.to_bytes()), "sums")
    assert [(row.cost.kind, row.live_bytes // 4) for row in table.rows] == [
        ("elementwise", 32 + 32),  # x is read again
        ("elementwise", 32 + 32),
    ]


def test_operators_without_a_kind_are_named():
    image = FileTensor((1, 4, 4, 2), "FLOAT32", constant=False)
    odd = FileOperator("LSH_PROJECTION", (0,), (1,))
    table = layer_table_of(TfliteFile(100, (image, image), (odd,), (0,), (1,)), "odd")
    assert table.unknown == ("LSH_PROJECTION",)
    assert table.macs == 0


@pytest.mark.parametrize("content", [b"", b"no file at all", b"\x20\0\0\0TFL3" + b"\xff" * 40])
def test_other_bytes_are_refused(tmp_path, content):
    path = tmp_path / "odd.tflite"
    path.write_bytes(content)
    with pytest.raises(AtollError, match=r"odd\.tflite: got (no|a damaged) \.tflite file"):
        TfliteFile.read(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(AtollError, match=r"cannot read .*none\.tflite: No such file"):
        TfliteFile.read(tmp_path / "none.tflite")
