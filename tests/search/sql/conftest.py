"""A small made-up store: two studies, recipes that share prefixes, further seeds, files, rejections."""

import hashlib
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from atoll.search.store.events import event_from_json
from atoll.search.store.store import Store

BEGUN = datetime(2026, 11, 5, 12, tzinfo=UTC)
# What each step does: to the quality in points, and to bytes, work, latency and memory as a factor.
STEPS = {
    "quantize(bits=8)": (-0.2, 0.26, 1.0, 0.6, 0.4),
    "quantize(bits=4)": (-2.6, 0.14, 1.0, 0.61, 0.41),
    "prune_channels(ratio=0.5)": (-1.1, 0.5, 0.3, 0.45, 0.7),
    "prune_channels(ratio=0.25, layers=features.*|conv)": (-0.4, 0.8, 0.7, 0.8, 0.9),
    "tensor_train(rank=16)": (-0.9, 0.06, 0.9, 0.95, 0.8),
    "binarize": (-31.0, 0.05, 1.0, 1.0, 1.0),
}
QUANTIZE, QUANTIZE_4, PRUNE, PRUNE_LESS, TRAIN, BINARIZE = STEPS
RECIPES: tuple[tuple[str, ...], ...] = (
    (QUANTIZE,),
    (BINARIZE,),
    (PRUNE,),
    (TRAIN,),
    (PRUNE, QUANTIZE),
    (PRUNE, TRAIN),
    (PRUNE, TRAIN, QUANTIZE),
    (TRAIN, PRUNE),
    (TRAIN, PRUNE, QUANTIZE),
    (PRUNE_LESS, QUANTIZE_4),
    (TRAIN, QUANTIZE),
    (TRAIN, QUANTIZE_4),
)
#: recipes that are trained with further seeds, beside the baseline of each
FINALISTS = ((TRAIN, PRUNE, QUANTIZE), (PRUNE, TRAIN, QUANTIZE))
BASELINE = {
    "quality": 0.91,
    "model_bytes": 4_000_000,
    "macs": 33_000_000,
    "latency_ms": 23.0,
    "peak_memory_bytes": 9_000_000,
}


def figures(steps: tuple[str, ...], seed: int, is_error: bool) -> dict[str, Any]:
    """Returns made-up metrics after some steps; where one step comes makes a difference."""
    generator = random.Random(f"{steps}{seed}")
    quality = BASELINE["quality"] + generator.uniform(-0.004, 0.004)
    found = dict(BASELINE)
    for place, step in enumerate(steps, start=1):
        points, *factors = STEPS[step]
        quality += points / 100 * (1 + 0.3 * (place > 1))
        for name, factor in zip(list(BASELINE)[1:], factors, strict=True):
            found[name] *= factor ** (1 + 0.02 * (place - 1))
    whole = {name: round(found[name]) for name in ("model_bytes", "macs", "peak_memory_bytes")}
    ends = {
        f"{name}_{end}": found[name] * factor
        for name in ("latency_ms", "peak_memory_bytes")
        for end, factor in (("low", 0.8), ("high", 1.3))
    }
    said = {"quality_name": "accuracy", "quality_unit": "%", "quality_higher_is_better": True}
    if is_error:
        quality = 10 * (1 - quality)
        said = {
            "quality_name": "mean_absolute_error",
            "quality_unit": "mm",
            "quality_higher_is_better": False,
        }
    of_file = {
        "parameters": whole["macs"] // 30,
        "nonzero_parameters": whole["macs"] // 31,
        "train_seconds": 3.5,
    }
    of_file |= {"payload_bytes": whole["model_bytes"] - 1000, "packed_bytes": whole["model_bytes"] // 2}
    status = {"latency_status": "interpolated", "peak_memory_status": "interpolated"}
    runtime = {
        "minimum_runtime": "2.18.0" if QUANTIZE_4 in steps else "2.3.0",
        "minimum_runtime_reason": "conv",
    }
    return found | whole | ends | said | of_file | status | runtime | {"quality": quality}


class Writer:
    """Writes a study's journal, as its driver would.

    Args:
        store: to which it belongs.
        study: its name.
        is_error: whether its quality is an error.
        definition: beside seed and budget.
    """

    def __init__(self, store: Store, study: str, is_error: bool, day: int, **definition: Any) -> None:
        self.store, self.study, self.is_error = store, study, is_error
        self.seen: set[tuple[int, tuple[str, ...]]] = set()
        self.moment, self.trials = BEGUN + timedelta(days=day), 0
        self.tell(
            type="study",
            created_at=self.now(),
            definition={"task": "digits", "device": "coral-dev-board", "seed": 0, "epochs_per_step": 1.0}
            | definition,
            baseline=figures((), 0, is_error),
            digest="d",
        )

    def tell(self, **event: Any) -> None:
        self.store.journal.append(event_from_json({"study": self.study} | event))

    def now(self) -> str:
        self.moment += timedelta(seconds=10)
        return self.moment.isoformat()

    def propose(
        self, steps: tuple[str, ...], origin: str, seed: int = 0, epochs: float = 1.0
    ) -> dict[str, Any]:
        self.trials += 1
        recipe = " -> ".join(steps) or "baseline"
        key = {"trial": f"t{self.trials:04d}", "seed": seed, "epochs_per_step": epochs}
        told = key | {
            "recipe": recipe,
            "origin": origin,
            "recipe_digest": hashlib.sha256(recipe.encode()).hexdigest(),
        }
        self.tell(type="proposed", **told)
        return told

    def finish(
        self, steps: tuple[str, ...], origin: str, seed: int = 0, epochs: float = 1.0, **more: Any
    ) -> dict[str, Any]:
        told = self.propose(steps, origin, seed, epochs)
        self.tell(type="started", started_at=self.now(), worker_pid=7, node="here", threads=1, **told)
        rows = []
        for place in range(1, len(steps) + 1) if steps else [0]:
            prefix = steps[:place]
            text = prefix[-1] if prefix else "baseline"
            rows.append(
                {
                    **{
                        name: figures(prefix, seed, self.is_error)[name]
                        for name in (*BASELINE, "payload_bytes", "parameters")
                    },
                    **{"position": place, "step": text, "technique": text.split("(")[0], "stage": "weights"},
                    **{
                        "seconds": 8.0 + place,
                        "epochs": epochs,
                        "cached": (seed, prefix) in self.seen,
                        "notes": {},
                    },
                }
            )
            self.seen.add((seed, prefix))
        self.tell(
            type="ended",
            status="finished",
            metrics=figures(steps, seed, self.is_error) | more,
            objective=round(5 + len(steps) / 10, 3),
            violation={"quality_drop <= 0.02": -0.5, "minimum_runtime <= 2.14.0": 0.0},
            steps=rows,
            seconds=sum(row["seconds"] for row in rows if not row["cached"]),
            ended_at=self.now(),
            **told,
        )
        return told


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """`errors` minimizes two costs, its quality is an error; `shares`, the newest, ranks by the score."""
    store = Store(tmp_path_factory.mktemp("made_up") / "atoll.duckdb")
    errors = Writer(
        store,
        "errors",
        True,
        0,
        goal={"minimize": "latency_ms * model_bytes"},
        constraints=["quality_drop <= 0.3"],
    )
    errors.finish((), "baseline")
    for steps in RECIPES[:6]:
        errors.finish(steps, "search")
    shares = Writer(
        store, "shares", False, 1, profile="efficiency", constraints=["quality_drop <= 0.04", "ratio >= 1.5"]
    )
    shares.finish((), "baseline")
    for steps in RECIPES:
        told = shares.finish(steps, "search")
        if steps in FINALISTS:
            measured = {
                "model_bytes_measured": figures(steps, 0, False)["model_bytes"],
                "latency_host_ms": 2.0,
            }
            measured |= {
                "latency_host_ms_low": 1.8,
                "latency_host_ms_high": 2.5,
                "latency_host_status": "interpolated",
            }
            measured |= {"latency_host_ms_measured": 2.2 if steps == FINALISTS[0] else 2.8}
            shares.tell(type="measured", **told, **measured)
    shares.finish((PRUNE,), "evaluate", epochs=4.0)  # the larger budget counts
    shares.finish((PRUNE_LESS, QUANTIZE_4), "evaluate", epochs=4.0)  # one prefix, two budgets
    for seed in (1, 2):
        for steps in ((), *FINALISTS):
            told = shares.finish(steps, "finalist", seed)
            shares.tell(type="measured", test_quality=0.9 - 0.01 * seed * len(steps), **told)
    for broken in (
        {"quality_drop <= 0.04": 1.5, "compression_ratio >= 1.5": -0.2},
        {"compression_ratio >= 1.5": 0.25},
    ):
        rejected = shares.propose((BINARIZE, *([PRUNE] * len(broken))), "search")
        shares.tell(
            type="ended",
            status="rejected",
            reason="too large",
            violation=broken,
            ended_at=shares.now(),
            **rejected,
        )
    failed = shares.propose((BINARIZE, QUANTIZE), "search")
    shares.tell(type="ended", status="failed", reason="out of memory", ended_at=shares.now(), **failed)
    shares.tell(type="test_look", trial="t0010", command="export", quality=0.88, looked_at=shares.now())
    assert store.fold()
    return store


@pytest.fixture(scope="session")
def committed() -> Path:
    """The folder of the committed study of characters."""
    return Path(__file__).parents[3] / "results" / "characters"
