"""What a new measurement is held to: the spread of the recorded ones."""

import importlib.util
from pathlib import Path

import pytest

# the folder of benches is no package: a bench runs as a script
_SPEC = importlib.util.spec_from_file_location("recorded", Path(__file__).with_name("recorded.py"))
assert _SPEC is not None and _SPEC.loader is not None
recorded = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(recorded)


def line(better: str, *values: float) -> dict[str, object]:
    return {"name": "a/b", "unit": "ms", "better": better, "values": list(values)}


@pytest.mark.parametrize(
    ("better", "value", "expected"),
    [("lower", 14.0, False), ("lower", 14.1, True), ("lower", 1.0, False),
     ("higher", 8.0, False), ("higher", 7.9, True), ("higher", 99.0, False)],
)  # fmt: skip
def test_worse_is_beyond_the_spread(better: str, value: float, expected: bool) -> None:
    # recorded from 10 to 12: one spread of 2 beyond the worst of them is no difference yet
    assert recorded.worse({"value": value}, line(better, 10.0, 12.0, 11.0)) is expected


def test_a_record_has_all_values_of_a_figure() -> None:
    figure = {"name": "a/b", "unit": "ms", "better": "lower", "target": None, "met": None}
    found = recorded.record_of(
        [[{**figure, "value": 1.0}], [{**figure, "value": 2.0}]], "abc", "cpu", "2026-01-31"
    )
    assert found == [
        {**line("lower", 1.0, 2.0), "commit": "abc", "machine": "cpu", "date": "2026-01-31"},
    ]


def test_only_the_named_figures_are_recorded_anew() -> None:
    before, after = ([{"name": name, "values": [value]} for name in ("a/b", "a/c")] for value in (1.0, 2.0))
    assert recorded.renewed(before, after, ["a/c"]) == [before[0], after[1]]


def test_a_figure_that_is_not_in_the_record_is_not_measured() -> None:
    with pytest.raises(SystemExit, match=r"got \['cost/none'\], allowed are .* names"):
        recorded.record(1, ["cost/predict", "cost/none"])


def test_a_suite_without_a_record_or_a_spread_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = {"machine": recorded.machine()}
    records = {
        "none": [],
        "once": [{**line("lower", 1.0), **here}],
        "twice": [{**line("lower", 1.0, 2.0), **here}],
    }
    monkeypatch.setattr(recorded, "SUITES", tuple(records))
    monkeypatch.setattr(recorded, "recorded", records.__getitem__)
    monkeypatch.setattr(recorded, "measured", lambda suite: [{"name": "a/b", "unit": "ms", "value": 1.0}])
    assert recorded.compare([]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "none: not recorded, nothing to compare with",
        "once: recorded once, by how much runs differ is not known",
    ]
    assert recorded.compare(["once"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "once: recorded once, by how much runs differ is not known"
    ]
    with pytest.raises(SystemExit, match=r"got \['twic'\], allowed are"):
        recorded.compare(["twic"])
