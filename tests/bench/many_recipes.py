"""A study of a million made-up recipes, as a fold would leave them, written through Arrow."""

import hashlib
import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from atoll.search.store.store import Store

STUDY = "many"
_BATCH = 100_000  # about 40 MB
_FIRST = (
    "prune_channels(ratio=0.5)",
    "prune_weights(ratio=0.75)",
    "svd(rank=0.25)",
    "binarize",
    "distill(width=0.5)",
)
_LAST = ("quantize(bits=8)", "quantize(bits=4)", "cluster(clusters=16)")
BASELINE = {
    "quality": 0.95,
    "model_bytes": 4e6,
    "macs": 7e7,
    "latency_ms": 50.0,
    "peak_memory_bytes": 8e6,
    "minimum_runtime": "2.3.0",
}


def _batch(begin: int, count: int, generator: np.random.Generator) -> pa.Table:
    """Return finished trials with names and recipes of their own, all figures filled."""
    numbers = pc.cast(pa.array(range(begin, begin + count)), pa.string())
    trained = pc.binary_join_element_wise("tensor_train(rank=", numbers, ")", "")
    recipes = pc.binary_join_element_wise(
        pa.array(generator.choice(_FIRST, count)), trained, pa.array(generator.choice(_LAST, count)), " -> "
    )

    def whole(low: float, high: float) -> pa.Array:
        return pa.array(generator.integers(int(low), int(high), count))

    figures: dict[str, pa.Array] = {
        "quality": pa.array(generator.uniform(0.5, 0.95, count)),
        "objective": pa.array(generator.uniform(0.0, 20.0, count)),
        "latency_ms": pa.array(generator.uniform(1.0, 50.0, count)),
        "train_seconds": pa.array(generator.uniform(1.0, 90.0, count)),
        "seconds": pa.array(generator.uniform(1.0, 100.0, count)),
        "label_loyalty": pa.array(generator.uniform(0.8, 1.0, count)),
        "probability_loyalty": pa.array(generator.uniform(0.8, 1.0, count)),
        "model_bytes": whole(1e4, 4e6),
        "payload_bytes": whole(1e4, 4e6),
        "packed_bytes": whole(1e4, 2e6),
        "macs": whole(1e6, 7e7),
        "peak_memory_bytes": whole(2e5, 8e6),
        "parameters": whole(1e3, 1e6),
        "nonzero_parameters": whole(1e3, 1e6),
        "proposal": pa.array(range(begin, begin + count)),
    }
    for name in ("latency_ms", "peak_memory_bytes"):
        for end, factor in (("low", 0.8), ("high", 1.3)):
            figures[f"{name}_{end}"] = pc.multiply(pc.cast(figures[name], pa.float64()), factor)
    same = {
        "study": STUDY,
        "seed": 0,
        "epochs_per_step": 1.0,
        "origin": "search",
        "status": "finished",
        "quality_name": "accuracy",
        "quality_unit": "%",
        "quality_higher_is_better": True,
        "latency_status": "interpolated",
        "peak_memory_status": "interpolated",
        "edge_tpu_mappable": 1.0,
        "train_epochs": 3.0,
    }
    return pa.table(
        {
            "recipe_digest": [hashlib.sha256(recipe.encode()).hexdigest() for recipe in recipes.to_pylist()],
            "trial": pc.binary_join_element_wise("t", numbers, ""),
            "recipe": recipes,
            "minimum_runtime": pa.array(generator.choice(("1.13.1", "2.3.0", "2.14.0"), count)),
            **figures,
            **{name: pa.repeat(pa.scalar(value), count) for name, value in same.items()},
        }
    )


def batches(recipes: int) -> Iterator[pa.Table]:
    """Yield so many recipes of one study, a hundred thousand at a time."""
    generator = np.random.default_rng(0)
    for begin in range(0, recipes, _BATCH):
        yield _batch(begin, min(_BATCH, recipes - begin), generator)


def describe(store: Store) -> None:
    """Put the study and its baseline into a store."""
    definition = {
        "seed": 0,
        "epochs_per_step": 1.0,
        "constraints": ["quality_drop <= 0.3", "compression_ratio >= 1.2"],
    }
    study = {"study": [STUDY], "definition": [json.dumps(definition)], "baseline": [json.dumps(BASELINE)]}
    store.insert("study_rows", pa.table(study))
    its_own = {
        "study": STUDY,
        "recipe_digest": "0",
        "trial": "baseline",
        "recipe": "baseline",
        "origin": "baseline",
        "status": "finished",
        "seed": 0,
        "epochs_per_step": 1.0,
        "violation": json.dumps({"minimum_runtime <= 2.3.0": 0.0}),
    }
    store.insert("trial_rows", pa.Table.from_pylist([BASELINE | its_own]))
