"""The bench of integers: its data, its page and what it tries, on made-up rows."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch


@pytest.fixture(autouse=True)
def _modules_of_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts import their neighbours by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture
def bench() -> ModuleType:
    """The script, by its place: a checkout's folder may have its name."""
    spec = spec_from_file_location("bench_integers", Path(__file__).with_name("integers.py"))
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(network: str, recipe: str, lost: float, agreement: float, **more: Any) -> dict[str, Any]:
    return {
        "network": network, "recipe": recipe, "float": 0.95, "simulated": 0.94, "file": 0.95 - lost / 100,
        "lost": lost, "agreement": agreement, "steps": 2.0, "outputs_db": 31.26, "equalized": None,
        "worst": {"one": 12.0, "two": 14.5, "three": 20.0},
    } | more  # fmt: skip


def test_data_are_the_same_every_time_and_of_every_class() -> None:
    from made_data import KEYWORDS, keywords, pictures

    assert len(set(KEYWORDS)) == 12
    for make, shape, classes in (
        (lambda seed: pictures(20, 24, seed), (20, 3, 24, 24), 10),
        (lambda seed: keywords(24, seed), (24, 1, 49, 10), 12),
    ):
        one, again, other = make(0), make(0), make(1)
        assert one.images.shape == shape and one.images.dtype == torch.uint8
        assert sorted(set(one.labels.tolist())) == list(range(classes))
        assert torch.equal(one.images, again.images) and torch.equal(one.labels, again.labels)
        assert not torch.equal(one.images, other.images)


def test_the_network_without_squeezing_has_the_published_parameters(bench: ModuleType) -> None:
    with torch.device("meta"):
        network = bench.efficientnet_lite0(1000, (3, 224, 224))
    assert round(sum(one.numel() for one in network.parameters()) / 1e6, 2) == 4.65


def test_more_and_more_layers_are_kept_wide_until_nothing_is_lost(bench: ModuleType) -> None:
    plain, settings = bench.PLAIN, list(bench.RECIPES)

    def tried(first: dict[str, Any], then: dict[str, Any]) -> list[str]:
        return list(bench._recipes(lambda recipe: first if recipe == plain else then))

    good, bad = row("a", plain, 0.4, 0.995), row("a", plain, 1.2, 0.995)
    wide = [f"mixed_precision(bits=8, wide={count})" for count in (1, 2, 3)]
    assert tried(good, bad) == settings
    assert tried(bad, good) == [*settings, wide[0]]
    assert tried(row("a", plain, 0.0, 0.98), bad) == tried(bad, bad) == [*settings, *wide]


def test_the_page_tells_every_row_and_how_many_networks_stay() -> None:
    from integers_page import page

    rows = [
        row("a", "quantize", 1.5, 0.97, equalized="3 pairs of neighbouring layers"),
        row("a", "quantize(layers=a|b)", 0.2, 0.995, wide=["two", "one"]),
        row("b", "quantize", 1.1, 1.0, steps=None),
    ]
    text = page(rows)
    assert "**1 of 2 networks" in text
    assert r"| a | `quantize(layers=a\|b)` | 95.00 | 94.00 | 94.80 | +0.20 | 99.5 | 2.0 | 31.3 |" in text
    assert "| b | `quantize` | 95.00 | 94.00 | 93.90 | +1.10 | 100.0 |  | 31.3 |" in text
    assert text.count("`one` 12.0, `two` 14.5, `three` 20.0") == 2  # once a network
    assert "- a: 3 pairs of neighbouring layers" in text
    assert "- a, `quantize(layers=a|b)`: `two`, `one`" in text
