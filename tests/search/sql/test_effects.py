"""Effects of techniques: against the same prefix without the step, each step once."""

import math
import statistics
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import duckdb
import pytest
from atoll.search.store.store import Store

COSTS = ("model_bytes", "macs", "latency_ms", "peak_memory_bytes")


@pytest.fixture(scope="module")
def client(made_up: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(duckdb.connect(str(made_up.path), read_only=True)) as connection:
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, statement: str) -> list[dict[str, Any]]:
    return connection.sql(statement).to_arrow_table().to_pylist(maps_as_pydicts="strict")


def reached(store: Store, study: str) -> dict[tuple[int, float, str], dict[str, Any]]:
    """What the trials had after each prefix, by seed, budget and its text."""
    found: dict[tuple[int, float, str], dict[str, Any]] = {}
    for trial in store.trials(study):
        for step in store.steps(study, trial["trial"]):
            text = " -> ".join(trial["recipe"].split(" -> ")[: step["position"]]) or "baseline"
            found[trial["seed"], trial["epochs_per_step"], text] = dict(step)
    return found


@pytest.fixture(scope="module")
def effects(made_up: Store) -> dict[str, list[dict[str, Any]]]:
    """By study what each different step did, computed from the steps as they are stored."""
    found: dict[str, list[dict[str, Any]]] = {}
    for study, sign in (("shares", 1), ("errors", -1)):
        known = reached(made_up, study)
        found[study] = []
        for (seed, epochs, text), after in known.items():
            if text == "baseline":
                continue
            prefix = " -> ".join(text.split(" -> ")[:-1]) or "baseline"
            # a trial of a larger budget began at the study's only baseline of its seed
            before = known.get((seed, epochs, prefix)) or known[seed, 1.0, prefix]
            effect = {"seed": seed, "epochs": epochs, "prefix": prefix, "recipe": text, "step": after}
            effect["quality_gain"] = sign * (after["quality"] - before["quality"])
            for cost in COSTS:
                effect[cost] = (after[cost] - before[cost], after[cost] / before[cost])
            found[study].append(effect)
    return found


@pytest.mark.parametrize("study", ["shares", "errors"])
def test_a_step_is_held_against_its_prefix_once(
    client: duckdb.DuckDBPyConnection, effects: dict[str, list[dict[str, Any]]], study: str
) -> None:
    found = rows(client, f"FROM step_effects WHERE study = '{study}'")
    by_recipe = {(row["seed"], row["epochs_per_step"], row["recipe"]): row for row in found}
    assert len(by_recipe) == len(found) == len(effects[study])
    for effect in effects[study]:
        row = by_recipe[effect["seed"], effect["epochs"], effect["recipe"]]
        assert (row["prefix"], row["step"]) == (effect["prefix"], effect["step"]["step"])
        assert row["quality_gain"] == pytest.approx(effect["quality_gain"])
        for cost in COSTS:
            assert (row[f"{cost}_change"], row[f"{cost}_factor"]) == pytest.approx(effect[cost])
    shared = [row for row in found if row["recipe"] == "tensor_train(rank=16)" and row["seed"] == 0]
    assert [row["trials"] for row in shared] == [5 if study == "shares" else 1]


def summed(effects: list[dict[str, Any]]) -> dict[str, Any]:
    """What a row of technique_effects says of some effects."""
    gains = [effect["quality_gain"] for effect in effects]
    said: dict[str, Any] = {"n": len(effects), "quality_gain": statistics.fmean(gains)}
    said["quality_gain_std"] = statistics.stdev(gains) if len(gains) > 1 else None
    for cost in COSTS:
        logarithms = [math.log(effect[cost][1]) for effect in effects]
        said[f"{cost}_change"] = statistics.fmean(effect[cost][0] for effect in effects)
        said[f"{cost}_factor"] = math.exp(statistics.fmean(logarithms))
        said[f"{cost}_factor_spread"] = math.exp(statistics.stdev(logarithms)) if len(effects) > 1 else None
    return said


def same(row: dict[str, Any], effects: list[dict[str, Any]]) -> None:
    for name, value in summed(effects).items():
        assert row[name] == (None if value is None else pytest.approx(value)), name


def test_techniques_settings_and_positions_are_means_over_different_steps(
    client: duckdb.DuckDBPyConnection, effects: dict[str, list[dict[str, Any]]]
) -> None:
    found = rows(client, "FROM technique_effects WHERE study = 'shares'")
    assert {row["grouped_by"] for row in found} == {"technique", "setting", "position", "order"}
    for row in found:
        if row["grouped_by"] == "order":
            continue
        of_it = [effect for effect in effects["shares"] if effect["step"]["technique"] == row["technique"]]
        if row["grouped_by"] == "setting":
            of_it = [
                effect for effect in of_it if effect["step"]["settings"].get(row["setting"]) == row["value"]
            ]
        if row["grouped_by"] == "position":
            of_it = [effect for effect in of_it if effect["step"]["position"] == row["position"]]
        same(row, of_it)
    settings = {
        (row["technique"], row["setting"], row["value"]) for row in found if row["grouped_by"] == "setting"
    }
    assert ("quantize", "bits", "4") in settings
    assert ("prune_channels", "layers", "features.*|conv") in settings


def test_the_order_of_two_is_held_against_the_prefix_without_both(
    client: duckdb.DuckDBPyConnection, effects: dict[str, list[dict[str, Any]]]
) -> None:
    pairs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for second in effects["shares"]:
        for first in effects["shares"]:
            if (first["recipe"], first["seed"], first["epochs"]) == (
                second["prefix"],
                second["seed"],
                second["epochs"],
            ):
                both = {"quality_gain": first["quality_gain"] + second["quality_gain"]}
                both |= {
                    cost: (first[cost][0] + second[cost][0], first[cost][1] * second[cost][1])
                    for cost in COSTS
                }
                pairs.setdefault((first["step"]["technique"], second["step"]["technique"]), []).append(both)
    found = rows(client, "FROM technique_effects WHERE study = 'shares' AND grouped_by = 'order'")
    assert {(row["technique"], row["second_technique"]) for row in found} == pairs.keys()
    assert {("prune_channels", "tensor_train"), ("tensor_train", "prune_channels")} <= pairs.keys()
    for row in found:
        same(row, pairs[row["technique"], row["second_technique"]])
