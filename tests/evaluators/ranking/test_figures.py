"""The table of figures: what is missing when a row is added, and what its words and numbers come out as."""

from dataclasses import fields

import pytest
from atoll.evaluators.ranking.figure import PERCENT, Figure, Form
from atoll.evaluators.ranking.figures import FIGURE, FIGURES, METRICS
from atoll.evaluators.ranking.leaderboard import leaderboard
from atoll.evaluators.ranking.metrics import Metrics

BESIDE = {"quality_name", "quality_unit", "quality_higher_is_better"}
BESIDE |= {"minimum_runtime", "minimum_runtime_reason", "micro_status"}
# How a name ends, and the unit that says so; everything else is a share, a count or the task's own quality.
ENDINGS = {"_ms": "ms", "_bytes": "B", "seconds": "s", "_epochs": "epochs", "macs": "MAC", "_ratio": "x"}
# The units in which people may read a figure that is kept in one.
LARGER = {"B": {"kB", "KiB", "MiB"}, "MAC": {"M MAC"}, "ms": {"ms"}, "x": {"x"}}


def unit_of(name: str) -> set[str]:
    found = {unit for ending, unit in ENDINGS.items() if name.removesuffix("_measured").endswith(ending)}
    return found or {"", "share"}


def test_every_name_stands_once() -> None:
    assert len(FIGURE) == len(FIGURES)


def test_every_field_of_the_metrics_belongs_to_a_figure_and_every_metric_has_its_fields() -> None:
    columns = {name for figure in METRICS for name in figure.columns}
    names = {field.name for field in fields(Metrics)} - BESIDE
    assert names - columns == set(), "fields without a row in FIGURES"
    assert columns - names == set(), "rows in FIGURES without their fields in Metrics"


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_the_unit_is_the_one_that_the_name_ends_in(figure: Figure) -> None:
    assert figure.exact.unit in unit_of(figure.name)
    if figure.short is not None:
        assert figure.short.unit in LARGER[figure.exact.unit]


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_a_row_does_not_contradict_itself(figure: Figure) -> None:
    assert figure.title
    assert figure.exact.digits == 0 or not figure.whole
    assert figure.kind == "predicted" or not figure.of_device
    # Better is more of what is gained, less of what is spent.
    gained = {"", "share", "x"} if "parameters" not in figure.name else set()
    lower = not gained & {figure.exact.unit} or figure.name in (
        "quality_drop",
        "quality_drop_error",
        "quality_std",
        "test_drop",
        "test_drop_error",
        "test_gap",
    )
    assert figure.higher_is_better is not lower


def test_what_a_file_measured_is_called_as_what_was_expected_of_it() -> None:
    pairs = [(FIGURE[f.name.removesuffix("_measured")], f) for f in FIGURES if f.name.endswith("_measured")]
    assert len(pairs) == 5
    for expected, found in pairs:
        assert (found.kind, found.source) == ("measured", "file")
        assert found.exact == expected.exact


def test_every_derived_figure_is_on_the_leaderboard() -> None:
    base = dict.fromkeys(("model_bytes", "latency_ms", "macs", "peak_memory_bytes"), 8.0) | {"quality": 0.5}
    for row in leaderboard([base | {"recipe": "binarize"}], base):
        assert {figure.name for figure in FIGURES if figure.source == "derived"} <= row.keys()


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (Form("B", 0), 1_234_567, "1,234,567"),
        (Form("kB", 1), 1_234_567, "1,234.6"),
        (Form("KiB", 2), 1536, "1.50"),
        (Form("MiB", 2), 3 * 2**19, "1.50"),
        (Form("M MAC", 2), 32_899_776, "32.90"),
        (Form("", 4, "+"), 0.0125, "+0.0125"),
        (PERCENT, 31 / 32, "96.88"),
        (PERCENT, None, ""),
    ],
)
def test_a_figure_in_digits(form: Form, value: float | None, text: str) -> None:
    assert form.text(value) == text


def test_a_figure_in_words() -> None:
    size, work, latency = FIGURE["model_bytes"], FIGURE["macs"], FIGURE["latency_ms"]
    assert [one.heading() for one in (size, work, latency)] == ["file, kB", "M MAC", "latency, ms"]
    assert size.heading(size.exact) == "file, B"
    assert FIGURE["compression_ratio"].heading() == "smaller"
    assert FIGURE["test_quality"].heading(PERCENT) == "test, %"
    assert work.label() == "multiply-accumulates, MAC (counted)"
    assert latency.label(about="my-board") == "latency, ms (predicted, my-board)"
    assert size.said(23_696) == "23.7 kB predicted"
    assert FIGURE["quality"].said(0.9) == "0.9000 measured"


def test_a_figure_of_the_file_is_measured_and_has_no_interval() -> None:
    found = FIGURE["latency_host_ms"].measured
    assert (found.kind, found.columns) == ("measured", ("latency_host_ms",))
    assert FIGURE["latency_host_ms"].columns == (
        "latency_host_ms",
        "latency_host_ms_low",
        "latency_host_ms_high",
        "latency_host_status",
    )
    assert FIGURE["peak_memory_bytes"].status == "peak_memory_status"
