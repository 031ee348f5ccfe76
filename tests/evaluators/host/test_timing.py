"""Timing on this machine: the form of rows and figures, never the speed."""

import json

import pytest
from atoll.evaluators.host import figures
from atoll.evaluators.host.networks import CALIBRATION, HELD_OUT, HostNetwork
from atoll.evaluators.host.timing import host_artifact, measure_host
from atoll.hw_models.board import bench
from atoll.hw_models.devices.device import Device
from atoll.hw_models.devices.device_folder import device_folder
from atoll.hw_models.devices.samples import measurements_of, samples
from atoll.hw_models.fitting.estimate import Estimate
from atoll.hw_models.fitting.measured_table import measured_table
from atoll.hw_models.fitting.measurements import read_measurements
from atoll.spaces.errors import AtollError
from atoll.spaces.networks import NETWORKS
from atoll.spaces.recipes.order import check_order
from atoll.spaces.recipes.recipe import Recipe

SMALL = (
    HostNetwork("compact_cnn", "baseline", "16x16x3"),
    HostNetwork("compact_cnn", "quantize(bits=8)", "16x16x3"),
)


@pytest.fixture
def quick(monkeypatch):
    """As few runs as there may be."""
    monkeypatch.setattr(bench, "ROUND_SECONDS", 0.0)
    monkeypatch.setattr(figures, "ROUND_SECONDS", 0.0)


def test_rows_are_measurements(tmp_path, quick):
    heard = []
    rows = measure_host(lambda *step: heard.append(step), SMALL, rounds=2)
    bench.append_rows(tmp_path / "m.csv", rows)
    first, second = read_measurements(tmp_path / "m.csv")
    assert (first.network, first.recipe, first.input_shape) == ("compact_cnn", "", (3, 16, 16))
    assert (second.recipe, second.num_classes) == ("quantize(bits=8)", 35)
    assert second.file_bytes == len(host_artifact(SMALL[1]))
    assert first.setup in {setup.name for setup in Device.load("host").about.setups}
    for row in (first, second):
        assert all(value > 0 for value in row.measured.values())
    done, total, _ = zip(*heard, strict=True)
    assert list(done) == sorted(done)
    assert (set(total), done[-1]) == ({2 * 4}, 8)


def test_no_network_is_both_seen_and_held_out():
    assert len({*CALIBRATION, *HELD_OUT}) == len(CALIBRATION) + len(HELD_OUT)
    known = {name for name, _ in NETWORKS}
    for network in (*CALIBRATION, *HELD_OUT):
        assert network.network in known
        check_order(Recipe.parse(network.recipe))


def test_the_device_s_measurements_are_the_calibration_networks():
    assert [row.id for row in measurements_of("host")] == [network.id for network in CALIBRATION]


def test_a_measured_row_is_priced_as_its_file():
    from atoll.hw_models.tables.file_table import layer_table_of
    from atoll.hw_models.tables.tflite_file import TfliteFile

    host = Device.load("host")
    rows = {row.id: row for row in measurements_of("host")}
    for network in (CALIBRATION[1], CALIBRATION[5]):
        content = host_artifact(network)
        of_file = host.predict(layer_table_of(TfliteFile.parse(content), "file"), model_bytes=len(content))
        of_row = host.predict(measured_table(rows[network.id]), model_bytes=len(content))
        for quantity, prediction in of_row.items():
            assert of_file[quantity].value == pytest.approx(prediction.value, rel=0.03)


@pytest.mark.parametrize("quantity", ["latency_ms", "peak_memory_mib"])
def test_networks_that_no_fit_saw_are_predicted(quantity):
    """Stored measurements of other networks than the calibration's; the issue's target is 15 %."""
    host, errors = Device.load("host"), []
    rows = read_measurements(device_folder("host") / "held_out.csv")
    assert [row.id for row in rows] == [network.id for network in HELD_OUT]
    for row in rows:
        found = host.predict(measured_table(row), row.setup, row.file_bytes)
        value = found[quantity.replace("_mib", "_bytes")].value / (2**20 if "mib" in quantity else 1)
        errors.append(abs(value / row.measured[quantity] - 1))
    assert sum(errors) / len(errors) < 0.1
    assert sum(error <= 0.15 for error in errors) >= 0.9 * len(errors)


@pytest.mark.parametrize("quantity", ["latency_ms", "peak_memory_bytes"])
def test_the_fitted_file_is_a_refit(quantity):
    (sample,) = (one for one in samples("host") if one.model.quantity == quantity)
    (stored,) = (one for one in Device.load("host").fits if one.model.quantity == quantity)
    again = Estimate.of(sample.model, sample.setups, sample.points).coefficients
    for name, value in stored.estimate.coefficients.items():
        assert again[name] == pytest.approx(value, rel=0.01), name


def test_figures_of_files_stand_beside_predictions(quick, capfd):
    content = host_artifact(SMALL[1])
    one, again = figures.host_figures([content, content])
    assert capfd.readouterr() == ("", ""), "the runtime's own words, past Python too"
    assert one.predicted == again.predicted
    event = json.loads(json.dumps(one.to_event()))
    assert event["latency_host_ms_measured"] == one.latency_ms > 0
    assert event["peak_memory_host_bytes_measured"] == one.peak_memory_bytes > len(content)
    for name in ("latency_host_ms", "peak_memory_host_bytes"):
        assert event[f"{name}_low"] < event[name] < event[f"{name}_high"]
    assert event["latency_host_status"]
    assert event["peak_memory_host_status"]


def test_a_file_that_does_not_run_is_named():
    with pytest.raises(AtollError, match="does not run here"):
        figures.host_figures([b"no file at all"])
