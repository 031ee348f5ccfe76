"""The device of LiteRT Micro, of which nothing was measured."""

from pathlib import Path

import pytest
from atoll.hw_models.devices.device import Device
from atoll.hw_models.devices.own_device import Calibration
from atoll.hw_models.devices.samples import measurements_of
from atoll.hw_models.tables.network_table import layer_table
from atoll.hw_models.tables.planned import planned
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe

NAME = "litert-micro"
HEAD = (
    "id,setup,source,family,network,recipe,input_shape,num_classes,latency_ms,peak_memory_mib,"
    "latency_credible,memory_credible"
)


def test_it_predicts_nothing_and_lacks_latency_alone() -> None:
    device = Device.load(NAME)
    table = layer_table(planned(Recipe(), "compact_cnn", (3, 16, 16), 7), (3, 16, 16), "compact_cnn")
    assert device.predict(table) == {} and device.lacking() == ["latency_ms"]
    assert measurements_of(NAME) == ()
    with pytest.raises(AtollError, match="no row has a figure"):
        Calibration.of(None, NAME, None).samples(())


def test_a_board_that_builds_on_it_runs_litert_micro_and_has_a_formula_for_its_rows(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(f"{HEAD}\nmine,m4,me,compact_cnn,compact_cnn,baseline,16x16x3,7,90,,yes,yes\n")
    found = Calibration.of(file, "my-m4", NAME)
    assert (found.about.base, found.about.runtime, found.about.is_micro) == (NAME, NAME, True)
    assert 'runtime = "litert-micro"' in found.about.to_toml()
    assert [sample.model.quantity for sample in found.samples(())] == ["latency_ms"]
