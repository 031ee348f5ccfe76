"""Operations against the figures that the papers print."""

import pytest
from atoll.hw_models.devices.samples import measurements_path
from atoll.hw_models.fitting.measured_table import measured_table
from atoll.hw_models.fitting.measurements import read_measurements
from atoll.hw_models.tables.flop_count import FlopCount

ROWS = {row.id: row for row in read_measurements(measurements_path("coral-dev-board"))}


@pytest.mark.parametrize(
    ("row", "mflop"),
    [("p1_baseline", 66.44), *((f"p2_tt{number}", 64.34) for number in range(1, 13))],
)
def test_the_published_rule_gives_the_published_figures(row: str, mflop: float) -> None:
    found = FlopCount.of(measured_table(ROWS[row], as_written=True))
    assert round(found.published / 1e6, 2) == mflop


def test_a_contraction_counts_two_a_multiply_accumulate() -> None:
    """TT-V of PUB-II (rank 4): inner size x output, core by core, counted by hand."""
    found = FlopCount.of(measured_table(ROWS["p2_tt5"], as_written=True))
    # in 16x8x16x8, out 4x2x4x2, ranks 1 4 4 4 1: the last mode is contracted first, the others are its rest
    rests = (16 * 8 * 16, 16 * 8 * 2, 16 * 4 * 2, 2 * 4 * 2)
    cores = ((4, 8, 2, 1), (4, 16, 4, 4), (4, 8, 2, 4), (1, 16, 4, 4))
    macs = sum(
        rest * before * m * n * after for rest, (before, m, n, after) in zip(rests, cores, strict=True)
    )
    assert found.contractions == 2 * macs
    assert str(found).endswith(f"{2 * macs / 1e6:.2f} more in tensor-train contractions")
