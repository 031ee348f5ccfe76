"""Files of measurements: what is refused, and in which words."""

from pathlib import Path

import pytest
from atoll.hw_models.devices.samples import measurements_path, samples
from atoll.hw_models.fitting.measurements import COLUMNS, check_ids, parse_size, read_measurements
from atoll.hw_models.formulas.cost_model import COST_MODELS, cost_model
from atoll.spaces.errors import AtollError

HEADER = ",".join(COLUMNS)
ROW = "a,pub1,baseline_cnn,,64x64x3,11,22.9,8.9,yes,yes"


@pytest.fixture
def file(tmp_path):
    def write(*lines):
        path = tmp_path / "measurements.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def test_reads_a_row(file):
    (row,) = read_measurements(file(HEADER, ROW))
    assert (row.input_shape, row.num_classes, row.doubts) == ((3, 64, 64), 11, {})
    assert row.measured == {"latency_ms": 22.9, "peak_memory_mib": 8.9}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("id,setup", "a,b"), "columns network, recipe"),
        ((HEADER,), "no measurements"),
        ((HEADER, ROW, ROW), "'a' comes twice"),
        ((HEADER, ROW.replace("64x64x3", "64x64")), "HEIGHTxWIDTHxCHANNELS"),
        ((HEADER, ROW.replace("22.9", "fast")), "latency_ms: got 'fast'"),
        ((HEADER, ROW.replace("22.9", "-1")), "above 0"),
        ((HEADER, ROW.replace("yes,yes", "yes,maybe")), "memory_credible: got 'maybe'"),
        ((HEADER, ROW.replace(",11,", ",few,")), "num_classes: got 'few'"),
        ((HEADER, ROW.replace("a,pub1", ",pub1")), "line 2, id: got nothing"),
        ((HEADER, ROW.replace("a,pub1", "../a,pub1")), "line 2, id: got '../a', allowed is a name without /"),
        ((HEADER, ROW.replace("64x64x3", "64x64x³")), "HEIGHTxWIDTHxCHANNELS"),
        ((f"{HEADER},model_size", f"{ROW},-5"), "model_size: got '-5', allowed is a number above 0"),
    ],
)
def test_bad_files_are_named(file, lines, message):
    with pytest.raises(AtollError, match=message):
        read_measurements(file(*lines))


def test_a_size_is_height_by_width_by_channels():
    assert parse_size("48x64x1", "--input") == (1, 48, 64)
    series = {"100x3": (3, 100), "640": (640,), "48x64x1": (1, 48, 64)}
    assert {text: parse_size(text, "--input", of_images=False) for text in series} == series
    with pytest.raises(AtollError, match=r"allowed is .* such as 64x64x3, LENGTHxCHANNELS or FEATURES"):
        parse_size("1x2x3x4", "--input", of_images=False)


def test_rows_that_cannot_be_priced_are_kept_with_the_reason(file):
    lines = [
        ROW,
        "b,pub1,shufflenet,,64x64x3,11,40,12,yes,yes",
        "d,pub1,baseline_cnn,,64x64x3,11,,9,no,yes",
    ]
    for sample in samples("coral-dev-board", read_measurements(file(HEADER, *lines))):
        reasons = {unused.measurement.id: unused.reason for unused in sample.unused}
        assert "not known" in reasons["b"]
        assert ("d" in reasons) == (sample.model.column == "latency_ms")


def test_excluded_rows_are_unused_and_unknown_ids_refused():
    latency = samples("coral-dev-board", excluded=("p1_baseline",))[0]
    assert {u.measurement.id: u.reason for u in latency.unused}["p1_baseline"] == "excluded by --exclude"
    with pytest.raises(AtollError, match="did you mean 'p1_baseline'"):
        samples("coral-dev-board", excluded=("p1_baselin",))


def test_a_set_up_of_its_own_gets_a_scale(file):
    rows = [ROW, "b,bench,baseline_cnn,,64x64x3,11,46,8.9,yes,yes"]
    latency = samples("coral-dev-board", read_measurements(file(HEADER, *rows)))[0]
    assert [setup.name for setup in latency.setups] == ["pub1", "bench"]


def test_the_devices_own_file_is_readable():
    assert len(read_measurements(measurements_path("coral-dev-board"))) == 28


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"id,setup\n\xff,pub1\n")
    with pytest.raises(AtollError, match=r"table\.csv: not a CSV file in UTF-8"):
        read_measurements(path)


@pytest.mark.parametrize(
    ("size", "unit", "file_bytes"),
    [("76.7", "kB", 76_700), ("243", "KiB", 248_832), ("1.5", "MB", 1_500_000)],
)
def test_a_files_size_is_read_in_its_unit(file, size, unit, file_bytes):
    (row,) = read_measurements(file(f"{HEADER},model_size,model_size_unit", f"{ROW},{size},{unit}"))
    assert row.file_bytes == file_bytes


def test_an_unknown_unit_of_size_is_refused(file):
    with pytest.raises(AtollError, match="model_size_unit: got 'kb', allowed is one of B, kB, KiB, MB, MiB"):
        read_measurements(file(f"{HEADER},model_size,model_size_unit", f"{ROW},76.7,kb"))


def test_a_packed_files_size_is_no_files_size(file):
    """A network's file cannot be smaller than its weights: the size was taken after packing."""
    plain = samples("coral-dev-board", read_measurements(file(HEADER, ROW)))[1].points[0]
    header, row = f"{HEADER},model_size,model_size_unit", f"{ROW},1308.82,kB"
    packed = samples("coral-dev-board", read_measurements(file(header, row)))[1].points[0]
    assert packed.work == plain.work


def test_an_id_that_no_row_has_is_refused_with_the_nearest():
    rows = read_measurements(measurements_path("coral-dev-board"))
    check_ids(rows, (rows[0].id, rows[-1].id))
    with pytest.raises(
        AtollError, match=rf"^unknown measurement '{rows[0].id}x'; did you mean '{rows[0].id}'"
    ):
        check_ids(rows, (rows[0].id + "x",))


def test_an_unknown_formula_is_refused_with_the_known_ones():
    known = [model.formula for model in COST_MODELS if model.quantity == "latency_ms"]
    with pytest.raises(AtollError, match=r"^unknown formula 'magic' of latency_ms; Known: ") as caught:
        cost_model("latency_ms", "magic")
    assert all(name in str(caught.value) for name in known)
