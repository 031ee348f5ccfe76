"""TensorBoard and MLflow: what lies on the disk is what became of trials; a log that fails stops nothing."""

import struct
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.steps.work import Outcome
from atoll.search.live import log as log_module
from atoll.search.live.log import Log, Wanted, figures_after, opened, parameters_of
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import BASELINE

RECIPE = Recipe.parse("tucker(rank=0.5) -> quantize(bits=8)")


def told(log: Log) -> None:
    """A baseline and a trial of two steps, and one that fails."""
    log.begun("t0001", parameters_of(Recipe(), origin="baseline", seed=0))
    log.stepped("t0001", figures_after(Outcome("finished", metrics=BASELINE, seconds=9.0)))
    log.ended("t0001", is_finished=True)
    log.begun("t0002", parameters_of(RECIPE, origin="search", seed=0))
    log.stepped("t0002", {"step": 1, "quality": 0.75, "model_bytes": 500, "outcome": "{}", "hostname": "x"})
    log.stepped(
        "t0002", {"step": 2, "quality": 0.5, "model_bytes": 125, "objective": 2.0, "latency_ms": None}
    )
    log.ended("t0002", is_finished=True)
    log.begun("t0003", parameters_of(RECIPE, origin="search", seed=0))
    log.ended("t0003", is_finished=False)


def events(folder: Path) -> list[Any]:
    """Reads TensorBoard's files as its own format says: length, its checksum, an Event, its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        content, at = path.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            found.append(Event.FromString(content[at + 12 : at + 12 + length]))
            at += 12 + length + 4
    return found


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for event in events(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag.rpartition("/")[2], {})[event.step] = value.simple_value
    return found


def test_tensorboard_has_a_run_a_trial_and_a_point_after_every_step(tmp_path: Path) -> None:
    said: list[str] = []
    with opened([Wanted.parse("tensorboard")], tmp_path / "atoll.duckdb", "digits-0", said.append) as log:
        assert log is not None
        told(log)
    runs = tmp_path / "atoll-tensorboard" / "digits-0"
    assert {path.name for path in runs.iterdir()} == {"t0001", "t0002", "t0003"}
    baseline = scalars(runs / "t0001")
    assert baseline["quality"][0] == pytest.approx(0.95) and baseline["model_bytes"][0] == 4_429_610
    found = scalars(runs / "t0002")
    assert found["quality"] == {1: 0.75, 2: 0.5} and found["model_bytes"] == {1: 500, 2: 125}
    assert found["objective"] == {2: 2.0} and "latency_ms" not in found and "outcome" not in found
    parameters = str(events(runs / "t0002"))
    assert "step_1.rank" in parameters and "step_2.bits" in parameters, "as hyper-parameters"
    assert said == []


def test_mlflow_has_an_experiment_a_study_in_sqlite(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    with opened([Wanted.parse("mlflow")], tmp_path / "atoll.duckdb", "digits-0", pytest.fail) as log:
        assert log is not None
        told(log)
    client = mlflow.tracking.MlflowClient(f"sqlite:///{tmp_path}/atoll-mlflow.db")
    experiment = client.get_experiment_by_name("digits-0")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert {name: run.info.status for name, run in runs.items()} == {
        "t0001": "FINISHED", "t0002": "FINISHED", "t0003": "FAILED",
    }  # fmt: skip
    run = runs["t0002"]
    assert run.data.params["recipe"] == str(RECIPE) and run.data.params["step_1.rank"] == "0.5"
    points = client.get_metric_history(run.info.run_id, "quality")
    assert [(point.step, point.value) for point in points] == [(1, 0.75), (2, 0.5)]
    assert run.data.metrics["objective"] == 2.0


def statuses(folder: Path) -> dict[str, str]:
    mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    client = mlflow.tracking.MlflowClient(f"sqlite:///{folder}/runs.db")
    experiment = client.get_experiment_by_name("digits-0")
    return {run.info.run_name: run.info.status for run in client.search_runs([experiment.experiment_id])}


def test_in_mlflow_what_was_stopped_is_killed_and_not_running(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    wanted = [Wanted("mlflow", str(tmp_path / "runs.db"))]
    with opened(wanted, tmp_path / "atoll.duckdb", "digits-0", pytest.fail) as log:
        assert log is not None
        log.begun("t0001", parameters_of(RECIPE))
    assert statuses(tmp_path) == {"t0001": "KILLED"}
    gone = Log(wanted, tmp_path / "atoll.duckdb", "digits-0", pytest.fail)  # its process is killed
    of_others = Log(wanted, tmp_path / "other.duckdb", "digits-0", pytest.fail)
    gone.begun("t0002", parameters_of(RECIPE))
    of_others.begun("t0003", parameters_of(RECIPE))
    for one in (gone, of_others):
        one._thread.shutdown(wait=True)
    assert statuses(tmp_path) == {"t0001": "KILLED", "t0002": "RUNNING", "t0003": "RUNNING"}
    with opened(wanted, tmp_path / "atoll.duckdb", "digits-0", pytest.fail):
        assert statuses(tmp_path) == {"t0001": "KILLED", "t0002": "KILLED", "t0003": "RUNNING"}


def test_where_a_log_is_written() -> None:
    store = Path("/data/run.duckdb")
    assert Wanted("tensorboard").place(store) == "/data/run-tensorboard"
    assert Wanted("tensorboard", "logs").place(store) == "logs"
    assert Wanted("mlflow").place(store) == "sqlite:////data/run-mlflow.db"
    assert Wanted("mlflow", "/data/own.db").place(store) == "sqlite:////data/own.db"
    assert Wanted("mlflow", "http://host:5000").place(store) == "http://host:5000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tensorbord", "--log 'tensorbord': did you mean 'tensorboard'"),
        ("wandb=x", "--log 'wandb=x': .*mlflow, tensorboard"),
        ("mlflow", r"--log mlflow needs the package mlflow: pip install 'atoll\[mlflow\]'"),
        ("tensorboard", r"--log tensorboard needs the package tensorboardX: pip install 'ray\[tune\]'"),
    ],
)
def test_what_is_unknown_or_missing_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.setattr(log_module, "find_spec", lambda name: None)
    with pytest.raises(AtollError, match=message):
        Wanted.parse(text)


def test_a_log_that_fails_is_left_and_the_others_go_on(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "a-file").write_text("")
    wanted = [Wanted("tensorboard", str(tmp_path / "a-file")), Wanted("tensorboard", str(tmp_path / "logs"))]
    with opened(wanted, tmp_path / "atoll.duckdb", "digits-0", said.append) as log:
        assert log is not None
        told(log)
    assert len(said) == 1 and said[0].startswith("--log tensorboard: ")
    assert said[0].endswith("; the search goes on without it")
    assert scalars(tmp_path / "logs" / "digits-0" / "t0002")["quality"] == {1: 0.75, 2: 0.5}


def test_what_was_interrupted_has_an_end_too(tmp_path: Path) -> None:
    with opened([Wanted("tensorboard")], tmp_path / "atoll.duckdb", "digits-0", pytest.fail) as log:
        assert log is not None
        log.begun("t0001", parameters_of(RECIPE))
        log.stepped("t0001", {"step": 1, "quality": 0.5})
    assert scalars(tmp_path / "atoll-tensorboard" / "digits-0" / "t0001")["quality"] == {1: 0.5}


def test_figures_are_flat_and_whole() -> None:
    found = figures_after(Outcome("finished", metrics=BASELINE, seconds=2.0))
    assert found["step"] == 0 and found["seconds"] == 2.0 and found["macs"] == BASELINE.macs
    assert "packed_bytes" not in found and all(isinstance(value, (int, float)) for value in found.values())
    assert figures_after(Outcome.failed("diverged")) == {"step": 0, "seconds": 0.0}


def test_a_kind_of_log_that_nobody_writes_is_refused() -> None:
    assert Wanted.parse("tensorboard=there=x") == Wanted("tensorboard", "there=x")
    with pytest.raises(
        AtollError, match=r"^--log 'tensorbord': .*'tensorboard'.* with =WHERE behind it or not"
    ):
        Wanted.parse("tensorbord")
