"""The waterfall: its ends are the baseline and the finished network; the picture shows its rows."""

import hashlib
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.card.bundle import save_bundle
from atoll.evaluators.card.waterfall import card_devices, counts, fit_digest, predictions, prices, waterfall
from atoll.evaluators.card.waterfall_figure import draw_waterfall
from atoll.evaluators.ranking.quality_terms import QualityTerms
from atoll.evaluators.steps.pipeline import Pipeline
from atoll.evaluators.steps.pipeline_result import PipelineResult
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.tasks.task import Task
from atoll.hw_models.devices.device_folder import device_folder
from atoll.spaces.recipes.recipe import Recipe

DEVICE = "coral-dev-board"
RECIPE = Recipe.parse("tensor_train(rank=2, fit_steps=0) -> prune_channels(ratio=0.5) -> quantize(bits=8)")


@pytest.fixture(scope="module")
def pipeline(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline(Settings(tiny_task.name, DEVICE, 0, 0.1, 0.1), tmp_path_factory.mktemp("c"))


@pytest.fixture(scope="module")
def result(pipeline: Pipeline) -> PipelineResult:
    return pipeline.run(RECIPE)


@pytest.fixture(scope="module")
def about(pipeline: Pipeline, result: PipelineResult, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("bundle")
    return save_bundle(folder, result.network, pipeline.task, RECIPE, result.decisions)


@pytest.fixture(scope="module")
def rows(pipeline: Pipeline, result: PipelineResult, about: Any) -> list[dict[str, Any]]:
    baseline = pipeline.baseline.metrics.to_json()
    return waterfall(about, baseline, [asdict(step) for step in result.steps], DEVICE)


def test_it_begins_with_the_baseline_and_ends_with_the_network(
    pipeline: Pipeline, result: PipelineResult, rows: list[dict[str, Any]]
) -> None:
    assert [row["step"] for row in rows] == ["baseline", *map(str, RECIPE)]
    for row, metrics in ((rows[0], pipeline.baseline.metrics), (rows[-1], result.metrics)):
        whole = metrics.to_json()
        same = [name for name in row if name in whole]
        assert len(same) >= 12
        assert {name: row[name] for name in same} == {name: whole[name] for name in same}
    assert sum(row["epochs"] for row in rows[1:]) == pytest.approx(result.metrics.train_epochs)


def test_every_step_has_its_own_figures(result: PipelineResult, rows: list[dict[str, Any]]) -> None:
    for row, step in zip(rows[1:], result.steps, strict=True):
        for name in ("quality", "payload_bytes", "packed_bytes", "model_bytes", "macs", "latency_ms"):
            assert row[name] == getattr(step, name), name
        assert row["latency_ms_low"] < row["latency_ms"] < row["latency_ms_high"]


def test_prices_and_predictions_need_no_weights(about: Any, rows: list[dict[str, Any]]) -> None:
    priced = prices(about, DEVICE)
    assert all(row | found == row for row, found in zip(rows, priced, strict=True))
    for found in predictions(about, [DEVICE]):
        assert found["value"] == priced[-1][found["quantity"]]
        assert found["low"] == priced[-1][f"{found['quantity']}_low"]


def test_predictions_are_for_the_study_s_device_and_the_package_s(about: Any) -> None:
    assert card_devices("coral-edge-tpu") == ["coral-edge-tpu", "coral-dev-board", "host"]
    assert card_devices(f"{DEVICE}:pub1")[:2] == [f"{DEVICE}:pub1", DEVICE]
    rows = predictions(about, card_devices(DEVICE))
    assert {row["device"] for row in rows} == {"coral-dev-board", "coral-edge-tpu", "host"}
    assert all(row["low"] <= row["value"] <= row["high"] and row["setup"] and row["status"] for row in rows)


def test_counts_are_those_of_the_prices(about: Any) -> None:
    for counted, priced in zip(counts(about), prices(about, DEVICE), strict=True):
        predicted = {name for name in priced if name.startswith(("latency_", "peak_memory_", "ethos_u_"))}
        assert counted == {name: priced[name] for name in priced.keys() - predicted}


def test_a_fit_is_known_by_its_file_and_that_of_the_cpu_behind_it() -> None:
    def content(name: str) -> bytes:
        return (device_folder(name) / "fitted.json").read_bytes()

    of_board = hashlib.sha256(content(DEVICE)).hexdigest()
    assert fit_digest(DEVICE) == fit_digest(f"{DEVICE}:pub1") == of_board
    of_both = content("coral-edge-tpu") + content(DEVICE)
    assert fit_digest("coral-edge-tpu") == hashlib.sha256(of_both).hexdigest()
    assert fit_digest("no-such-device") is None


# The picture --------------------------------------------------------------------------------------------


def test_the_same_rows_give_the_same_picture(
    rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the user's own settings are, and whatever the time."""
    import matplotlib

    first = draw_waterfall(rows, QualityTerms("accuracy"), DEVICE)
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30.0)
    assert draw_waterfall(rows, QualityTerms("accuracy"), DEVICE) == first
    assert matplotlib.rcParams["font.size"] == 30.0
    assert re.search(rb"\d{4}-\d\d-\d\d", first) is None


def test_another_figure_gives_another_picture(rows: list[dict[str, Any]]) -> None:
    other = [*rows[:-1], {**rows[-1], "quality": rows[-1]["quality"] + 0.01}]
    terms = QualityTerms("accuracy")
    assert draw_waterfall(other, terms, DEVICE) != draw_waterfall(rows, terms, DEVICE)


def test_the_picture_writes_every_number(rows: list[dict[str, Any]]) -> None:
    """Texts are drawn as shapes, with the text itself in a comment."""
    written = re.findall(r"<!-- (.*?) -->", draw_waterfall(rows, QualityTerms("accuracy"), DEVICE).decode())
    for row in rows:
        assert f"{row['model_bytes'] / 1000:,.1f}" in written
        assert f"{row['macs'] / 1e6:,.2f}" in written
        assert f"{row['latency_ms']:,.2f}" in written
        assert f"{100 * row['quality']:.2f}" in written
    assert "(predicted, coral-dev-board)" in written
