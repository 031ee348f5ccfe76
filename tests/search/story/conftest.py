"""A store with what a story has: shared prefixes, two seeds, a failure and a rejection."""

from typing import Any

import pytest
from atoll.search.store.events import event_from_json
from atoll.search.store.store import Store

PRUNE, QUANTIZE, SVD = "prune_channels(ratio=0.5)", "quantize(bits=8)", "svd(rank=0.5)"
TERMS = {"quality_name": "accuracy", "quality_unit": "%", "quality_higher_is_better": True}
DEFINITION = {
    "task": "digits",
    "device": "coral-dev-board",
    "seed": 0,
    "epochs_per_step": 2.0,
    "max_steps": 4,
    "constraints": ["quality_drop <= 0.1"],
    "goal": "smallest",
}


def figures(quality: float, size: int) -> dict[str, Any]:
    """Figures of a network of so many bytes; everything else follows from them."""
    costs = {"model_bytes": size, "payload_bytes": size - 100, "packed_bytes": size // 2, "macs": 10 * size}
    latency = {"latency_ms": size / 1e5, "latency_ms_low": size / 2e5, "latency_ms_high": size / 5e4}
    memory = {f"peak_memory_bytes{end}": size * 2 for end in ("", "_low", "_high")}
    return {"quality": quality, "parameters": size // 4, **costs, **latency, **memory}


class Writer:
    """Writes the journal of a study.

    Args:
        store: to which it belongs.
        study: its name.
        definition: what it says beside `DEFINITION`.
    """

    def __init__(self, store: Store, study: str = "s", **definition: Any) -> None:
        self.store, self.study, self.trials = store, study, 0
        self.baseline = figures(0.9, 1_000_000) | TERMS
        self.tell(
            type="study",
            digest=f"digest of {study}",
            created_at="2026-11-05T12:00:00Z",
            definition=DEFINITION | definition,
            baseline=self.baseline,
        )

    def tell(self, **event: Any) -> None:
        self.store.journal.append(event_from_json({"study": self.study} | event))

    def propose(self, recipe: str, seed: int = 0, origin: str = "search") -> dict[str, Any]:
        self.trials += 1
        key = {"trial": f"t{self.trials:04d}", "recipe_digest": recipe, "seed": seed, "epochs_per_step": 2.0}
        self.tell(type="proposed", recipe=recipe, origin=origin, proposal=self.trials, **key)
        return key

    def finish(
        self, *after: tuple[str, float, int, bool], seed: int = 0, origin: str = "search", notes: Any = None
    ) -> str:
        """Writes a finished trial: each step with quality and bytes after it, and whether it was cached."""
        key = self.propose(" -> ".join(step for step, *_ in after) or "baseline", seed, origin)
        self.tell(
            type="started", started_at="2026-11-05T12:01:00Z", worker_pid=7, node="here", threads=1, **key
        )
        rows = [
            {"position": place, "step": step, "technique": step.partition("(")[0], "stage": "weights"}
            | {"seconds": 3.0 * place, "epochs": 2.0, "cached": cached, "notes": notes or {}}
            | {
                name: value
                for name, value in figures(quality, size).items()
                if not name.endswith(("low", "high"))
            }
            for place, (step, quality, size, cached) in enumerate(
                after or (("baseline", 0.9 - 0.01 * seed, 1_000_000, False),), start=1 if after else 0
            )
        ]
        last = after[-1] if after else ("", 0.9 - 0.01 * seed, 1_000_000, False)
        self.tell(
            type="ended",
            status="finished",
            metrics=figures(last[1], last[2]) | TERMS | {"train_seconds": 3.0},
            steps=rows,
            seconds=10.0,
            ended_at="2026-11-05T12:02:00Z",
            **key,
        )
        return key["trial"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("told") / "atoll.duckdb")
    study = Writer(store)
    study.finish(origin="baseline")  # t0001
    study.finish((PRUNE, 0.88, 400_000, False))  # t0002
    notes = {"left_alone": {"conv1": "too small\x1b[31m"}, "bits": {"conv2": 8, "conv3": 8}}
    study.finish((PRUNE, 0.88, 400_000, True), (QUANTIZE, 0.875, 100_000, False), notes=notes)  # t0003
    study.finish((SVD, 0.87, 500_000, False), (QUANTIZE, 0.86, 125_000, False))  # t0004
    study.finish(seed=1, origin="finalist")  # t0005, a baseline a point worse
    study.finish((PRUNE, 0.87, 400_000, False), (QUANTIZE, 0.866, 100_000, False), seed=1, origin="finalist")
    study.finish((SVD, 0.87, 500_000, False), (QUANTIZE, 0.859, 125_000, False), seed=1, origin="finalist")
    failed = study.propose(f"{QUANTIZE} -> {PRUNE}")  # t0008
    study.tell(type="ended", status="failed", reason="out of memory", **failed)
    rejected = study.propose("binarize")  # t0009
    broken = {"quality_drop <= 0.1": -0.5, "latency_ms <= 1": 0.25}
    study.tell(type="ended", status="rejected", reason="latency_ms 1.25", violation=broken, **rejected)
    assert store.fold()
    return store


@pytest.fixture(scope="session")
def writer() -> type[Writer]:
    return Writer
