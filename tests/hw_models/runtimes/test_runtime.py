"""Runtimes by name."""

import importlib.metadata

import pytest
from atoll.hw_models.devices.device_folder import DEVICES, ETHOS_U, runtime_of
from atoll.hw_models.runtimes import runtime as runtimes
from atoll.hw_models.runtimes.release import release
from atoll.hw_models.runtimes.runtime import INSTALLED, LITERT, OFFERED, PACKAGE, Runtime, offered
from atoll.spaces.errors import AtollError


@pytest.mark.parametrize(
    ("name", "has"),
    [
        ("tflite-2.14", "2.14.0"),
        ("tflite-2.5", "2.5.0"),
        ("tflite-2.14.1", "2.14.1"),
        ("litert-2.0.3", "2.20.0"),
        ("litert-2.1", "2.20.0"),
        ("litert-2", "2.23.0"),
    ],
)
def test_a_name_means_the_oldest_release(name: str, has: str) -> None:
    assert Runtime.named(name).release == has


def test_it_loads_what_is_no_newer() -> None:
    board = Runtime.named("tflite-2.14")
    assert board.loads("2.9.0") and board.loads("2.14.0") and not board.loads("2.14.1")


@pytest.mark.parametrize("name", ["", "litert", "litert-3", "litert-0.9", "tflite", "tflite-2", "tf-2.14"])
def test_unknown_names_are_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(AtollError, match=r"unknown runtime .*; allowed are tflite-2.14, litert-1, litert-2"):
        Runtime.named(name)


def test_the_one_installed_here_has_at_least_what_the_newest_known_has_where_it_is_newer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    major, minor, *_ = importlib.metadata.version(PACKAGE).split(".")
    assert Runtime.named(INSTALLED).release == Runtime.named(f"litert-{major}.{minor}").release
    monkeypatch.setattr(runtimes, "version", lambda package: "9.0.0")
    assert release(Runtime.named(INSTALLED).release) == max(map(release, LITERT.values()))


def test_the_first_that_loads_a_file_is_offered() -> None:
    assert offered("2.3.0") == OFFERED[0]
    assert offered("2.18.0") == "litert-1"
    assert offered("2.21.0") == "litert-2"
    assert offered("2.99.0") is None
    assert offered("2.18.0", {"litert-1.4"}) == "litert-2"


def test_its_line_has_two_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("tflite-2.19", "tflite-2.19.1", "litert-1", "litert-1.2.3", "litert-2")
    lines = [Runtime.named(name).line for name in names]
    assert lines == ["tflite-2.19", "tflite-2.19", "litert-1.4", "litert-1.2", "litert-2.2"]
    monkeypatch.setattr(runtimes, "version", lambda package: "1.3.0")
    assert Runtime.named(INSTALLED).line == "litert-1.3"


def test_every_device_of_the_package_that_runs_files_as_they_are_names_one() -> None:
    found = {name: runtime_of(name) for name, _ in DEVICES}
    assert {name: one and one.name for name, one in found.items()} == {
        "coral-dev-board": "tflite-2.14",
        "coral-edge-tpu": "tflite-2.14",
        "host": INSTALLED,
        "litert-micro": "litert-micro",
        # what the compiler of an Ethos-U writes is no file of an operator table
        **{f"ethos-{size}": None for size in ETHOS_U},
    }
    assert runtime_of("coral-dev-board:pub1", "litert-2") == Runtime.named("litert-2")
