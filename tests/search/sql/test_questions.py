"""The twenty questions of docs/sql.md: each answer, computed anew from the store's rows without SQL."""

import math
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
from atoll.evaluators.ranking.ranking import PROFILES
from atoll.search.store.store import Store
from atoll.search.store.stored_study import StoredStudy

PAGE = (Path(__file__).parents[3] / "docs" / "sql.md").read_text(encoding="utf-8")
QUESTIONS = dict(re.findall(r"^### (\d+)\. [^\n]+\n(.*?)(?=^##)", PAGE, flags=re.MULTILINE | re.DOTALL))
STUDIES = ("errors", "shares")
SIGN = {"errors": -1, "shares": 1}
Rows = list[tuple[Any, ...]]


@dataclass
class Known:
    """What the store's rows say, in Python.

    Args:
        studies: by name.
        trials: of each.
        steps: of each, as its trials have them.
        effects: of every different step: where it stands, what it gained, the factors of bytes and latency.
    """

    studies: dict[str, StoredStudy] = field(default_factory=dict)
    trials: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    steps: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    effects: list[dict[str, Any]] = field(default_factory=list)

    def ranked(self, study: str = "shares", profile: Any = "balanced", everything: bool = False) -> list[Any]:
        """The leaderboard by the papers' score."""
        return list(self.studies[study].ranked(self.trials[study], profile, everything, "linear"))

    def recipes(self, study: str, everything: bool = True) -> list[Any]:
        """The recipes with means over seeds, the baseline among them."""
        rows = self.ranked(study, everything=True)
        return [row for row in rows if everything or row["meets"]]

    def grouped(self, *names: str) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
        """The effects by some of their parts."""
        found = defaultdict(list)
        for effect in self.effects:
            found[tuple(effect[name] for name in names)].append(effect)
        return found


@pytest.fixture(scope="module")
def known(made_up: Store) -> Known:
    found = Known()
    for study in STUDIES:
        row = made_up.study(study)
        assert row is not None
        found.studies[study] = StoredStudy.from_row(row)
        found.trials[study] = [dict(trial) for trial in made_up.trials(study)]
        found.steps[study] = []
        reached: dict[tuple[Any, ...], dict[str, Any]] = {}
        for trial in found.trials[study]:
            for row_of_step in made_up.steps(study, trial["trial"]):
                found.steps[study].append(dict(row_of_step))
                text = " -> ".join(trial["recipe"].split(" -> ")[: row_of_step["position"]]) or "baseline"
                reached[trial["seed"], trial["epochs_per_step"], text] = dict(row_of_step)
        for (seed, epochs, text), step in reached.items():
            if text == "baseline":
                continue
            prefix = text.rpartition(" -> ")[0] or "baseline"
            before = reached.get((seed, epochs, prefix)) or reached[seed, 1.0, prefix]
            names = ("step", "technique", "position", "settings")
            found.effects.append(
                {"study": study, "prefix": prefix, "recipe": text, "seed": seed, "epochs": epochs}
                | {name: step[name] for name in names}
                | {"gain": SIGN[study] * (step["quality"] - before["quality"])}
                | {name: step[name] / before[name] for name in ("model_bytes", "latency_ms")}
            )
    return found


@pytest.fixture(scope="module")
def client(made_up: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(duckdb.connect(str(made_up.path), read_only=True)) as connection:
        yield connection


def picked(rows: list[Any], *names: str) -> Rows:
    return [tuple(row[name] for name in names) for row in rows]


def mean(effects: list[dict[str, Any]], name: str = "gain") -> float:
    return statistics.fmean(effect[name] for effect in effects)


def factor(effects: list[dict[str, Any]], name: str) -> float:
    return math.exp(statistics.fmean(math.log(effect[name]) for effect in effects))


def front(rows: list[Any], x: str, y: str, y_sign: int = 1) -> list[Any]:
    """Rows that no other beats; less is better in x, and in y times its sign."""
    points = [(row[x], y_sign * row[y]) for row in rows]
    kept = [
        row
        for row, one in zip(rows, points, strict=True)
        if not any(a <= one[0] and b <= one[1] and (a, b) != one for a, b in points)
    ]
    return sorted(kept, key=lambda row: (row[x], row["trial"]))


def best(known: Known) -> Rows:
    return picked(known.ranked()[:5], "rank", "score", "trial", "recipe")


def small_files(known: Known) -> Rows:
    weights = {"compression": 9.0, "time": 3.0, "cost": 3.0, "accuracy": 3.0, "memory": 3.0}
    return picked(known.ranked(profile=weights)[:5], "rank", "recipe", "model_bytes")


def chosen_by(known: Known) -> Rows:
    return [
        (profile, *picked(known.ranked(profile=profile)[:1], "recipe", "score")[0]) for profile in PROFILES
    ]


def bytes_and_latency(known: Known) -> Rows:
    kept = front(known.recipes("shares", everything=False), "model_bytes", "latency_ms")
    return picked(kept, "trial", "recipe", "model_bytes", "latency_ms")


def price_of_a_megabyte(known: Known) -> Rows:
    kept = front(known.recipes("shares"), "model_bytes", "quality", -1)
    prices: list[float | None] = [
        (larger["quality"] - one["quality"]) / (larger["model_bytes"] - one["model_bytes"]) * 1e6
        for one, larger in pairwise(kept)
    ]
    assert len(prices) > 2
    rows = picked(kept, "recipe", "model_bytes", "quality")
    return [(*row, price) for row, price in zip(rows, [*prices, None], strict=True)]


def smallest(known: Known, study: str, drop: float, latency_ms: float = math.inf) -> Any:
    within = [
        row for row in known.recipes(study) if row["quality_drop"] <= drop and row["latency_ms"] <= latency_ms
    ]
    return min(within, key=lambda row: row["model_bytes"], default=None)


def within_limits(known: Known) -> Rows:
    found = {study: smallest(known, study, 0.02, 10.0) for study in STUDIES}
    return [(study, row["model_bytes"], row["recipe"]) for study, row in found.items() if row]


def another_point(known: Known) -> Rows:
    cases = [
        (study, drop, smallest(known, study, drop)) for study in STUDIES for drop in (0.01, 0.02, 0.03, 0.05)
    ]
    return [(study, drop, row["model_bytes"], row["recipe"]) for study, drop, row in cases if row]


def places(known: Known) -> Rows:
    rows = []
    for (study, technique, position), effects in known.grouped("study", "technique", "position").items():
        gains, size = [effect["gain"] for effect in effects], factor(effects, "model_bytes")
        spread = statistics.stdev(gains) if len(gains) > 1 else None
        gain = statistics.fmean(gains)
        rows.append((study, technique, position, len(gains), gain, spread, size, gain / -math.log2(size)))
    return sorted(rows, key=lambda row: (row[0], -row[-1], row[1]))


def orders(known: Known) -> Rows:
    joint = defaultdict(list)
    for second in known.effects:
        for first in known.effects:
            same = all(first[name] == second[name] for name in ("study", "seed", "epochs"))
            if same and first["recipe"] == second["prefix"]:
                pair = (second["study"], first["technique"], second["technique"])
                joint[pair].append(first["gain"] + second["gain"])
    return sorted(
        (
            study,
            one,
            two,
            min(len(gains), len(joint[study, two, one])),
            statistics.fmean(gains) - statistics.fmean(joint[study, two, one]),
        )
        for (study, one, two), gains in list(joint.items())
        if one < two and joint.get((study, two, one))
    )


def bit_widths(known: Known) -> Rows:
    found = defaultdict(list)
    for effect in known.effects:
        if "bits" in effect["settings"]:
            found[effect["study"], effect["technique"], effect["settings"]["bits"]].append(effect)
    return [
        (
            *key,
            len(found[key]),
            mean(found[key]),
            factor(found[key], "model_bytes"),
            factor(found[key], "latency_ms"),
        )
        for key in sorted(found)
    ]


def prefixes(known: Known) -> Rows:
    rows = []
    for (study, step), effects in known.grouped("study", "step").items():
        ordered = sorted(effects, key=lambda effect: effect["gain"])
        worst, most = ordered[0], ordered[-1]
        if len({effect["prefix"] for effect in effects}) > 1:  # not one prefix with two seeds
            rows.append((study, step, most["prefix"], most["gain"], worst["prefix"], worst["gain"]))
    return sorted(rows, key=lambda row: row[5] - row[3])


def contributions(known: Known) -> Rows:
    path = [step for step in known.steps["shares"] if step["trial"] == "t0010"]
    [start] = [step for step in known.steps["shares"] if step["position"] == 0 and step["seed"] == 0]
    names = ("quality", "model_bytes", "latency_ms")
    rows: Rows = [(0, "baseline", None, None, None, start["seconds"])]
    for before, after in zip([start, *path], path, strict=False):
        changes = [after[name] - before[name] for name in names]
        rows.append((after["position"], after["step"], *changes, after["seconds"]))
    return rows


def times(known: Known, study: str) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for step in known.steps[study]:
        if step["position"] > 0:
            found[step["technique"]].append(step)
    return found


def seconds(steps: list[dict[str, Any]], cached: bool) -> float:
    return sum(step["seconds"] for step in steps if step["cached"] == cached)


def spent(known: Known) -> Rows:
    rows = []
    for study in STUDIES:
        by_technique = times(known, study)
        whole = sum(seconds(steps, False) for steps in by_technique.values())
        rows += [
            (
                study,
                name,
                sum(not step["cached"] for step in steps),
                seconds(steps, False),
                seconds(steps, False) / whole,
            )
            for name, steps in by_technique.items()
        ]
    return sorted(rows, key=lambda row: (row[0], -row[3], row[1]))


def saved(known: Known) -> Rows:
    rows = []
    for study in STUDIES:
        steps = [step for one in times(known, study).values() for step in one]
        kept, took = seconds(steps, True), seconds(steps, False)
        rows.append((study, sum(step["cached"] for step in steps), kept / 60, kept / (kept + took)))
    return rows


def predictions(known: Known) -> Rows:
    # 2 ms were predicted, 1.8 to 2.5; 2.2 and 2.8 were measured. A file's size is predicted to the byte.
    return [
        ("latency_host_ms", 2, statistics.median([0.2 / 2.2, 0.8 / 2.8]), 0.5),
        ("model_bytes", 2, 0.0, 1.0),
    ]


def ruled_out(known: Known) -> Rows:
    return [("shares", "compression_ratio >= 1.5", 1, 0.25), ("shares", "quality_drop <= 0.04", 1, 1.5)]


def failures(known: Known) -> Rows:
    return [("shares", "out of memory", 1, "binarize -> quantize(bits=8)")]


def noise(known: Known) -> Rows:
    several = [row for row in known.ranked() if row["n"] > 1]
    assert len(several) == 2
    return picked(several, "rank", "recipe", "n", "quality_drop", "quality_drop_error")


def growth(known: Known) -> Rows:
    rows = []
    for study in STUDIES:
        most, took = -math.inf, 0.0
        finished = [trial for trial in known.trials[study] if trial["status"] == "finished"]
        searched = [trial for trial in finished if trial["origin"] != "finalist"]
        for trial in sorted(searched, key=lambda trial: trial["ended_at"]):
            most, took = max(most, trial["objective"]), took + trial["seconds"]
            rows.append((study, trial["trial"], trial["ended_at"], most, took / 60))
    return rows


def on_test(known: Known) -> Rows:
    found = defaultdict(list)
    for trial in known.trials["shares"]:
        if trial["test_quality"] is not None and trial["recipe"] != "baseline":
            found[trial["recipe"]].append(0.9 - trial["test_quality"])
    assert sorted(map(len, found.values())) == [2, 2]
    rows = [
        (
            "shares",
            recipe,
            len(drops),
            statistics.fmean(drops),
            statistics.stdev(drops) / math.sqrt(len(drops)),
        )
        for recipe, drops in found.items()
    ]
    return sorted(rows, key=lambda row: row[3])


ANSWERS: tuple[Callable[[Known], Rows], ...] = (
    *(best, small_files, chosen_by, bytes_and_latency, price_of_a_megabyte, within_limits, another_point),
    *(places, orders, bit_widths, prefixes, contributions, spent, saved, predictions, ruled_out, failures),
    *(noise, growth, on_test),
)
#: answers whose rows may come in any order: two of them are equal in what they are sorted by
ANY_ORDER = (chosen_by, on_test)


def test_there_are_twenty_questions_and_as_many_answers() -> None:
    assert list(QUESTIONS) == [str(number) for number in range(1, 21)]
    assert len(ANSWERS) == 20


@pytest.mark.parametrize("number", range(1, 21), ids=[answer.__name__ for answer in ANSWERS])
def test_an_answer_is_what_the_rows_say(known: Known, client: duckdb.DuckDBPyConnection, number: int) -> None:
    [statement] = re.findall(r"```sql\n(.*?)```", QUESTIONS[str(number)], flags=re.DOTALL)
    table = client.sql(statement).to_arrow_table()
    found = [tuple(row.values()) for row in table.to_pylist()]
    answer = ANSWERS[number - 1]
    wanted = answer(known)
    if answer in ANY_ORDER:
        found, wanted = sorted(found), sorted(wanted)
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted, strict=True):
        for got, value in zip(one, other, strict=True):
            is_number = isinstance(value, (int, float))
            assert (float(got) == pytest.approx(value)) if is_number else got == value, (one, other)
