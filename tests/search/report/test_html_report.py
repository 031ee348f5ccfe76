"""The HTML report as a text: one file without network, whose data are the store's own."""

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from atoll.search.report import page as page_module
from atoll.search.report.contents import TABLES, contents
from atoll.search.report.html_report import html_report
from atoll.search.report.page import ECHARTS, page
from atoll.search.store.selection import choose_study, choose_trial
from atoll.search.store.store import Store

EVIL = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> & \x1b[31m"


class Elements(HTMLParser):
    """Collects elements with their attributes and texts.

    Args:
        text: of a page.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.texts.append("")
        self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[-1] += data

    def of(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        pairs = zip(self.found, self.texts, strict=True)
        return [(attributes, text) for (name, attributes), text in pairs if name == tag]


def data_of(text: str) -> dict[str, Any]:
    """Returns the data that stand in a page, read as its scripts read them."""
    [(attributes, block)] = [one for one in Elements(text).of("script") if one[0].get("id") == "data"]
    if attributes["type"] == "application/gzip":
        block = gzip.decompress(base64.b64decode(block)).decode()
    return json.loads(block)


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a row with its numbers to ten digits."""
    return {name: float(f"{x:.10g}") if isinstance(x, float) else x for name, x in row.items()}


@pytest.fixture(scope="module")
def written(made_up: Store) -> str:
    return html_report(made_up, choose_study(made_up, None), "abc")


def test_echarts_is_the_file_that_its_readme_names() -> None:
    said = (ECHARTS.parent / "README.md").read_text()
    assert hashlib.sha256(ECHARTS.read_bytes()).hexdigest() in said
    [version] = re.findall(r"echarts@([\d.]+)", said)
    assert f'.version="{version}"' in ECHARTS.read_text()
    assert "Apache License" in (ECHARTS.parent / "LICENSE").read_text()


def test_the_policy_allows_no_network_and_these_scripts_alone(written: str) -> None:
    elements = Elements(written)
    [policy] = [
        a["content"] for a, _ in elements.of("meta") if a.get("http-equiv") == "Content-Security-Policy"
    ]
    parts = (rule.strip().partition(" ") for rule in str(policy).split(";"))
    rules = {name: value for name, _, value in parts}
    assert rules["default-src"] == "'none'" and "connect-src" not in rules
    run = [text for attributes, text in elements.of("script") if "type" not in attributes]
    styles = [text for _, text in elements.of("style")]
    for texts, rule in ((run, "script-src"), (styles, "style-src")):
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert rules[rule].split() == [f"'sha256-{digest}'" for digest in digests]
    assert rules["img-src"] == "data:"


def test_nothing_is_fetched(written: str) -> None:
    ours = written.replace(ECHARTS.read_text(), "")
    assert not re.search(r"\b(src|srcset|action)=|@import|url\(|https?://", ours)
    links = [attributes["href"] for attributes, _ in Elements(ours).of("a")]
    assert links and all(link.startswith("#") for link in links)


def test_the_data_are_those_of_the_views(made_up: Store, written: str) -> None:
    study, found = choose_study(made_up, None), data_of(written)
    for name, sql in TABLES.items():
        rows = made_up.query(sql, [study.name]).to_pylist()
        columns = found["tables"][name]
        embedded = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        if name == "effects":  # means, whose last bits depend on the order in which DuckDB sums
            embedded, rows = (list(map(rounded, those)) for those in (embedded, rows))
        assert embedded == rows and rows
    assert len(found["tables"]["trials"]["trial"]) == len(made_up.trials(study.name))
    assert found["figures"]["quality"] == {
        "title": "accuracy", "unit": "%", "heading": "accuracy, %", "scale": 100.0, "digits": 2,
        "significant": False, "sign": False, "higher": True, "ends": [], "least": 0.001,
    }  # fmt: skip
    assert found["figures"]["quality_drop"]["unit"] == "points"
    assert found["figures"]["latency_ms"]["ends"] == ["latency_ms_low", "latency_ms_high"]


@pytest.mark.parametrize(("most", "plain"), [(0, False), (10**9, False), (0, True)])
def test_data_come_out_as_they_went_in(monkeypatch: pytest.MonkeyPatch, most: int, plain: bool) -> None:
    monkeypatch.setattr(page_module, "PLAIN_BYTES", most)
    data = {"figure": [0.1 + 0.2, 5e-324, -(2**53)], "name": EVIL, "none": None, "yes": True}
    text = page("", [], {}, data, plain)
    assert data_of(text) == data
    assert ("application/gzip" in text) == (most == 0 and not plain)


def test_an_error_is_better_when_smaller(made_up: Store) -> None:
    found = contents(made_up, choose_study(made_up, "errors"))
    assert not found["figures"]["quality"]["higher"]
    assert found["figures"]["quality"]["heading"] == "mean_absolute_error, mm"
    assert [one["higher"] for one in found["ranking"] if one["metric"] == "quality"] == [False]
    assert found["goal"]["minimized"] == ["latency_ms", "model_bytes"]


def test_the_verdict_is_what_export_takes(made_up: Store, written: str) -> None:
    study = choose_study(made_up, None)
    best = choose_trial(made_up, study, "best")
    verdict = written.split('id="verdict"')[1].split("</div>")[0]
    assert f"trial {best['trial']}: " in verdict and "(mean of 3 seeds)" in verdict
    assert f"file {best['model_bytes'] / 1000:,.1f} kB predicted" in verdict


def test_a_study_without_a_baseline_says_so(tmp_path: Path) -> None:
    from atoll.search.store.events import event_from_json

    store = Store(tmp_path / "atoll.duckdb")
    definition = {"task": "digits", "device": "coral-dev-board", "seed": 0, "epochs_per_step": 1.0}
    store.journal.append(
        event_from_json({"type": "study", "study": "s", "definition": definition, "digest": "d"})
    )
    text = html_report(store, choose_study(store, None))
    assert "has no finished baseline yet" in text
    assert all(not column for table in data_of(text)["tables"].values() for column in table.values())


def test_names_are_texts() -> None:
    text = page(EVIL, [EVIL], {EVIL: EVIL}, {"name": EVIL, "word": "@script@ @echarts@"})
    elements = Elements(text)
    assert len(elements.of("script")) == 3 and not elements.of("img")
    assert data_of(text) == {"name": EVIL, "word": "@script@ @echarts@"}


def test_numbers_that_json_has_not_are_null(tmp_path: Path, made_up: Store) -> None:
    class Odd(Store):
        def query(self, sql: str, parameters: Any = ()) -> Any:
            table = super().query(sql, parameters)
            if "quality" not in table.column_names:
                return table
            place = table.column_names.index("quality")
            return table.set_column(place, "quality", [[float("nan")] * len(table)])

    odd = Odd(made_up.path)
    found = contents(odd, choose_study(made_up, None))
    assert set(found["tables"]["recipes"]["quality"]) == {None}
    json.dumps(found, allow_nan=False)
