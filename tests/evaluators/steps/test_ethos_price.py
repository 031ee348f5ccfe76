"""A device with an Ethos-U before training: what maps, and recipes that its compiler cannot compile."""

import pytest
from atoll.evaluators.ethos_u import compiler, estimate
from atoll.evaluators.ethos_u.compiler import Compiled, has_compiler
from atoll.evaluators.ethos_u.report import VelaReport
from atoll.evaluators.ranking.constraints import Constraint
from atoll.evaluators.ranking.metrics import Metrics
from atoll.evaluators.steps.evaluate import price_recipe
from atoll.evaluators.tasks.task import Task
from atoll.search.proposer.trial_scores import Judge
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import made_up_metrics

DEVICE = "ethos-u55-64"
REPORT = VelaReport(*("a", "s", "m", 5e8, 7, 0, 1000, 99, 4096, 0, 800, 900, 800), operators=(), refusals=())


def price(text: str, task: Task) -> dict[str, object]:
    return dict(price_recipe(Recipe.parse(text), task.name, DEVICE).to_metrics())


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The files that a compiler of the tests' own was given."""
    given: list[bytes] = []

    def compile_anything(content: bytes, npu: object, limit_s: float = 0) -> Compiled:
        given.append(content)
        return Compiled(b"12345", REPORT, "0")

    real = compiler.compile_for_ethos_u.__wrapped__
    for module in (compiler, estimate):
        monkeypatch.setattr(module, "clock_hz", lambda npu: 5e8)
        monkeypatch.setattr(module, "require_compiler", lambda what: None)
    monkeypatch.setattr(compiler, "_compiled", compile_anything)
    monkeypatch.setattr(estimate, "compile_for_ethos_u", real)
    price_recipe.cache_clear()
    return given


def test_figures_of_a_price_are_the_compilers(compiled: list[bytes], tiny_task: Task) -> None:
    found = price("quantize(bits=8)", tiny_task)
    assert (found["ethos_u_mappable"], found["ethos_u_flash_bytes"]) == (1.0, 5)
    assert [found[f"latency_ms{end}"] for end in ("", "_low", "_high")] == [1000 / 500e3] * 3
    assert found["peak_memory_bytes"] == 4096
    assert found["latency_status"] == found["peak_memory_status"] == "compiler estimate"
    whole = Metrics.from_json(made_up_metrics(nonzero_parameters=1).to_json() | found)
    assert Metrics.from_json(whole.to_json()) == whole
    price("quantize(bits=8)", tiny_task)
    assert len(compiled) == 1  # kept


def test_the_constraint_rejects_what_stays_on_the_cpu(compiled: list[bytes], tiny_task: Task) -> None:
    judge = Judge((Constraint.parse("ethos_u_mappable = 1.0"),), made_up_metrics().to_json())
    assert judge.rejection(price("quantize(bits=8)", tiny_task)) is None
    given = judge.rejection(price("baseline", tiny_task))
    assert given is not None and given.reason == "ethos_u_mappable 0, demanded = 1"
    assert judge.rejection(price("quantize(bits=8, activations=float)", tiny_task)) is not None
    other = price_recipe(Recipe(), tiny_task.name, "coral-dev-board").to_metrics()
    assert other["ethos_u_mappable"] is None and judge.rejection(other) is None


@pytest.mark.parametrize("recipe", ["quantize(bits=4)", "quantize(bits=2)", "ternarize", "binarize"])
def test_a_recipe_that_ends_the_compiler_is_refused_with_the_reason(
    recipe: str, compiled: list[bytes], tiny_task: Task
) -> None:
    with pytest.raises(AtollError, match=r"Vela cannot compile it: \w+ has int[24] weights, which end it"):
        price(recipe, tiny_task)
    assert not compiled


@pytest.mark.skipif(not has_compiler(), reason="ethos-u-vela is not installed")
def test_vela_maps_every_operator_of_an_8_bit_network(tiny_task: Task) -> None:
    found = price("quantize(bits=8)", tiny_task)
    assert found["ethos_u_mappable"] == 1.0 and found["latency_status"] == "compiler estimate"
    assert 0 < found["latency_ms"] < 1  # type: ignore[operator]
