"""Which table a measured row is priced by: its file's where that lies there, else its network's."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.hw_models.devices.samples import measurements_path
from atoll.hw_models.fitting.measured_table import measured_table
from atoll.hw_models.fitting.measurements import COLUMNS, read_measurements
from atoll.hw_models.tables.planned import planned
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe

SHAPE = (3, 32, 32)


@pytest.fixture
def read(tmp_path):
    """Writes a file of one row beside a `.tflite` file, and reads the row."""
    content = artifact_bytes(planned(Recipe.parse("quantize(bits=8)"), "compact_cnn", SHAPE, 5), SHAPE)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "small.tflite").write_bytes(content)

    measured = hashlib.sha256(content).hexdigest()

    def row(network="", artifact="files/small.tflite", digest=measured):
        lines = (
            f"{','.join(COLUMNS)},artifact,artifact_sha256",
            f"small,here,{network},,32x32x3,5,1.5,4.5,yes,yes,{artifact},{digest}",
        )
        (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
        (found,) = read_measurements(tmp_path / "m.csv")
        return found

    return row


def computes(table):
    return {row.cost.compute for row in table.rows}


def test_a_file_needs_no_network(read):
    row = read()
    table = measured_table(row)
    assert (row.family, table.name, table.input_shape) == ("small", "small", SHAPE)
    assert computes(table) == {"int8"}


def test_the_file_says_more_than_the_recipe(read):
    assert computes(measured_table(read(network="compact_cnn"))) == {"int8"}


def test_where_the_file_is_not_there_the_network_is_taken(read):
    assert computes(measured_table(read("compact_cnn", "elsewhere.tflite"))) == {"float32"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"artifact": "elsewhere.tflite"}, r"cannot read .*elsewhere\.tflite"),
        ({"digest": "0" * 64}, r"small\.tflite is another file than the one that was measured"),
    ],
)
def test_what_cannot_be_priced_is_said(read, more, message):
    with pytest.raises(AtollError, match=message):
        measured_table(read(**more))


def test_a_row_without_artifact_has_none(read):
    assert read("compact_cnn", "", "").artifact is None
    assert isinstance(read().artifact, Path)


def permuted_by_einsum(ins, outs, rank):
    """How many elements a train moves that contracts by einsum('aijb,rjb->ira'), core first."""
    ranks, elements, moved = (1, *[rank] * (len(ins) - 1), 1), np.prod(ins), 0
    for k in reversed(range(len(ins))):
        rest = elements // (ins[k] * ranks[k + 1])
        product = np.arange(ranks[k] * outs[k] * rest).reshape(ranks[k], outs[k], rest)
        handed_on = np.transpose(product, (1, 2, 0))
        moved += product.size * bool((product.ravel() != handed_on.ravel()).any())
        elements = product.size
    return moved


@pytest.mark.parametrize(
    ("row", "ins", "outs", "rank"),
    [
        ("p2_tt1", (16, 16, 8, 8), (4, 4, 2, 2), 4),
        ("p2_tt8", (16, 8, 16, 8), (4, 2, 4, 2), 10),
        ("p2_tt9", (64, 2, 64, 2), (8, 1, 8, 1), 4),
        ("p2_tt12", (64, 2, 64, 2), (8, 1, 8, 1), 10),
        ("p2_quantt", (16, 8, 16, 8), (4, 2, 4, 2), 4),
    ],
)
def test_published_trains_permute_what_their_einsum_permutes(row, ins, outs, rank):
    rows = {one.id: one for one in read_measurements(measurements_path("coral-dev-board"))}
    moved = measured_table(rows[row]).total(lambda cost: cost.moved_elements)
    assert moved == permuted_by_einsum(ins, outs, rank)
