"""Vela's reports as it wrote them for the compact network: everything, a part and nothing on the NPU."""

from pathlib import Path

import pytest
from atoll.evaluators.ethos_u.report import VelaReport
from atoll.spaces.errors import AtollError

REPORTS = Path(__file__).parent / "reports"


def texts(name: str) -> list[str]:
    return [(REPORTS / f"{name}.{end}").read_text() for end in ("txt", "summary.csv", "layers.csv")]


def test_a_network_that_is_mapped_as_a_whole() -> None:
    found = VelaReport.of(*texts("whole"))
    assert (found.accelerator, found.system_config) == ("Ethos_U55_128", "Ethos_U55_High_End_Embedded")
    assert (found.npu_operators, found.cpu_operators, found.mappable) == (10, 0, 1.0)
    # cycles of its operators, in turn; its own sum differs by what runs side by side
    assert found.cycles == 41380 and found.time_ms == pytest.approx(41380 / 500e3)
    assert (found.sram_bytes, found.dram_bytes, found.flash_bytes) == (5632, 0, 32080)
    assert found.on_cpu == () and found.refusals == ()
    assert sum(one.macs for one in found.operators) == found.macs


def test_a_part_has_the_reasons_and_the_memories_of_another_mode() -> None:
    found = VelaReport.of(*texts("part"))
    assert (found.npu_operators, found.cpu_operators) == (2, 9)
    assert found.on_cpu == ("Conv2D", "MaxPool", "DepthwiseConv2D", "Quantize")
    assert "QUANTIZE: Operation has tensor with unsupported DataType Float32" in found.refusals
    assert (found.flash_bytes, found.dram_bytes) == (0, 36608)
    assert found.time_ms == pytest.approx(5110 / 1e6)
    assert "2 of 11 operators run on the NPU, on the CPU Conv2D, MaxPool" in found.summary()


def test_nothing_on_the_npu_takes_no_time_there() -> None:
    found = VelaReport.of(*texts("none"))
    assert (found.mappable, found.cycles, found.time_ms, found.sram_bytes) == (0.0, 0, 0.0, 0)
    assert not any(one.on_npu for one in found.operators)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("broken", ["", "something else\n1,2\n"])
def test_another_form_is_a_sentence(place: int, broken: str) -> None:
    told = texts("whole")
    told[place] = broken
    if (place, broken) == (2, ""):  # a report without operators is one
        assert VelaReport.of(*told).operators == ()
        return
    with pytest.raises(AtollError, match="Vela's report has another form than known"):
        VelaReport.of(*told)


def test_what_it_says_cannot_steer_a_terminal() -> None:
    said, summary, layers = texts("part")
    found = VelaReport.of(said, summary, layers.replace("Quantize", "\x1b[2J"))
    assert "\x1b" not in found.summary()
