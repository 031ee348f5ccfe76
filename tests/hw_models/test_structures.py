"""Stored structures against published counts."""

import pytest
from atoll.hw_models.device import device_folder
from atoll.hw_models.structure_file import structure_names, structure_table
from atoll.spaces.errors import AtollError

FOLDER = device_folder("coral-dev-board")


# Published for Keras' networks with 1000 classes at 224 x 224; parameters with folded norms.
@pytest.mark.parametrize(
    ("name", "macs", "parameters"),
    [("mobilenet_v1", 568_740_352, 4_221_032), ("mobilenet_v2", 300_774_272, 3_487_816)],
)
def test_mobilenets(name, macs, parameters):
    table = structure_table(FOLDER, name, (3, 224, 224), 1000)
    assert (table.macs, table.parameters) == (macs, parameters)


# What PUB-I and PUB-III print: file in kB (structure of the file aside) and MFLOP.
@pytest.mark.parametrize(
    ("name", "shape", "classes", "kilobytes", "mflops"),
    [
        ("mobilenet_v1", (3, 64, 64), 11, 12856.38, 94.01),
        ("mobilenet_v2", (3, 64, 64), 11, 8935.84, 52.88),
        ("mobilenet_v3_small_full_se", (3, 64, 64), 11, 12171.81, 15.24),
        ("text_recognition_unidentified", (3, 64, 64), 35, 880, 20.2),
        ("east_resnet50", (3, 320, 320), 2, 96210, 15072.5),
    ],
)
def test_published_sizes(name, shape, classes, kilobytes, mflops):
    table = structure_table(FOLDER, name, shape, classes)
    assert table.weight_bytes / 1000 == pytest.approx(kilobytes, rel=0.01)
    assert 2 * table.macs / 1e6 == pytest.approx(mflops, rel=0.09)  # they count additions and norms too


def test_surrogates_say_so():
    marked = {n for n in structure_names(FOLDER) if structure_table(FOLDER, n, (3, 64, 64), 11).surrogate}
    assert marked == {"east_resnet50", "text_recognition_unidentified"}


def test_unknown_structure_names_the_nearest():
    with pytest.raises(AtollError, match="did you mean 'mobilenet_v1'"):
        structure_table(FOLDER, "mobilenet1", (3, 64, 64), 11)
